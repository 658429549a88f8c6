//! The durable archive behind ShaCache and ShaDir.

pub mod blob;
pub mod directory;
pub mod error;

use std::path::PathBuf;

use crate::blob::BlobStore;
use crate::directory::Directory;
use crate::error::StoreError;

/// How a [`Store`] is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data folder; made if missing.
    pub data: PathBuf,
}

/// Everything below one data folder. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens the data folder, making it if it is missing. Blocking.
    ///
    /// # Errors
    /// When another process holds it, its format is newer, or a file operation fails.
    pub fn open(_options: &StoreOptions) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        unimplemented!()
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        unimplemented!()
    }

    /// Whether writes are accepted; the reason when they are not.
    #[must_use]
    pub fn health(&self) -> Health {
        unimplemented!()
    }

    /// Rebuilds the index from the archive while it serves. Returns what was counted.
    ///
    /// # Errors
    /// When the archive cannot be read or the index not be written.
    pub async fn reindex(&self) -> Result<Reindexed, StoreError> {
        unimplemented!()
    }

    /// Waits for what is under way and marks the index clean. Nothing is accepted afterwards.
    pub async fn close(&self) {
        unimplemented!()
    }
}

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Healthy,
    /// A write failed in a way that leaves the disk's state unknown: reads go on, writes are
    /// refused until the server is started anew.
    ReadOnly {
        /// What failed.
        reason: String,
    },
}

/// What a reindex found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reindexed {
    /// Blobs in the archive.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Entries in the archive.
    pub entries: u64,
}
