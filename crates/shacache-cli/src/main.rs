//! `shacache` and the three old command names, told apart by the name the program is started as.
//! A table of contents: find out what is asked, do it, turn the outcome into an exit code.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command, ConfigCommand, SoftwareCommand};
use self::legacy::Legacy;
use self::talk::Talk;

mod args;
mod check;
mod connection;
mod destination;
mod download;
mod exit;
mod expected;
mod fetch;
mod keygen;
mod legacy;
mod list;
mod manual;
mod metadata;
mod output;
mod part_file;
mod progress;
mod pump;
mod show;
mod software;
mod source;
mod talk;
mod terminal;
mod upload;
mod verify;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let mut named = || Legacy::named(Path::new(&arguments.next()?));
    // As a link with the old name, or as a subcommand of the new one.
    if let Some(legacy) = named().or_else(&mut named) {
        return legacy.run(arguments.collect());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::misused(&error),
    };
    let talk = Talk::new(&cli.talk);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(&talk, &error.into()),
    };
    let outcome = runtime.block_on(run(&cli.command, &talk));
    // Whoever interrupts does not wait for a thread that reads or writes something slow.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => exit::failed(&talk, &error),
    }
}

async fn run(command: &Command, talk: &Talk) -> anyhow::Result<ExitCode> {
    match command {
        Command::Upload(args) => upload::run(args, talk).await,
        Command::Download(args) => download::run(args, talk).await,
        Command::List(args) => list::run(args, talk).await,
        Command::Show(args) => show::run(args, talk).await,
        Command::Fetch(args) => fetch::run(args, talk).await,
        Command::Verify(args) => verify::run(args, talk).await,
        Command::Keygen(args) => keygen::run(args, talk),
        Command::Software(SoftwareCommand::Upload(args)) => software::upload(args, talk).await,
        Command::Software(SoftwareCommand::Download(args)) => software::download(args, talk).await,
        Command::Config(ConfigCommand::Check(args)) => check::run(args, talk),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { folder } => manual::pages(folder),
    }
}
