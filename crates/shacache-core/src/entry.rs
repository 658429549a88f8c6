//! Entries of the directory: the metadata text and the signature exactly as they were put.

use crate::digest::Digest;
use crate::signature::Signature;

/// One entry as its uploader made it: `[metadata text, signature text]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    body: Box<str>,
    metadata_text: Box<str>,
    signature: Signature,
    digest: Digest,
    id: EntryId,
}

impl SignedEntry {
    /// The largest body accepted, in bytes.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    /// Reads the body of a PUT.
    ///
    /// # Errors
    /// When the body is not an entry that every client can read.
    pub fn from_body(_body: &[u8]) -> Result<Self, EntryError> {
        unimplemented!()
    }

    /// Makes an entry of its two texts.
    ///
    /// # Errors
    /// As [`SignedEntry::from_body`].
    pub fn from_texts(_metadata_text: &str, _signature_text: &str) -> Result<Self, EntryError> {
        unimplemented!()
    }

    /// The JSON text of the whole entry, byte for byte as it was put.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The text that is signed.
    #[must_use]
    pub fn metadata_text(&self) -> &str {
        &self.metadata_text
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The blob that the entry names.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What makes two entries under one key the same.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.id
    }
}

/// SHA-512 of metadata text, NUL, decoded signature bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(Digest);

/// Why a body is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {}
