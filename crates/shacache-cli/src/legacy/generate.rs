//! `generate-signature-key` as 0.30 has it: RSA-1024, because that is what it makes; the modern
//! `keygen` makes better keys that old clients verify as well.

use std::io::{IsTerminal, Write, stdout};
use std::path::Path;

use anyhow::bail;
use shacache_client::keygen::KeyPair;
use shacache_core::json::Value;

use super::Failure;
use super::argparse::{Parser, Positionals};
use crate::keygen::create;
use crate::output::StdoutError;
use crate::talk::complain;

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let parser = Parser::new("generate-signature-key")
        .option(None, "cert-file", "Certificate to generate (by default, on standard output).")
        .positionals(Positionals::Each(&["key_file", "common_name"]));
    let arguments = parser.parse(arguments, |_, _| Ok(None))?;
    let [key_file, common_name] = arguments.positionals() else {
        return Err(parser.error("key_file and common_name are required"));
    };
    let cert_file = arguments.value("cert-file").unwrap_or("-");
    Ok(generate(cert_file, key_file, common_name)?)
}

fn generate(cert_file: &str, key_file: &str, common_name: &str) -> anyhow::Result<()> {
    for (what, path) in [("Certificate", cert_file), ("Key", key_file)] {
        if Path::new(path).symlink_metadata().is_ok() {
            bail!("{what} {} exists, will not overwrite.", quoted(path));
        }
    }
    complain("warning: RSA-1024 is weak; `shacache keygen` makes keys that old clients verify too");
    let pair = KeyPair::generate(LEGACY_BITS, common_name)?;
    let intro = format!(
        "Generating certificate for {} (key: {}, certficate: {})\n\n",
        quoted(common_name),
        quoted(key_file),
        quoted(cert_file)
    );
    let outro = "\nDon't forget to add the certificate to the signature-certificate-list in your \
                 SlapOS configuration file.\n";
    create(Path::new(key_file), &pair.private_key_pem, 0o600)?;
    let certificate = &pair.certificate_pem;
    let text = if cert_file != "-" {
        create(Path::new(cert_file), certificate, 0o666)?;
        format!("{intro}{certificate}\n{outro}")
    } else if stdout().is_terminal() {
        format!("{intro}{certificate}{outro}")
    } else {
        // In a pipe the old tool's own words come after those of the program it starts.
        format!("{certificate}{intro}{outro}")
    };
    Ok(stdout().write_all(text.as_bytes()).map_err(StdoutError)?)
}

/// Python's `repr` of a string that needs no escapes beyond those of JSON.
fn quoted(text: &str) -> String {
    if !text.contains('\'') && text.chars().all(|c| !c.is_control() && c != '\\') {
        return format!("'{text}'");
    }
    Value::from(text).to_string()
}

const LEGACY_BITS: usize = 1024;
