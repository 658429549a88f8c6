//! How a blob without credentials is kept apart, and how it gets into the archive once an accepted
//! entry names it. Owns the order of file and account: both change under one lock, and the blob is
//! durable in the archive before anybody is told.

use std::path::PathBuf;
use std::sync::Arc;

use shacache_core::digest::Digest;

use super::sums::Sums;
use super::{BlobStore, Shared, whole};
use crate::blocking::blocking;
use crate::error::{Chain, Fault, StoreError};
use crate::scan;
use crate::timestamp::Timestamp;
use crate::unclaimed::{Changing, Held};

impl BlobStore {
    /// Moves the blob into the archive if it lies unclaimed, or was collected; says whether it did.
    /// When this returns the blob survives a power cut there.
    ///
    /// # Errors
    /// When it cannot be moved; it stays where it was then.
    pub(crate) async fn claim(&self, digest: &Digest) -> Result<bool, StoreError> {
        let changing = self.0.unclaimed.changing(digest).await;
        match self.0.unclaimed.held(digest) {
            None => self.0.restore(&changing, digest).await,
            Some(held) => self.0.claim(changing, digest, held).await,
        }
    }

    /// Takes blobs away that nobody claims in time, for ever.
    pub(crate) async fn expire_unclaimed(&self) {
        self.0.unclaimed.expire(&self.0.publisher).await;
    }
}

impl Shared {
    async fn claim(
        self: &Arc<Self>,
        changing: Changing,
        digest: &Digest,
        held: Held,
    ) -> Result<bool, StoreError> {
        if self.is_banned(digest).await? {
            self.unclaimed.remove(changing, digest).await?;
            return Ok(false);
        }
        let sums = match held.sums {
            Some(sums) => sums,
            None => match self.checked_again(&changing, digest).await? {
                Some(sums) => sums,
                None => return Ok(false),
            },
        };
        let (shared, from) = (Arc::clone(self), self.layout.unclaimed_blob(digest));
        let to = self.layout.blob(digest);
        blocking(move || shared.publisher.adopt(&from, &to)).await?;
        self.unclaimed.forget(&changing, digest);
        self.know(digest, &sums);
        Ok(true)
    }

    /// Takes away a copy outside the archive of what the archive has now.
    pub(super) async fn no_longer_unclaimed(&self, digest: &Digest) {
        if self.unclaimed.held(digest).is_none() {
            return;
        }
        let changing = self.unclaimed.changing(digest).await;
        if let Err(error) = self.unclaimed.remove(changing, digest).await {
            // Its time will be over some day.
            tracing::warn!(%digest, error = %Chain(&error), "a second copy stays unclaimed");
        }
    }

    /// Judges a blob that an earlier run left, or somebody else put there: the sums when its bytes
    /// are those that its name says. Otherwise it is taken away.
    async fn checked_again(
        self: &Arc<Self>,
        changing: &Changing,
        digest: &Digest,
    ) -> Result<Option<Arc<Sums>>, StoreError> {
        let path = self.layout.unclaimed_blob(digest);
        let shared = Arc::clone(self);
        match blocking(move || shared.hash_unclaimed(path)).await? {
            Some((found, sums)) if found == *digest => return Ok(Some(Arc::new(sums))),
            Some(_) => self.quarantine_unclaimed(digest).await?,
            None => {}
        }
        self.unclaimed.forget(changing, digest);
        Ok(None)
    }

    fn hash_unclaimed(&self, path: PathBuf) -> Result<Option<(Digest, Sums)>, StoreError> {
        let Some(file) = scan::file(&path)? else {
            return Ok(None);
        };
        self.publisher.sync_existing(&path)?;
        let hashed = whole::hash(&file, &path, |_| false)?;
        Ok(hashed)
    }

    async fn quarantine_unclaimed(self: &Arc<Self>, digest: &Digest) -> Result<(), StoreError> {
        let (shared, from) = (Arc::clone(self), self.layout.unclaimed_blob(digest));
        let to = self.layout.quarantined_blob(digest, Timestamp::now());
        tracing::error!(%digest, to = %to.display(), "damaged before it was claimed");
        let moved =
            move || shared.publisher.move_away(&from, &to, || Ok::<_, Fault>(true)).map(drop);
        blocking(moved).await
    }
}
