//! `shacache` and the three old command names, told apart by the name the program is started as.
//! A table of contents: find out what is asked, do it, turn the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::talk::Talk;

mod args;
mod connection;
mod download;
mod exit;
mod list;
mod metadata;
mod output;
mod part_file;
mod progress;
mod pump;
mod source;
mod talk;
mod terminal;
mod upload;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let talk = Talk::new(&cli.talk);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(&talk, &error.into()),
    };
    match runtime.block_on(run(&cli.command, &talk)) {
        Ok(code) => code,
        Err(error) => exit::failed(&talk, &error),
    }
}

async fn run(command: &Command, talk: &Talk) -> anyhow::Result<ExitCode> {
    match command {
        Command::Upload(args) => upload::run(args, talk).await,
        Command::Download(args) => download::run(args, talk).await,
        Command::List(args) => list::run(args, talk).await,
    }
}
