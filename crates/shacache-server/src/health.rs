//! `shacached health`: whether the server that has the data folder open takes writes. It asks over
//! the socket in that folder, so it needs neither a port nor a right.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use shacache_server::admin::client;
use shacache_server::config::{self, Overrides};
use tokio::runtime::Builder;

/// Asks the server of the configured data folder.
pub(crate) fn run(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    let config = config::load(overrides)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(client::health(config.data()))?;
    io::stdout().write_all(answer.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
