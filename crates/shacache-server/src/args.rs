//! The command line of `shacached` as it is typed. Must not know what the commands do.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use shacache_server::config::Overrides;
use shacache_server::listen::Address;
use shacache_store::verify::{Subset, VerifyOptions};

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
Exit codes: 0 done, 1 failed, 2 wrong usage, 4 verify found damage.";
