//! The command line of `shacache` as it is typed. Nothing is looked up here: no file is opened and
//! no address is checked beyond its form.

use std::path::PathBuf;

use clap::{ArgAction, Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;
use shacache_client::Subject;
use shacache_client::filter::Criterion;
use shacache_core::digest::{AnyDigest, AnyDigestError, Digest};
use shacache_core::key::{Key, KeyError};

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
    /// List the entries of a key or URL that may be believed
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Show every entry of a key or URL, with who signed it and whether it may be believed
    Show(ShowArgs),
    /// Get a URL: from the cache if a trusted entry has it, else from its origin
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Check a file against a digest or against what a key or URL has in the directory
    Verify(VerifyArgs),
    /// Make a signing key and its certificate
    Keygen(KeygenArgs),
    /// Built software releases of SlapOS
    #[command(subcommand)]
    Software(SoftwareCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SoftwareCommand {
    /// Upload a built release for machines like this one
    Upload(SoftwareUploadArgs),
    /// Download the build that fits this machine and unpack it
    Download(SoftwareDownloadArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check that everything in the configuration can be used
    Check(ServerArgs),
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

/// Where the server is, how to prove who one is, and whom to trust.
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
    /// Certificates in PEM whose entries are believed, beside those of the configuration
    #[arg(long, value_name = "FILE", env = "SHACACHE_TRUST")]
    pub(crate) trust: Option<PathBuf>,
    /// The private key in PEM that signs entries
    #[arg(long, value_name = "FILE", env = "SHACACHE_SIGN_KEY")]
    pub(crate) sign_key: Option<PathBuf>,
}

/// A key of the directory, or the URL it is made of.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SubjectArgs {
    /// The key in the directory
    #[arg(short, long)]
    pub(crate) key: Option<Key>,
    /// The URL whose key it is: file-urlmd5:md5(URL)
    #[arg(short, long)]
    pub(crate) url: Option<String>,
}

impl SubjectArgs {
    /// What an option says, else an argument, which is a URL when it looks like one.
    pub(crate) fn subject_or(&self, argument: Option<&str>) -> Result<Subject, KeyError> {
        match (self.subject(), argument) {
            (Some(subject), _) => Ok(subject),
            (None, Some(text)) if text.contains("://") => Ok(Subject::Url(text.into())),
            (None, text) => Ok(Subject::Key(text.unwrap_or_default().parse()?)),
        }
    }

    /// What is meant, if anything.
    pub(crate) fn subject(&self) -> Option<Subject> {
        let key = self.key.clone().map(Subject::Key);
        key.or_else(|| self.url.clone().map(Subject::Url))
    }
}

/// Which entries are good enough.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Take entries whoever signed them
    #[arg(long)]
    pub(crate) no_trust: bool,
    /// Take entries that do not say which key they were made for
    #[arg(long)]
    pub(crate) any_key_binding: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Files, folders and URLs to upload; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) sources: Vec<String>,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Metadata of the entry, as a string; may be repeated
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) meta: Vec<(String, String)>,
    /// Metadata of the entry, as a JSON object in a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
    /// Print checksums in the BSD form
    #[arg(long)]
    pub(crate) tag: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// The SHA-512 of the blob in hex; with --key or --url, filters such as 'version>=[4,2]'
    #[arg(value_name = "SHA512|FILTER")]
    pub(crate) what: Vec<String>,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Write to this file, through FILE.part; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// A key of the directory, or a URL
    #[arg(value_name = "KEY|URL", required_unless_present_any = ["key", "url"])]
    pub(crate) what: Option<String>,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// Only entries that match, such as 'version>=[4,2]'; may be repeated
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Vec<Criterion>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A key of the directory, or a URL
    #[arg(value_name = "KEY|URL", required_unless_present_any = ["key", "url"])]
    pub(crate) what: Option<String>,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// What to get
    pub(crate) url: String,
    /// Write to this file, through FILE.part; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) expected: ExpectedArgs,
    /// Never ask the origin
    #[arg(long)]
    pub(crate) offline: bool,
    /// Keep what came from the origin out of the cache
    #[arg(long)]
    pub(crate) no_upload: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What the bytes have to hash to.
#[derive(Debug, Args)]
pub(crate) struct ExpectedArgs {
    /// The MD5 that the bytes have to have, in hex
    #[arg(long, value_name = "HEX", value_parser = digest_of::<32>)]
    pub(crate) md5: Option<AnyDigest>,
    /// The SHA-256 that the bytes have to have, in hex
    #[arg(long, value_name = "HEX", value_parser = digest_of::<64>)]
    pub(crate) sha256: Option<AnyDigest>,
    /// The SHA-512 that the bytes have to have, in hex
    #[arg(long, value_name = "HEX")]
    pub(crate) sha512: Option<Digest>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The file to check; `-` is standard input
    pub(crate) file: String,
    /// The digest it has to have
    #[arg(long, value_name = "HEX", conflicts_with_all = ["key", "url"])]
    pub(crate) sha512: Option<Digest>,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where to put the private key
    pub(crate) key_file: PathBuf,
    /// The name in the certificate
    pub(crate) common_name: String,
    /// Where to put the certificate; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) cert_file: PathBuf,
    /// Bits of the key
    #[arg(long, default_value_t = 3072, conflicts_with = "legacy")]
    pub(crate) bits: usize,
    /// A weak key of 1024 bits, as the old tool makes
    #[arg(long)]
    pub(crate) legacy: bool,
}

/// A software release.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The URL of the software release
    #[arg(long, value_name = "URL")]
    pub(crate) software_url: String,
    /// The compiler's name of the machine; this one's by default
    #[arg(long, value_name = "TRIPLET")]
    pub(crate) multiarch: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SoftwareUploadArgs {
    /// The folder with the built release
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    /// Where releases are installed; the folder above FOLDER by default
    #[arg(long, value_name = "FOLDER")]
    pub(crate) software_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SoftwareDownloadArgs {
    /// Where releases are installed; the release gets a folder named after its key there
    pub(crate) software_root: PathBuf,
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// A digest of a kind that is told by its length.
fn digest_of<const HEX_LEN: usize>(text: &str) -> Result<AnyDigest, String> {
    if text.len() != HEX_LEN {
        return Err(format!("it has {HEX_LEN} hex digits, not {}", text.len()));
    }
    text.parse().map_err(|error: AnyDigestError| error.to_string())
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("it has the form NAME=VALUE".into()),
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 verification failed, 5 network.";

const UPLOAD_EXAMPLES: &str = "\
Examples:
  shacache upload --server http://127.0.0.1:8080 hello.tar.gz
  shacache upload -c slapos.cfg hello.tar.gz --url http://example.com/hello.tar.gz
  tar c folder | shacache upload -";

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  shacache download --server http://127.0.0.1:8080 DIGEST -o hello.tar.gz
  shacache download -c slapos.cfg --url http://example.com/hello.tar.gz -o hello.tar.gz
  shacache download -c slapos.cfg --key pypi:hello 'version>=[4,2]' 'version<<Infinity' | tar x";

const FETCH_EXAMPLES: &str = "\
Examples:
  shacache fetch -c slapos.cfg http://example.com/hello.tar.gz -o hello.tar.gz
  shacache fetch http://example.com/hello.tar.gz --sha512 HEX --offline | tar xz";

const LIST_EXAMPLES: &str = "\
Examples:
  shacache list -c slapos.cfg http://example.com/hello.tar.gz
  shacache list --server http://127.0.0.1:8080 --no-trust pypi:hello=1.0 --json";
