//! The command lines of `shacached export` and `shacached import` as they are typed.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use shacache_server::config::Overrides;
use shacache_server::upstream::{Location, Patience};

use super::Settings;

/// What is to be copied, and where to.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// A folder, which is made, or which holds an export to be added to; a file whose name ends in
    /// .tar; or - for a tar stream on standard output.
    pub(crate) to: PathBuf,
    /// Leave out what this earlier export has, a folder or a tar file. May be repeated.
    #[arg(long, value_name = "EARLIER")]
    pub(crate) since: Vec<PathBuf>,
    /// Report as one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What is to be taken in.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new(PLACE).multiple(true)
    .args(["from", "from_cache", "from_dir", "from_config"]))]
pub(crate) struct Import {
    #[command(flatten)]
    settings: Settings,
    /// An export: a folder, a tar file, or - for a tar stream on standard input. Or a data folder that
    /// no server has open.
    #[arg(
        required_unless_present_any = ["slapproxy", PLACE],
        conflicts_with_all = ["slapproxy", PLACE]
    )]
    export: Option<PathBuf>,
    /// What a slapproxy kept in its shacache-content-directory and shacache-metadata-directory.
    #[arg(
        long,
        num_args = 2,
        value_names = ["CONTENT_DIR", "METADATA_DIR"],
        conflicts_with = PLACE
    )]
    slapproxy: Vec<PathBuf>,
    #[command(flatten)]
    services: ServicesArgs,
    /// Report as one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A server that is asked over HTTP.
#[derive(Args)]
#[group(skip)]
struct ServicesArgs {
    /// A running server, any ShaCache and ShaDir: URL/shacache and URL/shadir are asked for what is
    /// under the keys of --keys. What is here already is not fetched again.
    #[arg(long, value_name = "URL", requires = "keys")]
    #[arg(conflicts_with_all = ["from_cache", "from_dir", "from_config"])]
    from: Option<String>,
    /// The ShaCache, where it has a URL of its own.
    #[arg(long, value_name = "URL", requires_all = ["from_dir", "keys"])]
    #[arg(conflicts_with = "from_config")]
    from_cache: Option<String>,
    /// The ShaDir, where it has a URL of its own.
    #[arg(long, value_name = "URL", requires_all = ["from_cache", "keys"])]
    #[arg(conflicts_with = "from_config")]
    from_dir: Option<String>,
    /// Both as the [networkcache] of a slapos.cfg has them: download-cache-url, download-dir-url, and
    /// their -ca-file, -cert-file and -key-file. A password in a URL is seen by nobody there.
    #[arg(long, value_name = "FILE", requires = "keys")]
    from_config: Option<PathBuf>,
    /// The keys, one a line as they are, not encoded; - for standard input. A ShaDir cannot list them.
    #[arg(long, value_name = "FILE", requires = PLACE)]
    keys: Option<PathBuf>,
    /// How long to wait for an answer, or for more of one.
    #[arg(long, value_name = "SECONDS", default_value = "60", requires = "keys")]
    timeout: NonZeroU32,
    /// How often to ask for the same before it is left out.
    #[arg(long, value_name = "TIMES", default_value = "5", requires = "keys")]
    tries: NonZeroUsize,
}

/// A URL may have a password in it.
impl fmt::Debug for ServicesArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicesArgs").finish_non_exhaustive()
    }
}

impl ServicesArgs {
    fn source(self) -> Option<ImportSource> {
        let Self { from, from_cache, from_dir, from_config, keys, timeout, tries } = self;
        let location = match (from, from_cache, from_dir, from_config) {
            (Some(url), ..) => Location::Server(url),
            (_, Some(cache), Some(directory), _) => Location::Apart { cache, directory },
            (.., Some(file)) => Location::Networkcache(file),
            _ => return None,
        };
        let patience = Patience { wait: Duration::from_secs(timeout.get().into()), tries };
        Some(ImportSource::Services { location, keys: keys.unwrap_or_default(), patience })
    }
}

/// Where things to be taken in are.
pub(crate) enum ImportSource {
    Export(PathBuf),
    Slapproxy { content: PathBuf, metadata: PathBuf },
    Services { location: Location, keys: PathBuf, patience: Patience },
}

impl From<Import> for (Overrides, ImportSource) {
    fn from(import: Import) -> Self {
        let Import { settings, export, slapproxy, services, json: _, quiet: _ } = import;
        let source = match <[PathBuf; 2]>::try_from(slapproxy) {
            Ok([content, metadata]) => ImportSource::Slapproxy { content, metadata },
            Err(_) => services
                .source()
                .unwrap_or_else(|| ImportSource::Export(export.unwrap_or_default())),
        };
        (settings.into(), source)
    }
}

/// The group of what says which server is asked.
const PLACE: &str = "place";
