//! The entries of a key as they are answered: one JSON text and its tag. Must not know where entries
//! lie, nor who asks.

use bytes::Bytes;
use shacache_core::digest::Digest;
use shacache_core::entry::{self, SignedEntry};

use super::signers::{Narrowing, Signers};

/// The ready answer for one key: a JSON list of all its entries, each as it was put.
#[derive(Debug)]
pub struct Listing {
    json: Bytes,
    tag: Box<str>,
}

impl Listing {
    /// Each entry is a JSON text already: a list of them needs no more than brackets and commas.
    pub(super) fn of<'a>(bodies: impl Iterator<Item = &'a str> + Clone) -> Self {
        let length = bodies.clone().map(|body| body.len() + 2).sum();
        let mut json = String::with_capacity(length);
        for (at, body) in bodies.enumerate() {
            json.push_str(if at == 0 { "[" } else { ", " });
            json.push_str(body);
        }
        json.push(']');
        let mut tag = Digest::of(json.as_bytes()).to_string();
        tag.truncate(TAG_DIGITS);
        Self { json: json.into(), tag: tag.into() }
    }

    /// The same list without what is not wanted; `None` if nothing is.
    pub(super) fn narrowed(&self, signers: &Signers, wanted: Narrowing) -> Option<Self> {
        let all = entry::Listing::read(&self.json, usize::MAX).ok()?;
        let fitting: Vec<SignedEntry> =
            all.entries().flatten().filter(|entry| signers.fits(wanted, entry)).collect();
        (!fitting.is_empty()).then(|| Self::of(fitting.iter().map(SignedEntry::body)))
    }

    /// The JSON text, UTF-8.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Changes exactly when the text does; hex digits, fit for an ETag once quoted.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// 128 bits of a SHA-512.
const TAG_DIGITS: usize = 32;
