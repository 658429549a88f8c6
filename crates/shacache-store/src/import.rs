//! Taking in files of another archive, and entries of other servers, each checked before it is
//! published. Owns what is refused, and that what was deleted or banned here stays so. Where the
//! files come from is not known here.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use crate::Store;
use crate::archive_file::{ArchiveFile, Kind};
use crate::blob::Incoming;
use crate::error::{Fault, StoreError};
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::scan;
use crate::timestamp::Timestamp;
use crate::verify::Code;

/// What came of one file or entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is in the archive now, and survives a power cut.
    New,
    /// It was there.
    AlreadyThere,
    /// It is left out.
    Left {
        /// Why.
        code: Code,
        /// More about it, in one line.
        detail: String,
    },
}

/// What an entry of another server lacks before it can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lacking {
    /// Nothing: its blob is here.
    Nothing,
    /// Its blob.
    Blob,
    /// Its blob, which is banned here.
    BannedBlob,
    /// It was deleted here, and will not be taken.
    Permission,
}

impl Taken {
    fn new(was_new: bool) -> Self {
        if was_new { Self::New } else { Self::AlreadyThere }
    }

    fn left(code: Code, detail: impl Into<String>) -> Self {
        Self::Left { code, detail: detail.into() }
    }
}

impl Store {
    /// Takes a small file of another archive under its own name, if it holds what that says.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn import_text(&self, name: &ArchiveFile, text: Bytes) -> Result<Taken, StoreError> {
        if let Some((code, detail)) = name.damage(&text) {
            return Ok(Taken::left(code, detail));
        }
        Ok(Taken::new(match name.kind() {
            Kind::Version => false,
            Kind::Blob(digest) => {
                if self.blobs().has_whole(&digest).await? {
                    return Ok(Taken::AlreadyThere);
                }
                let mut incoming = match self.import_blob(Some(text.len() as u64), false) {
                    Ok(incoming) => incoming,
                    Err(error) => return without(error),
                };
                return match incoming.write(text).await {
                    Ok(()) => finish(incoming, &digest).await,
                    Err(error) => without(error),
                };
            }
            Kind::Entry | Kind::Tombstone | Kind::KeyFile => {
                self.directory().import_file(name, text).await?
            }
            Kind::Ban(_) | Kind::Hold | Kind::Audit => self.import_other(name, text).await?,
        }))
    }

    /// Begins to take a blob of another archive that this one does not have whole
    /// ([`BlobStore::has_whole`](crate::blob::BlobStore::has_whole)). A ban counts unless that
    /// archive has it, too, and keeps the bytes all the same: `banned_there`.
    ///
    /// # Errors
    /// When there is no space, or writes are refused.
    pub fn import_blob(
        &self,
        bytes: Option<u64>,
        banned_there: bool,
    ) -> Result<Incoming, StoreError> {
        let incoming = self.blobs().incoming(bytes)?;
        Ok(if banned_there { incoming.despite_ban() } else { incoming })
    }

    /// What has to be had before an entry of another server can be taken: a blob that is here, or will
    /// not be taken, need not be fetched.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn import_lacks(
        &self,
        key: &Key,
        entry: &SignedEntry,
    ) -> Result<Lacking, StoreError> {
        let blobs = self.blobs();
        Ok(if self.directory().was_deleted(key, entry.id()).await? {
            Lacking::Permission
        } else if blobs.has(entry.digest()).await? {
            Lacking::Nothing
        } else if blobs.is_banned(entry.digest()).await? {
            Lacking::BannedBlob
        } else {
            Lacking::Blob
        })
    }

    /// Takes an entry of another server under `key`, as an upload would be, but not one that was
    /// deleted here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn import_entry(&self, key: &Key, entry: SignedEntry) -> Result<Taken, StoreError> {
        match self.directory().append_unless_deleted(key, entry).await {
            Ok(Some(appended)) => Ok(Taken::new(appended.was_new)),
            Ok(None) => Ok(Taken::left(Code::Unwanted, "it was deleted here")),
            Err(error @ StoreError::KeyFull { .. }) => {
                Ok(Taken::left(Code::KeyFull, error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a small file is there and whole. A damaged one moves to quarantine: what comes in must not
/// replace the only trace of it. Blocking.
pub(crate) fn has_whole(
    layout: &Layout,
    publisher: &Publisher,
    name: &ArchiveFile,
) -> Result<bool, Fault> {
    let path = layout.archive().join(name.path());
    if name.is_at(&path)? {
        return Ok(true);
    }
    let place = layout.quarantined_item(&path, Timestamp::now());
    let is_damaged = || {
        let is_file = scan::status(&path)?.is_some_and(|found| found.is_file());
        Ok(is_file && !name.is_at(&path)?)
    };
    if publisher.move_away(&path, &place, is_damaged)? {
        tracing::error!(path = %path.display(), to = %place.display(), "damaged: moved to quarantine");
    }
    Ok(false)
}

/// Ends what [`Store::import_blob`] began.
///
/// # Errors
/// When it cannot be written. Bytes with another digest are left out.
pub async fn finish(incoming: Incoming, digest: &Digest) -> Result<Taken, StoreError> {
    match incoming.commit(Some(digest)).await {
        Ok(stored) => Ok(Taken::new(stored.was_new())),
        Err(error) => without(error),
    }
}

/// What the failure to take a blob means: this one is left out, or nothing can be written.
///
/// # Errors
/// When nothing can be written.
pub fn without(error: StoreError) -> Result<Taken, StoreError> {
    match error {
        StoreError::WrongDigest { .. } => {
            Ok(Taken::left(Code::BlobDamaged, "the bytes have another digest"))
        }
        StoreError::WrongLength { .. } => {
            Ok(Taken::left(Code::BlobDamaged, "it is longer or shorter than announced"))
        }
        StoreError::Banned(_) => Ok(Taken::left(Code::Unwanted, "it is banned here")),
        // A smaller one may fit.
        StoreError::NoSpace => Ok(Taken::left(Code::NoSpace, error.to_string())),
        error => Err(error),
    }
}
