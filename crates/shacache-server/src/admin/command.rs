//! What operators ask of an archive, as a command that is run here, sent to a running server, or
//! posted to its API. Owns the words of the commands and their answers; how those are read is told by
//! [`reading`]. Must not know how they come here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shacache_core::digest::Digest;
use shacache_core::key::Key;
use shacache_store::administration::{
    Administration, Collecting, Deletion, FoundEntry, Held, Hold, ListedBlob, ListedKey, Page,
    Removals,
};
use shacache_store::error::StoreError;

pub use self::reading::Malformed;
use self::reading::{limit, optional};

mod reading;

/// One command.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Lists entries.
    Search(Search),
    /// Lists keys.
    Keys(Listing),
    /// Lists blobs.
    Blobs(Listing),
    /// Deletes entries.
    Delete(Delete),
    /// Bans a blob.
    Ban(Ban),
    /// Ends a ban.
    Unban(Unban),
    /// Collects what nothing needs.
    Collect(Collect),
    /// Lists holds.
    Holds,
    /// Holds more.
    Hold(Holding),
    /// Lets go.
    Release(Holding),
}

/// A command for a running server, which takes the word of whoever may open its socket.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Request {
    /// On whose behalf.
    pub who: String,
    /// What is to be done.
    pub command: Command,
}

/// Which entries; whatever is left out does not narrow it. A * in a pattern stands for anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Search {
    /// A pattern for the key.
    pub key: Option<String>,
    /// The blob that they name.
    pub digest: Option<String>,
    /// Patterns for fields of the metadata.
    pub fields: BTreeMap<String, String>,
    /// A pattern for the file name.
    pub file: Option<String>,
    /// The certificate of who signed them, PEM.
    pub signer: Option<String>,
    /// Received then or later.
    pub since: Option<String>,
    /// Received before.
    pub until: Option<String>,
    /// What the page before says of the next one.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Listing {
    /// What the page before says of the next one.
    pub after: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// Which entries go: one, those of a key, or those of a signer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Delete {
    /// The key.
    pub key: Option<String>,
    /// Which of that key's entries; without it, all.
    pub entry: Option<String>,
    /// The certificate of who signed them, PEM.
    pub signer: Option<String>,
    /// Received then or later; goes with a signer.
    pub since: Option<String>,
    /// The reason.
    pub why: String,
    /// Only tells what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which blob is banned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ban {
    /// Its SHA-512.
    pub digest: String,
    /// The reason.
    pub why: String,
    /// Only tells what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which blob is banned no more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unban {
    /// Its SHA-512.
    pub digest: String,
    /// The reason.
    pub why: String,
}

/// What is collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Collect {
    /// Entries whose `expiration_date` has passed, in place of what nothing needs.
    pub expired: bool,
    /// For how many full days nobody may have written or asked for it.
    pub unused_days: Option<u64>,
    /// Entries whose blob is missing also when most lack theirs.
    pub most_entries: bool,
    /// The reason.
    pub why: Option<String>,
    /// Only tells what would go.
    pub dry_run: bool,
}

/// What a hold is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Holding {
    /// The hold's name.
    pub name: String,
    /// Blobs, by SHA-512.
    #[serde(default)]
    pub digests: Vec<String>,
    /// Keys.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The reason.
    pub why: String,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Entries that were found.
    Entries(Page<FoundEntry>),
    /// Keys.
    Keys(Page<ListedKey>),
    /// Blobs.
    Blobs(Page<ListedBlob>),
    /// What is deleted.
    Removals(Removals),
    /// Holds.
    Holds(Vec<ListedHold>),
    /// How many were changed.
    Changed {
        /// Holds or bans that are there now and were not, or the other way round.
        changed: u64,
    },
}

/// One thing that is held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ListedHold {
    /// The hold's name.
    pub name: String,
    /// The blob that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The key that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Since when, as the archive spells times.
    pub when: String,
    /// Who asked for it.
    pub who: String,
    /// The reason given.
    pub why: String,
}

impl Command {
    /// Does it on behalf of `who`.
    ///
    /// # Errors
    /// When the command cannot be understood, or not be done.
    pub async fn run(
        self,
        administration: &Administration,
        who: &str,
    ) -> Result<Answer, CommandError> {
        let deletion = |why: String| Deletion { who: who.to_owned(), why };
        Ok(match self {
            Self::Search(search) => {
                let (after, limit) = (optional(&search.after)?, limit(search.limit)?);
                Answer::Entries(administration.search(search.query()?, after, limit).await?)
            }
            Self::Keys(Listing { after, limit: most }) => {
                let (after, limit) = (optional::<Key, _>(&after)?, limit(most)?);
                Answer::Keys(administration.keys(after.as_ref(), limit).await?)
            }
            Self::Blobs(Listing { after, limit: most }) => {
                let (after, limit) = (optional(&after)?, limit(most)?);
                Answer::Blobs(administration.blobs(after, limit).await?)
            }
            Self::Delete(delete) => {
                let (target, dry_run) = (delete.target()?, delete.dry_run);
                let deletion = deletion(delete.why);
                Answer::Removals(administration.delete(&deletion, target, dry_run).await?)
            }
            Self::Ban(Ban { digest, why, dry_run }) => {
                let digest: Digest = digest.parse().map_err(Malformed::from)?;
                Answer::Removals(administration.ban(&deletion(why), &digest, dry_run).await?)
            }
            Self::Unban(Unban { digest, why }) => {
                let digest: Digest = digest.parse().map_err(Malformed::from)?;
                let has_ended = administration.unban(&deletion(why), &digest).await?;
                Answer::Changed { changed: u64::from(has_ended) }
            }
            Self::Collect(Collect { expired, unused_days, most_entries, why, dry_run }) => {
                let what = match (expired, unused_days, most_entries) {
                    (true, None, false) => Collecting::Expired,
                    (true, ..) => return Err(Malformed::ExpiredAndUnused.into()),
                    (false, days, most_entries) => {
                        let unused_days = days.unwrap_or(Collecting::UNUSED_DAYS);
                        Collecting::Garbage { unused_days, most_entries }
                    }
                };
                let reason = if expired { "expired" } else { "nothing needs it" };
                let deletion = deletion(why.unwrap_or_else(|| reason.to_owned()));
                Answer::Removals(administration.collect(&deletion, what, dry_run).await?)
            }
            Self::Holds => {
                let holds = administration.holds().await?;
                Answer::Holds(holds.into_iter().map(ListedHold::from).collect())
            }
            Self::Hold(holding) => {
                let (name, held) = (holding.name()?, holding.held()?);
                let deletion = deletion(holding.why);
                let held = held.ok_or(Malformed::NothingHeld)?;
                Answer::Changed { changed: administration.hold(&deletion, &name, held).await? }
            }
            Self::Release(holding) => {
                let (name, held) = (holding.name()?, holding.held()?);
                let deletion = deletion(holding.why);
                Answer::Changed { changed: administration.release(&deletion, &name, held).await? }
            }
        })
    }
}

impl Answer {
    /// What it says, without a word for what kind of answer it is: who asks knows that.
    ///
    /// # Errors
    /// Never, as far as is known.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Entries(page) => serde_json::to_value(page),
            Self::Keys(page) => serde_json::to_value(page),
            Self::Blobs(page) => serde_json::to_value(page),
            Self::Removals(removals) => serde_json::to_value(removals),
            Self::Holds(holds) => serde_json::to_value(holds),
            Self::Changed { changed } => Ok(json!({ "changed": changed })),
        }
    }
}

impl From<Hold> for ListedHold {
    fn from(hold: Hold) -> Self {
        let (digest, key) = match &hold.held {
            Held::Blob(digest) => (Some(digest.to_string()), None),
            Held::Key(key) => (None, Some(key.as_str().to_owned())),
        };
        let Deletion { who, why } = hold.deletion;
        Self { name: hold.name.to_string(), digest, key, when: hold.when, who, why }
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The store could not, or would not.
    #[error(transparent)]
    Store(#[from] StoreError),
}
