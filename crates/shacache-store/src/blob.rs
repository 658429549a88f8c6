//! Blobs: bytes named by their SHA-512.

use std::ops::Range;

use bytes::Bytes;
use shacache_core::digest::{AliasDigest, Digest};

use crate::error::StoreError;

/// The blobs of a store. Cloning shares them.
#[derive(Debug, Clone)]
pub struct BlobStore {}

impl BlobStore {
    /// Looks a blob up; `None` when there is none, or it is banned.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn get(&self, _digest: &Digest) -> Result<Option<Blob>, StoreError> {
        unimplemented!()
    }

    /// Looks up by another digest, as far as those are computed yet.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn resolve(&self, _alias: &AliasDigest) -> Result<Resolved, StoreError> {
        unimplemented!()
    }

    /// Begins an upload. With `announced_bytes`, commit refuses any other length.
    ///
    /// # Errors
    /// When there is no space, or writes are refused.
    pub fn incoming(&self, _announced_bytes: Option<u64>) -> Result<Incoming, StoreError> {
        unimplemented!()
    }
}

/// What another digest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// No blob known by it (yet).
    Missing,
    /// One blob.
    One(Digest),
    /// Several blobs share it.
    Ambiguous,
}

/// A blob that is there; nothing of it is read yet.
#[derive(Debug)]
pub struct Blob {}

impl Blob {
    /// Its name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        unimplemented!()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// Starts reading `range`, which lies within the blob.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when a range of a blob that has no checksums yet would take too long.
    pub async fn read(self, _range: Range<u64>) -> Result<BlobReader, StoreError> {
        unimplemented!()
    }
}

/// Verified bytes of a blob, in order.
#[derive(Debug)]
pub struct BlobReader {}

impl BlobReader {
    /// The next piece, `None` at the end. No byte leaves before its checksum was checked.
    ///
    /// # Errors
    /// When the bytes are damaged or cannot be read; the answer must then be cut short.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        unimplemented!()
    }
}

/// An upload in flight. Dropped without [`Incoming::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Incoming {}

impl Incoming {
    /// Adds the next bytes.
    ///
    /// # Errors
    /// When they cannot be written, or are more than announced.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Publishes the bytes. When this returns they are on disk under their digest and survive a
    /// power cut.
    ///
    /// # Errors
    /// When the digest is not the expected one, or a write fails; nothing is published then.
    pub async fn commit(self, _expected: Option<&Digest>) -> Result<Stored, StoreError> {
        unimplemented!()
    }
}

/// Proof that a blob is durable: only a commit makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    digest: Digest,
    size: u64,
    was_new: bool,
}

impl Stored {
    /// The blob's name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it was not there before.
    #[must_use]
    pub fn was_new(&self) -> bool {
        self.was_new
    }
}
