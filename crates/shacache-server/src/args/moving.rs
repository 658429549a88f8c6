//! The command line of `shacached export` as it is typed.

use std::path::PathBuf;

use clap::Args;

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
