//! PEM files of a service → the TLS side of its HTTP client. A file that cannot be used is named
//! with the line where it goes wrong.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use reqwest::{Certificate, ClientBuilder, Identity};

use crate::config::{ConfigError, TlsFiles};

/// Finishes `builder`; without `files`, https addresses are not used at all, and no authority is
/// believed: a machine that has none, as small containers do, can still speak http.
pub(super) fn build(
    mut builder: ClientBuilder,
    files: Option<&TlsFiles>,
) -> Result<reqwest::Client, ConfigError> {
    let Some(files) = files else {
        return finish(builder.tls_certs_only([]), THIS_MACHINE);
    };
    let mut named = THIS_MACHINE.to_owned();
    if let Some(path) = &files.ca {
        let authorities = authorities(path)?;
        builder =
            builder.tls_certs_only(authorities.into_iter().map(|(_, certificate)| certificate));
        named = path.display().to_string();
    }
    if let Some(path) = &files.certificate {
        let (identity, lines) = identity(path, files.key.as_deref().unwrap_or(path))?;
        builder = builder.identity(identity);
        named = lines;
    }
    finish(builder, &named)
}

fn finish(builder: ClientBuilder, files: &str) -> Result<reqwest::Client, ConfigError> {
    builder.build().map_err(|source| ConfigError::Tls { files: files.into(), source })
}

/// The certificates of a file, each with its line, and each known to be one.
fn authorities(path: &Path) -> Result<Vec<(usize, Certificate)>, ConfigError> {
    let text = read(path)?;
    let mut certificates = Vec::new();
    for block in PemBlock::all(path, &text)? {
        if !block.label.ends_with("CERTIFICATE") {
            continue;
        }
        let files = format!("{}:{}", path.display(), block.line);
        let certificate = Certificate::from_der(&block.der)
            .map_err(|source| ConfigError::Tls { files: files.clone().into(), source })?;
        certificates.push((block.line, certificate));
    }
    if certificates.is_empty() {
        return Err(pem_error(path, 1, "no certificate in this file"));
    }
    let all = certificates.iter().map(|(_, certificate)| certificate.clone());
    if reqwest::Client::builder().tls_certs_only(all).build().is_err() {
        // What a certificate holds is looked at only here; so each is tried alone.
        for (line, certificate) in &certificates {
            let alone = reqwest::Client::builder().tls_certs_only([certificate.clone()]);
            finish(alone, &format!("{}:{line}", path.display()))?;
        }
    }
    Ok(certificates)
}

/// A certificate and its key, and where they stand.
fn identity(certificate: &Path, key: &Path) -> Result<(Identity, String), ConfigError> {
    let (mut pem, mut lines) = (String::new(), Vec::new());
    for (path, wanted) in [(certificate, "CERTIFICATE"), (key, "PRIVATE KEY")] {
        let text = read(path)?;
        let blocks = PemBlock::all(path, &text)?;
        let fitting: Vec<_> = blocks.iter().filter(|b| b.label.ends_with(wanted)).collect();
        if fitting.is_empty() {
            let reason = format!("no `{wanted}` in this file");
            return Err(pem_error(path, 1, &reason));
        }
        if let Some(block) = fitting.iter().find(|block| block.label.starts_with("ENCRYPTED")) {
            return Err(pem_error(path, block.line, "an encrypted key cannot be used"));
        }
        lines.extend(fitting.first().map(|block| format!("{}:{}", path.display(), block.line)));
        for block in fitting {
            pem.push_str(block.text);
            pem.push('\n');
        }
    }
    let lines = lines.join(", ");
    match Identity::from_pem(pem.as_bytes()) {
        Ok(identity) => Ok((identity, lines)),
        Err(source) => Err(ConfigError::Tls { files: lines.into(), source }),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = fs::read(path)
        .map_err(|source| ConfigError::Read { path: path.display().to_string().into(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn pem_error(path: &Path, line: usize, reason: &str) -> ConfigError {
    ConfigError::Pem { path: path.display().to_string().into(), line, reason: reason.into() }
}

/// One `-----BEGIN …-----` to `-----END …-----` (RFC 7468, the lax form).
struct PemBlock<'a> {
    label: &'a str,
    line: usize,
    text: &'a str,
    der: Vec<u8>,
}

impl<'a> PemBlock<'a> {
    fn all(path: &Path, text: &'a str) -> Result<Vec<Self>, ConfigError> {
        let mut blocks = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(BEGIN) {
            let from = &rest[start..];
            let line = 1 + text[..text.len() - from.len()].matches('\n').count();
            let fail = |reason: &str| pem_error(path, line, reason);
            let label = from[BEGIN.len()..]
                .split_once("-----")
                .map(|(label, _)| label)
                .filter(|label| !label.contains('\n'))
                .ok_or_else(|| fail("a PEM block without the end of its first line"))?;
            let end = format!("-----END {label}-----");
            let body_at = BEGIN.len() + label.len() + "-----".len();
            let body_end = from[body_at..]
                .find(&end)
                .ok_or_else(|| fail("a PEM block without its end line"))?
                + body_at;
            // Old keys carry `Proc-Type:` lines before an empty line; they are not base64.
            let body = &from[body_at..body_end];
            let base64: String = body
                .rsplit_once("\n\n")
                .map_or(body, |(_, base64)| base64)
                .split_ascii_whitespace()
                .collect();
            let der = BASE64
                .decode(base64.as_bytes())
                .map_err(|_| fail("a PEM block that is not base64"))?;
            blocks.push(Self { label, line, text: &from[..body_end + end.len()], der });
            rest = &from[body_end + end.len()..];
        }
        Ok(blocks)
    }
}

const THIS_MACHINE: &str = "this machine";
const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_lines() {
        let text = "x\n-----BEGIN A-----\nAAAA\n-----END A-----\n\n-----BEGIN B C-----\nAQ==\n-----END B C-----\n";
        let blocks = PemBlock::all(Path::new("f"), text).expect("two blocks");
        let found: Vec<_> = blocks.iter().map(|b| (b.label, b.line, b.der.clone())).collect();
        assert_eq!(found, [("A", 2, vec![0, 0, 0]), ("B C", 6, vec![1])]);
    }

    #[test]
    fn a_broken_block_is_named_by_file_and_line() {
        for (text, message) in [
            ("\n-----BEGIN A-----\nAA!\n-----END A-----", "f:2: a PEM block that is not base64"),
            ("-----BEGIN A-----\nAAAA\n", "f:1: a PEM block without its end line"),
        ] {
            let error = PemBlock::all(Path::new("f"), text).err().expect("a broken block");
            assert_eq!(error.to_string(), message);
        }
    }
}
