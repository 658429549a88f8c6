//! Filling the index from the archive: all of it on demand, what it lacks after an unclean stop.
//! Owns the walk over the archive's folders and the comparison with the index; how blobs are read is
//! the matter of [`blobs`], how entries are of [`keys`].

use std::sync::Arc;

use crate::blob::BlobStore;
use crate::error::{Chain, StoreError};
use crate::index::{Change, Index};
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::walk::folders;

mod blobs;
mod keys;

/// What a walk over the archive found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reindexed {
    /// Blobs whose bytes are those that their names say.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Blobs whose bytes are not; they are in quarantine now.
    pub damaged: u64,
    /// Entries that no tombstone hides.
    pub entries: u64,
    /// Blobs that the index listed before, and that are gone.
    pub lost: u64,
}

/// What of the archive could not be read: the rest is listed all the same, and the walk fails at its
/// end.
#[derive(Debug, Default)]
struct Unread(Option<StoreError>);

impl Unread {
    /// What was read; `None` when it could not be, which is told at the end.
    fn skip<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Err(error @ StoreError::Io { .. }) => {
                tracing::error!(error = %Chain(&error), "not read, and so not in the index");
                self.0.get_or_insert(error);
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn told<T>(self, found: T) -> Result<T, StoreError> {
        match self.0 {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }
}

/// What the walk needs.
#[derive(Debug)]
pub(crate) struct Reindexer {
    pub(crate) layout: Layout,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) blobs: BlobStore,
    pub(crate) index: Arc<Index>,
}

impl Reindexer {
    /// Brings the index in step with the archive. Blobs that it lists with the right size are not
    /// read again.
    pub(crate) async fn reconcile(&self) -> Result<Reindexed, StoreError> {
        let all_anew = self.index.is_unfilled().await?;
        self.index.completed_by(self.walk(all_anew)).await
    }

    /// Makes the index anew. Requests are served meanwhile. Lost blobs, which only the old one knows,
    /// are told before; its entries stay listed until all are there.
    pub(crate) async fn rebuild(&self) -> Result<Reindexed, StoreError> {
        let mut lost = 0;
        for first_byte in 0..=u8::MAX {
            for digest in self.blobs.lost(first_byte).await? {
                tracing::error!(%digest, "the index lists this blob, and it is not there");
                self.blobs.forget_lost(&digest).await;
                lost += 1;
            }
        }
        let clear = async || {
            self.index.clear_blobs();
            self.index.flush().await;
        };
        // The first may find out that the file has vanished, which the walk makes up for; what a
        // second fails at it does not.
        clear().await;
        let work = async {
            clear().await;
            self.walk(true).await
        };
        let found = self.index.completed_by(work).await?;
        Ok(Reindexed { lost, ..found })
    }

    /// Lists all entries anew if so wanted, or compares them with those that the index lists.
    async fn walk(&self, all_anew: bool) -> Result<Reindexed, StoreError> {
        let mut unread = Unread::default();
        let lost = self.forget_absent_blobs(&mut unread).await?;
        let mut found = Reindexed { lost, ..Reindexed::default() };
        if found.lost > 0 {
            tracing::error!(lost = found.lost, "blobs are gone: `shacached verify` tells which");
        }
        for folder in folders(self.layout.blobs()).await? {
            let folders = unread.skip(folders(folder).await)?.unwrap_or_default();
            self.walk_blobs(folders, &mut found, &mut unread).await?;
        }
        let mut filling = all_anew.then(|| self.index.fill());
        if filling.is_none() {
            self.index.record(Change::EntriesBegin);
        }
        for folder in folders(self.layout.entries()).await? {
            let keys = unread.skip(folders(folder).await)?.unwrap_or_default();
            self.walk_keys(&keys, &mut filling, &mut found, &mut unread).await?;
        }
        match filling {
            // Of what was not read now, the list before may know more.
            Some(filling) if unread.0.is_none() || self.index.is_unfilled().await? => {
                filling.finish().await;
            }
            Some(filling) => drop(filling),
            None if unread.0.is_none() => self.index.record(Change::EntriesEnd),
            None => {}
        }
        // A blob may be listed, and its other digests have gone with an earlier index.
        self.index.flush().await;
        self.blobs.compute_aliases();
        unread.told(found)
    }

    /// Blobs that got lost stay listed, until a check has told which they are; gives their number.
    async fn forget_absent_blobs(&self, unread: &mut Unread) -> Result<u64, StoreError> {
        let (mut after, mut lost) = (None, 0);
        loop {
            let listed = self.index.blobs(after).await?;
            let Some((last, _)) = listed.last() else {
                return Ok(lost);
            };
            after = Some(*last);
            for (digest, size) in listed {
                let Some(there) = unread.skip(self.blobs.look_up(&digest).await)? else {
                    continue;
                };
                if there.is_some_and(|blob| blob.size() == size) {
                    continue;
                }
                if self.blobs.is_gone(&digest).await? {
                    lost += 1;
                } else {
                    self.index.record(Change::NoBlob(digest));
                }
            }
        }
    }
}
