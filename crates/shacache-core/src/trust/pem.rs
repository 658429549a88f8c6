//! From the text of a list of PEM certificates (RFC 7468) to the bytes of each, and back. Splits where the
//! old client does, at each `BEGIN CERTIFICATE`, and does not mind indentation, which configuration
//! files have.

use data_encoding::BASE64;

use super::CertificateError;
use crate::base64;

/// One certificate of a list.
pub(super) struct Block {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// Its DER.
    pub(super) der: Result<Vec<u8>, CertificateError>,
}

/// The certificates of a list in turn. A text that is not blank and has none is one that is wrong.
pub(super) fn certificates(text: &str) -> Vec<Block> {
    let mut parts = text.split(BEGIN);
    let before = parts.next().unwrap_or_default();
    let mut line = 1 + before.matches('\n').count();
    let blocks: Vec<_> = parts
        .map(|part| {
            let block = Block { line, der: decode(part) };
            line += part.matches('\n').count();
            block
        })
        .collect();
    if blocks.is_empty() && !before.trim().is_empty() {
        return vec![Block { line: 1, der: Err(CertificateError::NoBegin) }];
    }
    blocks
}

/// One certificate, with its first and last line.
pub(super) fn encode(der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let mut text = format!("{BEGIN}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.extend([line, "\n"]);
        rest = after;
    }
    text + END + "\n"
}

/// Decodes what follows the first line; what follows the last line is not looked at.
fn decode(part: &str) -> Result<Vec<u8>, CertificateError> {
    let (base64, _after) = part.split_once(END).ok_or(CertificateError::NoEnd)?;
    base64::decode(base64).ok_or(CertificateError::NotBase64)
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const LINE: usize = 64;
