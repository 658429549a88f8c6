//! Blobs that got lost: the index lists them, and the archive has none. Whoever takes a blob out of
//! the archive tells the index first, so that nothing taken out on purpose counts as lost.

use std::sync::atomic::Ordering;

use shacache_core::digest::Digest;

use super::{BlobStore, Shared};
use crate::error::StoreError;
use crate::index::Change;

impl BlobStore {
    /// Blobs whose digest begins with this byte and that got lost.
    pub(crate) async fn lost(&self, first_byte: u8) -> Result<Vec<Digest>, StoreError> {
        let mut absent = Vec::new();
        let mut after = first_byte.checked_sub(1).map(last_with);
        'pages: loop {
            let listed = self.0.index.blobs(after).await?;
            let Some((last, _)) = listed.last() else {
                break;
            };
            after = Some(*last);
            for (digest, _) in listed {
                if digest.as_bytes()[0] != first_byte {
                    break 'pages;
                }
                if self.0.is_gone(&digest).await? {
                    absent.push(digest);
                }
            }
        }
        if absent.is_empty() {
            return Ok(absent);
        }
        self.0.index.flush().await;
        let mut lost = Vec::new();
        for digest in absent {
            let is_listed = self.0.index.sums(&digest).await?.is_some();
            if is_listed && self.0.is_gone(&digest).await? {
                lost.push(digest);
            }
        }
        Ok(lost)
    }

    /// Whether the archive has nothing under this name for sure, though nobody banned it.
    pub(crate) async fn is_gone(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.0.is_gone(digest).await
    }

    /// Tells the index that a blob is no longer there, for good.
    pub(crate) async fn forget(&self, digest: &Digest) {
        self.0.forget(digest).await;
    }

    /// As [`Self::forget`], of a blob that got lost.
    pub(crate) async fn forget_lost(&self, digest: &Digest) {
        self.0.lost.fetch_add(1, Ordering::Relaxed);
        self.0.forget(digest).await;
    }

    /// How many were found since the store was opened.
    pub(crate) fn lost_count(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn is_gone(&self, digest: &Digest) -> Result<bool, StoreError> {
        let is_gone = match self.root.contains(self.layout.blob(digest)).await {
            Ok(false) => self.is_banned(digest).await.map(|is_banned| !is_banned),
            Ok(true) => Ok(false),
            Err(error) => Err(error),
        };
        match is_gone {
            // It may be there or banned, behind a link say.
            Err(StoreError::Io { .. } | StoreError::Busy { .. }) => Ok(false),
            known => known,
        }
    }

    pub(super) async fn forget(&self, digest: &Digest) {
        self.sums.remove(digest);
        self.hot.forget(digest);
        self.index.record(Change::NoBlob(*digest));
        self.index.sync().await;
    }
}

/// The last digest that begins with this byte.
fn last_with(first_byte: u8) -> Digest {
    let mut bytes = [u8::MAX; 64];
    bytes[0] = first_byte;
    Digest::from_bytes(bytes)
}
