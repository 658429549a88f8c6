//! A blob whose file is open. Owns how it is read: by its checksums where they are known, else by
//! hashing it, and what follows when it looks damaged.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use shacache_core::digest::Digest;

use super::Shared;
use super::hot::Look;
use super::reader::ArchiveReader;
use super::whole::{HOWEVER_LONG, PATIENCE};
use crate::error::{Chain, StoreError};

/// Nothing of it is read yet.
#[derive(Debug)]
pub(crate) struct ArchivedBlob {
    pub(super) shared: Arc<Shared>,
    pub(super) digest: Digest,
    pub(super) file: Arc<File>,
    pub(super) size: u64,
    /// How it was found, if a client asked for it.
    pub(super) look: Option<Look>,
}

impl ArchivedBlob {
    pub(super) fn new(shared: &Arc<Shared>, digest: Digest, file: File, size: u64) -> Self {
        Self { shared: Arc::clone(shared), digest, file: Arc::new(file), size, look: None }
    }

    /// The same blob, which `look` found: what is read of it is kept for others.
    pub(super) fn for_client(self, look: Look) -> Self {
        Self { look: Some(look), ..self }
    }

    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// As [`Blob::read`](super::Blob::read).
    pub(crate) async fn read(self, range: Range<u64>) -> Result<ArchiveReader, StoreError> {
        let range = super::within(&range, self.size);
        if self.size == 0 && self.digest != Digest::of(b"") {
            // Nothing would be read and so nothing checked.
            let digest = Box::new(self.digest);
            self.suspect();
            return Err(StoreError::Damaged(digest));
        }
        match self.shared.known_sums(&self.digest).await {
            Some(sums) if sums.size() == self.size => {
                if let Some(look) = self.look {
                    self.shared.hot.keep_found(&self.digest, look, &sums);
                }
                Ok(ArchiveReader::checked(self, sums, range))
            }
            Some(_) => {
                // Either the file or the index is wrong; only reading the whole file tells.
                let digest = Box::new(self.digest);
                self.suspect();
                Err(StoreError::Damaged(digest))
            }
            None if range == (0..self.size) => Ok(ArchiveReader::hashing(self)),
            None => {
                let sums = self.whole_sums(PATIENCE).await?;
                Ok(ArchiveReader::checked(self, sums, range))
            }
        }
    }

    /// Has the whole file checked in the background, because a part of it looks wrong.
    pub(super) fn suspect(self) {
        tokio::spawn(async move {
            match self.recheck(HOWEVER_LONG).await {
                Ok(_) => tracing::warn!(
                    digest = %self.digest,
                    "the blob is whole: its checksums in the index were wrong and are made anew"
                ),
                Err(StoreError::Damaged(_)) => {}
                Err(error) => {
                    tracing::error!(digest = %self.digest, error = %Chain(&error), "cannot check");
                }
            }
        });
    }
}
