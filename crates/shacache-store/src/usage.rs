//! When blobs were last asked for, to the day. Owns that nothing counts as unused too early: a day is
//! noted before the answer begins, and what the index has forgotten counts as used until the day on
//! which it began to note anew. Must not know what follows from being unused.

use std::sync::Arc;

use quick_cache::sync::Cache;
use shacache_core::digest::Digest;

use crate::error::StoreError;
use crate::index::{Change, Index};
use crate::timestamp::Day;

/// The uses of the blobs of a store.
#[derive(Debug)]
pub(crate) struct Usage {
    index: Arc<Index>,
    /// What the index was told already.
    told: Cache<Digest, Day>,
}

impl Usage {
    pub(crate) fn new(index: Arc<Index>) -> Self {
        Self { index, told: Cache::new(REMEMBERED) }
    }

    /// Notes that a blob is asked for, and that it may be asked for until the day is over.
    pub(crate) fn note(&self, digest: &Digest) {
        let today = Day::today();
        if self.told.get(digest) == Some(today) {
            return;
        }
        self.index.record(Change::Used { digest: *digest, day: today });
        self.told.insert(*digest, today);
    }

    /// What the index was told last.
    #[cfg(test)]
    pub(crate) fn noted(&self, digest: &Digest) -> Option<Day> {
        self.told.get(digest)
    }

    /// The day after which nobody asked for the blob, as far as is known.
    pub(crate) async fn last(&self, digest: &Digest) -> Result<Day, StoreError> {
        let since = self.index.uses_since();
        let listed = self.index.last_use(digest).await?;
        // Asked after the index, which may not have been told of it yet.
        let told = self.told.get(digest);
        Ok(since.max(listed.unwrap_or(since)).max(told.unwrap_or(since)))
    }
}

/// About 12 MiB.
const REMEMBERED: usize = 65_536;
