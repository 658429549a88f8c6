//! What operators ask of an archive, as a command that is run here, sent to a running server, or
//! posted to its API. Owns the words of the commands and their answers, and turning texts into what
//! the store takes. Must not know how they come here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shacache_core::digest::{Digest, DigestError};
use shacache_core::key::{Key, KeyError};
use shacache_core::pattern::{Pattern, PatternError};
use shacache_core::trust::{Certificate, CertificateError, PublicKey};
use shacache_store::administration::{
    Administration, Collecting, Deletion, FoundEntry, Held, Hold, HoldName, HoldNameError,
    ListedBlob, ListedKey, NoSuchPage, Page, Query, Removals, Target,
};
use shacache_store::error::StoreError;

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
            Self::Collect(Collect { expired, unused_days, why, dry_run }) => {
                let what = match (expired, unused_days) {
                    (true, None) => Collecting::Expired,
                    (true, Some(_)) => return Err(Malformed::ExpiredAndUnused.into()),
                    (false, days) => {
                        Collecting::Garbage { unused_days: days.unwrap_or(Collecting::UNUSED_DAYS) }
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

impl Search {
    fn query(self) -> Result<Query, Malformed> {
        let fields =
            self.fields.into_iter().map(|(name, text)| Ok((name, text.parse::<Pattern>()?)));
        Ok(Query {
            key: optional(&self.key)?,
            digest: optional(&self.digest)?,
            fields: fields.collect::<Result<_, PatternError>>()?,
            file: optional(&self.file)?,
            signer: self.signer.as_deref().map(signer).transpose()?,
            since_us: self.since.as_deref().map(time).transpose()?,
            until_us: self.until.as_deref().map(time).transpose()?,
        })
    }
}

impl Delete {
    fn target(&self) -> Result<Target, Malformed> {
        match (&self.key, &self.entry, &self.signer, &self.since) {
            (Some(key), Some(id), None, None) => {
                Ok(Target::Entry { key: key.parse()?, id: id.parse()? })
            }
            (Some(key), None, None, None) => Ok(Target::Key(key.parse()?)),
            (None, None, Some(pem), Some(since)) => {
                Ok(Target::Signer { key: signer(pem)?, since_us: time(since)? })
            }
            _ => Err(Malformed::Target),
        }
    }
}

impl Holding {
    fn name(&self) -> Result<HoldName, Malformed> {
        Ok(self.name.parse()?)
    }

    /// `None` when nothing is named.
    fn held(&self) -> Result<Option<Vec<Held>>, Malformed> {
        let mut held = Vec::new();
        for digest in &self.digests {
            held.push(Held::Blob(digest.parse()?));
        }
        for key in &self.keys {
            held.push(Held::Key(key.parse()?));
        }
        Ok((!held.is_empty()).then_some(held))
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

fn optional<T, E>(text: &Option<String>) -> Result<Option<T>, Malformed>
where
    T: std::str::FromStr<Err = E>,
    Malformed: From<E>,
{
    Ok(text.as_deref().map(str::parse).transpose()?)
}

fn limit(limit: Option<usize>) -> Result<usize, Malformed> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=LARGEST_LIMIT).contains(&limit) { Ok(limit) } else { Err(Malformed::Limit) }
}

fn signer(pem: &str) -> Result<PublicKey, Malformed> {
    Ok(Certificate::from_pem(pem)?.public_key().clone())
}

/// A time, or a day, which begins at midnight in UTC.
fn time(text: &str) -> Result<i64, Malformed> {
    let malformed = || Malformed::Time(text.to_owned());
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_microsecond());
    }
    // A time without a zone would be taken for its day.
    let day = Some(text).filter(|text| text.len() == DAY_LENGTH).ok_or_else(malformed)?;
    let day: Date = day.parse().map_err(|_| malformed())?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| malformed())?;
    Ok(midnight.timestamp().as_microsecond())
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

/// Why a command cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It has no such form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Not a SHA-512, nor the id of an entry, which has the same form.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Not the name of a hold.
    #[error(transparent)]
    HoldName(#[from] HoldNameError),
    /// Not a page.
    #[error(transparent)]
    Page(#[from] NoSuchPage),
    /// Not a certificate.
    #[error(transparent)]
    Signer(#[from] CertificateError),
    /// Not a time.
    #[error("{0:?} is neither a day, 2026-11-25, nor a time, 2026-11-25T12:00:00Z")]
    Time(String),
    /// Too many, or none.
    #[error("a page has 1 to {LARGEST_LIMIT}")]
    Limit,
    /// Not one way to say what is deleted.
    #[error("delete a key, one entry of a key, or what a signer signed since a time")]
    Target,
    /// A hold on nothing.
    #[error("name the digests or keys to hold")]
    NothingHeld,
    /// What expires does so by its date.
    #[error("what has expired goes however it is used")]
    ExpiredAndUnused,
}

const DEFAULT_LIMIT: usize = 1_000;
const LARGEST_LIMIT: usize = 10_000;
/// 2026-11-25
const DAY_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_instants() {
        assert_eq!(time("1970-01-02").unwrap(), 86_400_000_000);
        assert_eq!(time("1970-01-01T00:00:01+00:00").unwrap(), 1_000_000);
        assert_eq!(time("19700101T000000.000123Z").unwrap(), 123);
        for text in ["", "now", "1970-01-01T00:00:01", "2026-13-01", "-10000-01-01"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_deleted_is_said_in_one_way() {
        let none = Delete {
            key: None,
            entry: None,
            signer: None,
            since: None,
            why: String::new(),
            dry_run: false,
        };
        let key = Some("k".to_owned());
        let id = Some("0".repeat(128));
        let since = Some("2026-11-25".to_owned());
        for good in [
            Delete { key: key.clone(), ..none.clone() },
            Delete { key: key.clone(), entry: id.clone(), ..none.clone() },
        ] {
            assert!(good.target().is_ok(), "{good:?}");
        }
        for bad in [
            none.clone(),
            Delete { entry: id, ..none.clone() },
            Delete { key, since: since.clone(), ..none.clone() },
            Delete { since, ..none },
        ] {
            assert!(matches!(bad.target(), Err(Malformed::Target)), "{bad:?}");
        }
    }

    #[test]
    fn a_hold_on_nothing_is_none() {
        let none: Holding = serde_json::from_str(r#"{"name": "n", "why": ""}"#).unwrap();
        assert_eq!(none.held().unwrap(), None);
        let unknown = serde_json::from_str::<Holding>(r#"{"name": "n", "why": "", "key": "k"}"#);
        assert!(unknown.is_err());
    }
}
