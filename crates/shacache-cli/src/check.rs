//! `shacache config check`: opens everything that the configuration names, and says what is wrong
//! or unwise.

use std::process::ExitCode;

use shacache_client::Client;
use shacache_client::config::{Config, Purpose, Service};

use crate::args::ServerArgs;
use crate::connection;
use crate::output;
use crate::talk::Talk;

/// Checks the configuration without asking any server.
pub(crate) fn run(args: &ServerArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let config = connection::config(args, Purpose::Sources, talk)?;
    Client::new(&config)?;
    describe("cache", &config.cache)?;
    describe("directory", &config.directory)?;
    if args.config.is_some() && args.server.is_none() {
        // The addresses of the binary cache may be missing: not everybody has one.
        if let Ok(binaries) = connection::config(args, Purpose::Binaries, talk) {
            Client::new(&binaries)?;
            describe("binary cache", &binaries.cache)?;
            describe("binary directory", &binaries.directory)?;
        }
    }
    trust(&config, talk)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(name: &str, service: &Service) -> anyhow::Result<()> {
    for (verb, endpoint) in [("download", &service.download), ("upload", &service.upload)] {
        if let Some(endpoint) = endpoint {
            output::line(&format!("{name} {verb}: {endpoint}"))?;
        }
    }
    Ok(())
}

fn trust(config: &Config, talk: &Talk) -> anyhow::Result<()> {
    for certificate in config.trust.certificates() {
        let key = certificate.public_key();
        let name = certificate.common_name().unwrap_or("(no name)");
        let name = crate::terminal::escaped(name);
        output::line(&format!("trusted: {name}, RSA {}, {}", key.bits(), key.fingerprint()))?;
        if key.bits() < SAFE_BITS {
            talk.warn(&format!("the key of {name} has {} bits, which is weak", key.bits()));
        }
    }
    if config.trust.is_empty() {
        talk.warn("no trusted certificate: every entry will be refused without --no-trust");
    }
    match config.signer {
        Some(_) => output::line("signs: yes"),
        None => output::line("signs: no"),
    }
}

const SAFE_BITS: u32 = 2048;
