//! The blobs' part of the walk. Many are looked at on one thread: for a small one, going to another
//! thread costs more than to read it. Must not know how a blob is checked.

use std::path::PathBuf;

use shacache_core::digest::Digest;
use tokio::runtime::Handle;

use super::{Reindexed, Reindexer, Unread};
use crate::blob::{BlobStore, Checked};
use crate::blocking::{blocking, on_this_thread};
use crate::error::{Fault, StoreError};
use crate::walk;

impl Reindexer {
    /// Lists the blobs in the folders of a folder; those that the index has are not read again.
    pub(super) async fn walk_blobs(
        &self,
        folders: Vec<PathBuf>,
        found: &mut Reindexed,
        unread: &mut Unread,
    ) -> Result<(), StoreError> {
        self.blobs.check_running()?;
        let list = move || Ok::<_, Fault>(folders.iter().map(|it| walk::digests(it)).collect());
        let listed: Vec<Result<Vec<Digest>, Fault>> = blocking(list).await?;
        let mut digests = Vec::new();
        for listed in listed {
            let listed = unread.skip(listed.map_err(StoreError::from))?;
            digests.extend(listed.unwrap_or_default());
        }
        digests.sort_unstable();
        let (Some(first), Some(last)) = (digests.first(), digests.last()) else {
            return Ok(());
        };
        let known = self.index.whole_blobs(*first, *last).await?;
        digests.retain(|digest| match known.get(digest) {
            Some(size) => {
                found.add(*size);
                false
            }
            None => true,
        });
        for digests in digests.chunks(BLOBS_AT_ONCE) {
            let (blobs, digests, runtime) =
                (self.blobs.clone(), digests.to_vec(), Handle::current());
            let (mut counted, mut failed) = (*found, std::mem::take(unread));
            let look = move || {
                on_this_thread(&runtime, look_at(&blobs, &digests, &mut counted, &mut failed))?;
                Ok::<_, StoreError>((counted, failed))
            };
            (*found, *unread) = blocking(look).await?;
            // The index is never far behind.
            self.index.keep_up().await;
        }
        Ok(())
    }
}

impl Reindexed {
    fn add(&mut self, size: u64) {
        self.blobs += 1;
        self.bytes += size;
    }
}

/// Reads blobs on this thread.
async fn look_at(
    blobs: &BlobStore,
    digests: &[Digest],
    found: &mut Reindexed,
    unread: &mut Unread,
) -> Result<(), StoreError> {
    for digest in digests {
        match unread.skip(check(blobs, digest).await)? {
            Some(Checked::Whole { size, .. }) => found.add(size),
            Some(Checked::Damaged { .. }) => found.damaged += 1,
            Some(Checked::Unknown) => return Err(StoreError::Closed),
            Some(Checked::Absent) | None => {}
        }
    }
    Ok(())
}

/// Tells the index of a blob if it is whole, and if anybody may see it.
async fn check(blobs: &BlobStore, digest: &Digest) -> Result<Checked, StoreError> {
    if blobs.look_up(digest).await?.is_none() {
        return Ok(Checked::Absent);
    }
    blobs.check(digest, true, |_| blobs.check_running().is_ok()).await
}

/// So many wait at most to go into the index.
const BLOBS_AT_ONCE: usize = 4096;
