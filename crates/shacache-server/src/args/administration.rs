//! The command lines of `search`, `keys`, `blobs`, `delete`, `ban`, `unban`, `gc` and `hold` as they
//! are typed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use clap::{ArgGroup, Args, Subcommand};
use shacache_server::admin::command::{
    Ban, Collect, Command, Delete, Holding, Listing, Search, Unban,
};
use shacache_store::administration::Collecting;

use super::Settings;

/// What every one of these commands has.
#[derive(Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Answer as one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who asks, and why: the audit log keeps it.
#[derive(Debug, Args)]
pub(crate) struct Reason {
    /// The reason, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: String,
}

/// Where a list begins and ends.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// List what comes after this: what an earlier list that was cut off said.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// List so many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

/// Which entries are listed.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Under such a key; * stands for anything, here and in every pattern.
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// That name this blob.
    #[arg(long, value_name = "SHA512")]
    digest: Option<String>,
    /// With such a value in a field of the metadata. May be repeated.
    #[arg(long = "field", value_name = "NAME=PATTERN", value_parser = field)]
    fields: Vec<(String, String)>,
    /// With such a file name: in file, file_name or basename, or at the end of url.
    #[arg(long, value_name = "PATTERN")]
    file: Option<String>,
    /// With such a URL.
    #[arg(long, value_name = "PATTERN")]
    url: Option<String>,
    /// Signed by the key of this certificate, a PEM file.
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
    /// Received then or later: 2026-11-25, or 2026-11-25T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Received before that.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    part: Part,
}

/// Which keys or blobs are listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    part: Part,
}

/// Which entries go.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true).args(["key", "signer"])))]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The entries of this key.
    #[arg(long)]
    key: Option<String>,
    /// Of that key, only the one with this id; search tells it.
    #[arg(long, value_name = "ID", requires = "key")]
    entry: Option<String>,
    /// What the key of this certificate signed, a PEM file.
    #[arg(long, value_name = "FILE", requires = "since")]
    signer: Option<PathBuf>,
    /// Of that signer, what was received then or later: 2026-11-25, or 2026-11-25T12:00:00Z.
    #[arg(long, value_name = "TIME", requires = "signer")]
    since: Option<String>,
    #[command(flatten)]
    reason: Reason,
    /// Only tell what would go, and why.
    #[arg(long)]
    dry_run: bool,
}

/// Which blob is banned.
#[derive(Debug, Args)]
pub(crate) struct BanArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Its SHA-512.
    digest: String,
    #[command(flatten)]
    reason: Reason,
    /// Only tell what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Which blob is banned no more.
#[derive(Debug, Args)]
pub(crate) struct UnbanArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Its SHA-512.
    digest: String,
    #[command(flatten)]
    reason: Reason,
}

/// What is collected.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Collect entries whose expiration_date has passed, in place of what nothing needs.
    #[arg(long)]
    expired: bool,
    /// Keep what was written or asked for in the last so many days.
    #[arg(long, value_name = "DAYS", default_value_t = Collecting::UNUSED_DAYS)]
    unused_days: u64,
    /// Collect entries whose blob is missing also when that is most of them. Without it nothing is
    /// collected then: the blobs may be kept elsewhere, or a part of the archive may be away.
    #[arg(long, conflicts_with = "expired")]
    most_entries: bool,
    /// The reason, for the audit log.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only tell what would go, and why.
    #[arg(long)]
    dry_run: bool,
}

/// What is to be done about holds.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldArgs {
    /// Hold keys and blobs under a name, besides what it holds already.
    Add(HoldingArgs),
    /// List everything that is held.
    List(Common),
    /// Let go of keys and blobs, or of everything that the name holds.
    Remove(HoldingArgs),
}

/// What a hold is about.
#[derive(Debug, Args)]
pub(crate) struct HoldingArgs {
    #[command(flatten)]
    common: Common,
    /// The hold's name.
    name: String,
    /// A blob, by its SHA-512. May be repeated.
    #[arg(long = "digest", value_name = "SHA512")]
    digests: Vec<String>,
    /// A key: every entry under it, now and later, and the blobs that they name. May be repeated.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    reason: Reason,
}

impl SearchArgs {
    pub(crate) fn command(self) -> Result<(Common, Command), Unusable> {
        let mut fields = BTreeMap::new();
        for (name, pattern) in
            self.fields.into_iter().chain(self.url.map(|url| (URL.to_owned(), url)))
        {
            if fields.insert(name.clone(), pattern).is_some() {
                return Err(Unusable::Twice(name));
            }
        }
        let Part { after, limit } = self.part;
        let signer = self.signer.map(read).transpose()?;
        let (key, digest, file) = (self.key, self.digest, self.file);
        let (since, until, limit) = (self.since, self.until, Some(limit));
        let search = Search { key, digest, fields, file, signer, since, until, after, limit };
        Ok((self.common, Command::Search(search)))
    }
}

impl ListArgs {
    pub(crate) fn command(self, command: impl FnOnce(Listing) -> Command) -> (Common, Command) {
        let Part { after, limit } = self.part;
        (self.common, command(Listing { after, limit: Some(limit) }))
    }
}

impl DeleteArgs {
    pub(crate) fn command(self) -> Result<(Common, Command), Unusable> {
        let Self { common, key, entry, signer, since, reason, dry_run } = self;
        let signer = signer.map(read).transpose()?;
        let delete = Delete { key, entry, signer, since, why: reason.why, dry_run };
        Ok((common, Command::Delete(delete)))
    }
}

impl From<BanArgs> for (Common, Command) {
    fn from(BanArgs { common, digest, reason, dry_run }: BanArgs) -> Self {
        (common, Command::Ban(Ban { digest, why: reason.why, dry_run }))
    }
}

impl From<UnbanArgs> for (Common, Command) {
    fn from(UnbanArgs { common, digest, reason }: UnbanArgs) -> Self {
        (common, Command::Unban(Unban { digest, why: reason.why }))
    }
}

impl From<GcArgs> for (Common, Command) {
    fn from(args: GcArgs) -> Self {
        let GcArgs { common, expired, unused_days, most_entries, why, dry_run } = args;
        let unused_days = (!expired).then_some(unused_days);
        (common, Command::Collect(Collect { expired, unused_days, most_entries, why, dry_run }))
    }
}

impl From<HoldArgs> for (Common, Command) {
    fn from(hold: HoldArgs) -> Self {
        match hold {
            HoldArgs::Add(holding) => holding.with(Command::Hold),
            HoldArgs::List(common) => (common, Command::Holds),
            HoldArgs::Remove(holding) => holding.with(Command::Release),
        }
    }
}

impl HoldingArgs {
    fn with(self, command: impl FnOnce(Holding) -> Command) -> (Common, Command) {
        let Self { common, name, digests, keys, reason } = self;
        (common, command(Holding { name, digests, keys, why: reason.why }))
    }
}

fn read(path: PathBuf) -> Result<String, Unusable> {
    fs::read_to_string(&path).map_err(|source| Unusable::Unread { path, source })
}

/// Why a command line that is well-formed is no command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// A file that it names cannot be read.
    #[error("cannot read {}", path.display())]
    Unread { path: PathBuf, source: io::Error },
    /// One pattern would take the other's place.
    #[error("one pattern for the field {0:?}, and not two")]
    Twice(String),
}

/// The field that has an option of its own.
const URL: &str = "url";

fn field(text: &str) -> Result<(String, String), &'static str> {
    let (name, pattern) = text.split_once('=').ok_or("not NAME=PATTERN")?;
    Ok((name.to_owned(), pattern.to_owned()))
}
