//! The command line of `shacached` as it is typed. Must not know what the commands do.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use shacache_server::access::{KeyPattern, NewToken, Role};
use shacache_server::admin::token::TokenCommand;
use shacache_server::config::Overrides;
use shacache_server::listen::Address;
use shacache_store::verify::{Subset, VerifyOptions};

pub(crate) use self::administration::Common;
use self::administration::{
    BanArgs, DeleteArgs, GcArgs, HoldArgs, ListArgs, SearchArgs, UnbanArgs,
};
pub(crate) use self::moving::{Export, Import, ImportSource};

mod administration;
mod moving;

/// The ShaCache and ShaDir server.
#[derive(Debug, Parser)]
#[command(name = "shacached", version, after_help = EXAMPLES)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer requests until SIGTERM or SIGINT.
    Serve(Settings),
    /// Check the configuration and open nothing.
    CheckConfig(Settings),
    /// Print the configuration in effect, as a file to start from.
    PrintConfig(Settings),
    /// Make the index anew from the archive, also while a server runs.
    Reindex(Settings),
    /// Check every blob and entry of the archive, also while a server runs. What is damaged moves
    /// to quarantine/ in the data folder; nothing is deleted.
    Verify(Verify),
    /// Copy the archive, each file checked, also while a server runs. What was uploaded before is in
    /// the copy, and so is every blob that an entry in the copy names.
    Export(Export),
    /// List entries by what they say, oldest first, also while a server runs.
    Search(SearchArgs),
    /// List the keys that have entries, also while a server runs.
    Keys(ListArgs),
    /// List the blobs, also while a server runs.
    Blobs(ListArgs),
    /// Delete entries, also while a server runs. They move to quarantine/ in the data folder. What is
    /// held stays.
    Delete(DeleteArgs),
    /// Ban a blob, also while a server runs: it is neither served nor taken from now on. Its bytes
    /// move to quarantine/ in the data folder. What is held cannot be banned.
    Ban(BanArgs),
    /// End a ban, and bring the bytes back if quarantine/ has them.
    Unban(UnbanArgs),
    /// Collect blobs that no entry names and entries whose blob is missing, also while a server runs.
    /// They move to quarantine/ in the data folder. What is held stays.
    Gc(GcArgs),
    /// Hold what must not be deleted, also while a server runs.
    #[command(subcommand)]
    Hold(HoldArgs),
    /// Take in an export, the archive of another server, or what another server answers, also while a
    /// server runs. All of it is checked before it is taken; what is there stays, and what was
    /// deleted here stays deleted.
    Import(Import),
    /// Ask the running server whether it takes writes: exit code 0 if so, 1 if not or if none runs.
    Health(Settings),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder.
        folder: PathBuf,
    },
    /// Make, list and revoke tokens and passwords, also while a server runs.
    #[command(subcommand)]
    Token(Token),
}

/// What is to be done about tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it, once; or a password of your own.
    New(NewTokenArgs),
    /// List all, without their secrets.
    List {
        #[command(flatten)]
        settings: Settings,
        /// List as one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Take back what has an id, or all that has a name.
    Revoke {
        #[command(flatten)]
        settings: Settings,
        /// An id or a name, as `list` shows them.
        which: String,
    },
}

/// A token to be made.
#[derive(Debug, Args)]
pub(crate) struct NewTokenArgs {
    #[command(flatten)]
    settings: Settings,
    /// Whose it is; logs say this.
    name: String,
    /// What it may: read, upload, put, admin. May be repeated.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    /// Under which keys it may put entries; * stands for anything. May be repeated. Without it,
    /// all.
    #[arg(long = "key", value_name = "PATTERN")]
    keys: Vec<KeyPattern>,
    /// For how many days it is good. Without it, until it is revoked.
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u32>,
    /// May also be sent as ?token=, by clients that can send nothing else. Proxies log that.
    #[arg(long, conflicts_with = "password")]
    query: bool,
    /// Read a password from standard input, to be sent with the name, in place of a token.
    #[arg(long)]
    password: bool,
    /// Answer as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(crate) fn wants_password(&self) -> bool {
        matches!(self, Self::New(NewTokenArgs { password: true, .. }))
    }

    /// What to run, where, and whether to answer in JSON.
    pub(crate) fn with(self, password: Option<String>) -> (Overrides, TokenCommand, bool) {
        match self {
            Self::New(new) => {
                let NewTokenArgs { settings, name, roles, keys, expires_days, query, json, .. } =
                    new;
                let keys = if keys.is_empty() { vec![KeyPattern::all()] } else { keys };
                let expires_in_days = expires_days;
                let new =
                    NewToken { name, roles, keys, expires_in_days, in_query: query, password };
                (settings.into(), TokenCommand::New(new), json)
            }
            Self::List { settings, json } => (settings.into(), TokenCommand::List, json),
            Self::Revoke { settings, which } => {
                (settings.into(), TokenCommand::Revoke(which), false)
            }
        }
    }
}

/// What is to be checked, and how.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    settings: Settings,
    /// Check one share of the archive: 3/30 is the third of thirty.
    #[arg(long, value_name = "PART/OF", default_value_t = Subset::WHOLE)]
    subset: Subset,
    /// Leave out what a run over the same share had checked before it was cut off.
    #[arg(long)]
    resume: bool,
    /// Only report; move nothing, and count nothing as checked.
    #[arg(long)]
    dry_run: bool,
    /// Read at most so many bytes a second.
    #[arg(long, value_name = "BYTES")]
    rate: Option<NonZeroU64>,
    /// Report as one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

impl From<Verify> for (Overrides, VerifyOptions) {
    fn from(verify: Verify) -> Self {
        let Verify { settings, subset, resume, dry_run, rate, json: _ } = verify;
        let bytes_per_second = rate.map(NonZeroU64::get);
        (settings.into(), VerifyOptions { subset, resume, dry_run, bytes_per_second })
    }
}

/// What wins over the configuration file and the environment.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The configuration file. Without it: shacache/server.toml in $XDG_CONFIG_HOME, or
    /// /etc/shacache/server.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: IP:PORT, https://IP:PORT, unix:/PATH or systemd:NAME. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Address>,
    /// The data folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

impl From<Settings> for Overrides {
    fn from(settings: Settings) -> Self {
        let Settings { config, listen, data } = settings;
        Self { file: config, listen, data }
    }
}

const EXAMPLES: &str = "\
Examples:
  shacached serve
  shacached serve --listen 0.0.0.0:8080 --data /srv/shacache
  shacached print-config > /etc/shacache/server.toml

Every setting is also a variable: SHACACHED_LISTEN, SHACACHED_LIMIT__BLOB_BYTES.
Exit codes: 0 done, 1 failed, 2 wrong usage, 4 found damage, 5 another server is not there.";
