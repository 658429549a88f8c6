//! Blobs that were taken out of the archive on purpose: when one may be, how it goes to quarantine,
//! and how it comes back. Owns the order of file and index, and that a blob comes back whole; must
//! not know what makes a blob worth collecting.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shacache_core::digest::Digest;

use super::{BlobStore, Shared};
use crate::blocking::blocking;
use crate::defence::Defence;
use crate::error::{Chain, Fault, StoreError};
use crate::gate::Pass;
use crate::index::Change;
use crate::naming::{Named, Naming};
use crate::scan;
use crate::timestamp::Day;
use crate::unclaimed::Changing;

/// A blob that nobody wrote or asked for lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Idle {
    pub(crate) bytes: u64,
    pub(crate) last_used: Day,
}

impl BlobStore {
    /// Says that an entry that names the blob is on its way, until the answer is dropped: it is not
    /// collected meanwhile.
    pub(crate) async fn name(&self, digest: &Digest) -> Named {
        self.0.naming.name(digest).await
    }

    /// What is being named.
    pub(crate) fn naming(&self) -> &Naming {
        &self.0.naming
    }

    /// How many blobs came back because an entry named them, since the store was opened.
    #[must_use]
    pub fn restored(&self) -> u64 {
        self.0.restored.load(Ordering::Relaxed)
    }

    /// The blob, if it is there and nobody wrote or asked for it in the last `days` full days; with
    /// 0, also if somebody just did.
    pub(crate) async fn idle(
        &self,
        digest: &Digest,
        days: u64,
    ) -> Result<Option<Idle>, StoreError> {
        let path = self.0.layout.blob(digest);
        let Some((bytes, written)) = blocking(move || written(&path)).await? else {
            return Ok(None);
        };
        let last_used = match days {
            0 => written,
            _ => written.max(self.0.usage.last(digest).await?),
        };
        Ok(is_idle(last_used, days).then_some(Idle { bytes, last_used }))
    }

    /// Moves blobs to quarantine, as far as they are idle still; gives those that stay.
    pub(crate) async fn collect(
        &self,
        _pass: &Pass,
        digests: Vec<Digest>,
        days: u64,
    ) -> Result<Vec<Digest>, StoreError> {
        // Forgotten first: what is listed and not there counts as lost.
        for digest in &digests {
            self.0.sums.remove(digest);
            // Of a banned one there is a tombstone already.
            self.0.hot.forget(digest);
            self.0.index.record(Change::NoBlob(*digest));
        }
        self.0.index.sync().await;
        let shared = Arc::clone(&self.0);
        let stay = blocking(move || shared.collect(digests, days)).await?;
        if !stay.is_empty() {
            self.0.index.reconsider();
        }
        Ok(stay)
    }

    /// The blob is banned: it is not served from memory from here on.
    pub(crate) fn forget_banned(&self, digest: &Digest) {
        self.0.hot.forget(digest);
    }

    /// Brings a blob back that was collected, if it is not banned; says whether there was one. When
    /// this returns it survives a power cut.
    pub(crate) async fn restore(&self, _pass: &Pass, digest: &Digest) -> Result<bool, StoreError> {
        let changing = self.0.unclaimed.changing(digest).await;
        self.0.restore(&changing, digest).await
    }

    /// Whether the index was not told yet of a blob that came back.
    pub(crate) fn has_unlisted(&self) -> bool {
        self.0.unlisted.load(Ordering::Acquire) > 0
    }

    /// Whether the blob lies where collected ones do.
    pub(crate) async fn is_collected(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.0.layout.collected(&self.0.layout.blob(digest));
        blocking(move || Ok::<_, Fault>(written(&path)?.is_some())).await
    }
}

impl Shared {
    fn collect(&self, digests: Vec<Digest>, days: u64) -> Result<Vec<Digest>, StoreError> {
        let mut stay = Vec::new();
        for digest in digests {
            let from = self.layout.blob(&digest);
            let is_idle = || Ok(written(&from)?.is_some_and(|(_, written)| is_idle(written, days)));
            if !self.publisher.move_away(&from, &self.layout.collected(&from), is_idle)? {
                stay.push(digest);
                continue;
            }
            self.hot.forget(&digest);
            tracing::info!(%digest, "collected: moved to quarantine");
            self.index.record(Change::Unused(digest));
            // Again: whoever read it just now may have listed it.
            self.index.record(Change::NoBlob(digest));
            if scan::status(&from)?.is_some() {
                // Uploaded again already, and listed before that.
                self.index.reconsider();
            }
        }
        Ok(stay)
    }

    /// As above; whoever asks has a pass.
    pub(super) async fn restore(
        self: &Arc<Self>,
        _changing: &Changing,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        if !Defence::Restoring.is_up() {
            return Ok(false);
        }
        let to = self.layout.blob(digest);
        if self.root.contains(to.clone()).await? || self.is_banned(digest).await? {
            return Ok(false);
        }
        let (shared, from) = (Arc::clone(self), self.layout.collected(&to));
        let is_back = blocking(move || {
            let is_there = written(&from)?.is_some();
            if is_there {
                shared.publisher.adopt(&from, &to)?;
            }
            Ok::<_, StoreError>(is_there)
        });
        if !is_back.await? {
            return Ok(false);
        }
        self.restored.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%digest, "named again: brought back from quarantine");
        self.list_restored(*digest);
        Ok(true)
    }

    /// Tells the index of a blob that came back, once it was read: nobody's answer waits for that,
    /// and whoever asks for it meanwhile gets it checked all the same.
    fn list_restored(self: &Arc<Self>, digest: Digest) {
        self.unlisted.fetch_add(1, Ordering::AcqRel);
        let blobs = BlobStore(Arc::clone(self));
        tokio::spawn(async move {
            if let Err(error) = blobs.list(&digest).await {
                tracing::warn!(%digest, error = %Chain(&error), "the index does not list it yet");
                blobs.0.index.reconsider();
            }
            blobs.0.unlisted.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn is_idle(last_used: Day, days: u64) -> bool {
    last_used.full_days_since() >= days
}

/// The size of a file, and the day on which it was written or came to where it is; `None` for none.
/// Copying a file in keeps the first of the two times, and sets the second. Blocking.
fn written(path: &Path) -> Result<Option<(u64, Day)>, Fault> {
    let found = scan::status(path)?.filter(|found| found.is_file());
    Ok(found.map(|found| (found.len(), Day::of_seconds(found.mtime().max(found.ctime())))))
}
