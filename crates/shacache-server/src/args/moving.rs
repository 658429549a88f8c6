//! The command lines of `shacached export` and `shacached import` as they are typed.

use std::path::PathBuf;

use clap::Args;
use shacache_server::config::Overrides;

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
pub(crate) struct Import {
    #[command(flatten)]
    settings: Settings,
    /// An export: a folder, a tar file, or - for a tar stream on standard input. Or a data folder that
    /// no server has open.
    #[arg(required_unless_present = "slapproxy")]
    from: Option<PathBuf>,
    /// What a slapproxy kept in its shacache-content-directory and shacache-metadata-directory.
    #[arg(
        long,
        num_args = 2,
        value_names = ["CONTENT_DIR", "METADATA_DIR"],
        conflicts_with = "from"
    )]
    slapproxy: Vec<PathBuf>,
    /// Report as one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Where things to be taken in are.
#[derive(Debug)]
pub(crate) enum ImportSource {
    Export(PathBuf),
    Slapproxy { content: PathBuf, metadata: PathBuf },
}

impl From<Import> for (Overrides, ImportSource) {
    fn from(import: Import) -> Self {
        let Import { settings, from, slapproxy, json: _, quiet: _ } = import;
        let source = match <[PathBuf; 2]>::try_from(slapproxy) {
            Ok([content, metadata]) => ImportSource::Slapproxy { content, metadata },
            Err(_) => ImportSource::Export(from.unwrap_or_default()),
        };
        (settings.into(), source)
    }
}
