//! Completion scripts and man pages, made from the command line's own description. Must not know
//! what the commands do.

use std::error::Error;
use std::fs;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::CommandLine;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Box<dyn Error>> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "shacached", &mut script);
    stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one man page for the program and one for each of its commands.
pub(crate) fn pages(folder: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let failed = |source| CannotWrite { folder: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(CommandLine::command(), folder).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to {}", folder.display())]
struct CannotWrite {
    folder: PathBuf,
    source: std::io::Error,
}
