//! The entries of a key as they are answered: one JSON text and its tag. All who are answered the
//! same share one in memory, however slowly they read it. Must not know where entries lie, nor who
//! asks.

use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
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

    /// The list without what is not wanted, itself if all of it is; `None` if nothing is.
    pub(super) fn narrowed(
        self: &Arc<Self>,
        signers: &Signers,
        wanted: Narrowing,
    ) -> Option<Arc<Self>> {
        let all = entry::Listing::read(&self.json, usize::MAX).ok()?;
        let fitting: Vec<SignedEntry> =
            all.entries().flatten().filter(|entry| signers.fits(wanted, entry)).collect();
        match fitting.len() {
            0 => None,
            number if number == all.len() => Some(Arc::clone(self)),
            _ => Some(Arc::new(Self::of(fitting.iter().map(SignedEntry::body)))),
        }
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

/// A place for what lists answer, where the longest one that a key may have is kept, too. What is
/// not kept is made anew for each who asks, and is in memory as often as it is read slowly.
pub(super) fn cache<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    weight: W,
) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(LISTS)
        .weight_capacity(LIST_BYTES)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// Each keeps its part of the bytes, and nothing that is longer: twice what a key may have.
const SHARDS: usize = 2;
const LISTS: usize = 10_000;
const LIST_BYTES: u64 = 64 << 20;
/// 128 bits of a SHA-512.
const TAG_DIGITS: usize = 32;
