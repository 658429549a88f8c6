//! `shacache config check`: opens everything that the configuration names, and says what is wrong
//! or unwise.

use std::process::ExitCode;

use shacache_client::Client;
use shacache_client::config::{Config, Purpose, Service};
use shacache_core::json::{Object, Value};
use shacache_core::trust::Certificate;

use crate::args::ServerArgs;
use crate::talk::Talk;
use crate::terminal::escaped;
use crate::{connection, output};

/// Checks the configuration without asking any server.
pub(crate) fn run(args: &ServerArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let config = connection::config(args, Purpose::Sources, talk)?;
    Client::new(&config)?;
    let mut addresses = Vec::new();
    addresses.extend(addresses_of("cache", &config.cache));
    addresses.extend(addresses_of("directory", &config.directory));
    if args.config.is_some() && args.server.is_none() {
        // The addresses of the binary cache may be missing: not everybody has one.
        if let Ok(binaries) = connection::config(args, Purpose::Binaries, talk) {
            Client::new(&binaries)?;
            addresses.extend(addresses_of("binary cache", &binaries.cache));
            addresses.extend(addresses_of("binary directory", &binaries.directory));
        }
    }
    if talk.is_json() {
        output::document(document(&addresses, &config))?;
    } else {
        for (name, address) in addresses {
            output::line(&format!("{name}: {address}"))?;
        }
        for certificate in config.trust.certificates() {
            let key = certificate.public_key();
            let name = escaped(name_of(certificate));
            output::line(&format!("trusted: {name}, RSA {}, {}", key.bits(), key.fingerprint()))?;
        }
        output::line(if config.signer.is_some() { "signs: yes" } else { "signs: no" })?;
    }
    warn_of_weakness(&config, talk);
    Ok(ExitCode::SUCCESS)
}

/// Where a service is read and written, each with what that is called.
fn addresses_of(name: &str, service: &Service) -> Vec<(String, String)> {
    [("download", &service.download), ("upload", &service.upload)]
        .into_iter()
        .filter_map(|(verb, endpoint)| {
            Some((format!("{name} {verb}"), endpoint.as_ref()?.to_string()))
        })
        .collect()
}

fn document(addresses: &[(String, String)], config: &Config) -> Object {
    let mut named = Object::new();
    for (name, address) in addresses {
        named.insert(name.as_str(), address.as_str());
    }
    let trusted = config.trust.certificates().iter().map(|certificate| {
        let mut trusted = Object::new();
        trusted.insert("name", name_of(certificate));
        trusted.insert("bits", i64::from(certificate.public_key().bits()));
        trusted.insert("fingerprint", certificate.public_key().fingerprint().to_string());
        Value::from(trusted)
    });
    let mut document = Object::new();
    document.insert("addresses", named);
    document.insert("trusted", trusted.collect::<Value>());
    document.insert("signs", config.signer.is_some());
    document
}

fn warn_of_weakness(config: &Config, talk: &Talk) {
    for certificate in config.trust.certificates() {
        let bits = certificate.public_key().bits();
        if bits < SAFE_BITS {
            let name = name_of(certificate);
            talk.warn(&format!("the key of {name} has {bits} bits, which is weak"));
        }
    }
    if config.trust.is_empty() {
        talk.warn("no trusted certificate: every entry will be refused without --no-trust");
    }
}

fn name_of(certificate: &Certificate) -> &str {
    certificate.common_name().unwrap_or("(no name)")
}

const SAFE_BITS: u32 = 2048;
