//! `shacached`: from the command line to an exit code.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use shacache_server::admin;
use shacache_server::config::{self, Overrides};
use shacache_store::error::Chain;

use self::args::{Command, CommandLine};

mod administration;
mod args;
mod descriptors;
mod export;
mod findings;
mod health;
mod import;
mod manual;
mod progress;
mod reindex;
mod service_manager;
mod start;
mod token;
mod verify;

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Serve(settings) => start::run(&settings.into()),
        Command::CheckConfig(settings) => check_config(&settings.into()),
        Command::PrintConfig(settings) => print_config(&settings.into()),
        Command::Reindex(settings) => reindex::run(&settings.into()),
        Command::Verify(verify) => {
            let json = verify.json;
            let (overrides, options) = verify.into();
            verify::run(&overrides, options, json)
        }
        Command::Export(command) => export::run(command),
        Command::Search(args) => args.command().map_err(Into::into).and_then(administration::run),
        Command::Keys(args) => administration::run(args.command(admin::command::Command::Keys)),
        Command::Blobs(args) => administration::run(args.command(admin::command::Command::Blobs)),
        Command::Delete(args) => args.command().map_err(Into::into).and_then(administration::run),
        Command::Ban(args) => administration::run(args.into()),
        Command::Unban(args) => administration::run(args.into()),
        Command::Gc(args) => administration::run(args.into()),
        Command::Hold(args) => administration::run(args.into()),
        Command::Import(command) => import::run(command),
        Command::Health(settings) => health::run(&settings.into()),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(&folder),
        Command::Token(command) => token(command),
    };
    outcome.unwrap_or_else(|error| {
        // With standard error gone there is nobody left to tell.
        let _unheard = writeln!(io::stderr(), "shacached: {}", Chain(&*error));
        ExitCode::FAILURE
    })
}

fn token(command: args::Token) -> Result<ExitCode, Box<dyn Error>> {
    let password = if command.wants_password() { Some(token::read_password()?) } else { None };
    let (overrides, command, json) = command.with(password);
    token::run(&overrides, command, json)
}

fn check_config(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    config::load(overrides)?;
    writeln!(io::stdout(), "the configuration is good")?;
    Ok(ExitCode::SUCCESS)
}

fn print_config(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    io::stdout().write_all(config::print(overrides)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
