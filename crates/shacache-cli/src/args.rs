//! The command line of `shacache` as it is typed. Nothing is looked up here: no file is opened and
//! no address is checked beyond its form.

use std::path::PathBuf;

use clap::{ArgAction, Args, ColorChoice, Parser, Subcommand};
use shacache_core::digest::Digest;

/// Keep and find the exact bytes that software was built from.
#[derive(Debug, Parser)]
#[command(name = "shacache", version, infer_long_args = true, propagate_version = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload files, and index them when a key or URL is given
    #[command(after_help = UPLOAD_EXAMPLES)]
    Upload(UploadArgs),
    /// Download a blob by its digest, key or URL
    #[command(after_help = DOWNLOAD_EXAMPLES)]
    Download(DownloadArgs),
}

/// How much to say and how.
#[derive(Debug, Args)]
pub(crate) struct TalkArgs {
    /// Say more; twice for every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Draw no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

impl TalkArgs {
    /// The colour choice in the terms of the crate that writes to the terminal.
    pub(crate) fn color_choice(&self) -> anstream::ColorChoice {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

/// Where the server is and how to prove who one is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// A slapos.cfg whose [networkcache] section is used
    #[arg(short, long, value_name = "FILE", env = "SHACACHE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// A server at its default mounts: URL/shacache and URL/shadir
    #[arg(long, value_name = "URL", env = "SHACACHE_SERVER")]
    pub(crate) server: Option<String>,
    /// The blob service, for reading and writing
    #[arg(long, value_name = "URL", env = "SHACACHE_CACHE_URL")]
    pub(crate) cache_url: Option<String>,
    /// The directory service, for reading and writing
    #[arg(long, value_name = "URL", env = "SHACACHE_DIR_URL")]
    pub(crate) dir_url: Option<String>,
}

/// A key of the directory, or the URL it is made of.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SubjectArgs {
    /// The key in the directory
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// The URL whose key it is: file-urlmd5:md5(URL)
    #[arg(short, long)]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Files to upload; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print checksums in the BSD form
    #[arg(long)]
    pub(crate) tag: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// The SHA-512 of the blob, in hex
    #[arg(value_name = "SHA512")]
    pub(crate) digest: Digest,
    /// Write to this file, through FILE.part; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 verification failed, 5 network.";

const UPLOAD_EXAMPLES: &str = "\
Examples:
  shacache upload --server http://127.0.0.1:8080 hello.tar.gz
  tar c folder | shacache upload -";

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  shacache download --server http://127.0.0.1:8080 DIGEST -o hello.tar.gz
  shacache download DIGEST | tar x";
