//! Completion scripts and man pages, made from the command line's own description.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::StdoutError;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shacache", &mut script);
    stdout().write_all(&script).map_err(StdoutError)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one man page for the program and one for each of its commands.
pub(crate) fn pages(folder: &Path) -> anyhow::Result<ExitCode> {
    let context = || format!("cannot write to {}", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(context)?;
    Ok(ExitCode::SUCCESS)
}
