//! The directory: key → entries, oldest first.

use std::sync::Arc;

use bytes::Bytes;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use crate::error::StoreError;

/// The directory of a store. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Directory {}

impl Directory {
    /// The entries under `key`; `None` when there are none.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn get(&self, _key: &Key) -> Result<Option<Arc<Listing>>, StoreError> {
        unimplemented!()
    }

    /// Adds an entry. When this returns it is on disk and survives a power cut. The same entry
    /// twice is one entry.
    ///
    /// # Errors
    /// When it cannot be written; nothing is added then.
    pub async fn append(&self, _key: &Key, _entry: SignedEntry) -> Result<Appended, StoreError> {
        unimplemented!()
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Whether the entry was not there before.
    pub was_new: bool,
}

/// The ready answer for one key: a JSON list of all its entries, each as it was put.
#[derive(Debug)]
pub struct Listing {
    json: Bytes,
    tag: Box<str>,
}

impl Listing {
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
