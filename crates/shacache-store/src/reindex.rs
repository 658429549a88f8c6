//! Filling the index from the archive: all of it on demand, what it lacks after an unclean stop.
//! Owns the walk over the archive's folders and the comparison with the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use crate::blob::BlobStore;
use crate::blocking::blocking;
use crate::directory::folder::{KeyFolder, key_of};
use crate::error::{Fault, StoreError};
use crate::index::{Change, Index};
use crate::layout::{Layout, RecordName, digest_of_path};
use crate::publisher::Publisher;
use crate::scan;

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
        self.index.completed_by(self.walk()).await
    }

    /// Makes the index anew. Requests are served meanwhile.
    pub(crate) async fn rebuild(&self) -> Result<Reindexed, StoreError> {
        self.index.clear();
        self.index.flush().await;
        self.index.completed_by(self.walk()).await
    }

    async fn walk(&self) -> Result<Reindexed, StoreError> {
        let mut found = Reindexed::default();
        self.forget_absent_blobs().await?;
        for folder in folders(self.layout.blobs()).await? {
            for folder in folders(folder).await? {
                self.blobs.check_running()?;
                self.walk_blobs(folder, &mut found).await?;
            }
        }
        self.index.record(Change::EntriesBegin);
        for folder in folders(self.layout.entries()).await? {
            for folder in folders(folder).await? {
                self.blobs.check_running()?;
                self.walk_entries(folder, &mut found).await?;
            }
        }
        self.index.record(Change::EntriesEnd);
        // A blob may be listed, and its other digests have gone with an earlier index.
        self.index.flush().await;
        self.blobs.compute_aliases();
        Ok(found)
    }

    async fn forget_absent_blobs(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let listed = self.index.blobs(after).await?;
            let Some((last, _)) = listed.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (digest, size) in listed {
                let there = self.blobs.get(&digest).await?;
                if there.is_none_or(|blob| blob.size() != size) {
                    self.index.record(Change::NoBlob(digest));
                }
            }
        }
    }

    async fn walk_blobs(&self, folder: PathBuf, found: &mut Reindexed) -> Result<(), StoreError> {
        for digest in blocking(move || digests(&folder)).await? {
            let sums = match self.index.sums(&digest).await? {
                Some(sums) => Some(Arc::new(sums)),
                None => self.blobs.list(&digest).await?,
            };
            match sums {
                Some(sums) => {
                    found.blobs += 1;
                    found.bytes += sums.size();
                }
                None => found.damaged += 1,
            }
        }
        Ok(())
    }

    async fn walk_entries(&self, folder: PathBuf, found: &mut Reindexed) -> Result<(), StoreError> {
        let (layout, publisher) = (self.layout.clone(), Arc::clone(&self.publisher));
        let read = blocking(move || read_key(&layout, &publisher, &folder)).await?;
        let Some(KeyEntries { key, entries }) = read else {
            return Ok(());
        };
        for (record, entry) in entries {
            found.entries += 1;
            let digest = *entry.digest();
            self.index.record(Change::Entry { key: key.clone(), record, digest });
        }
        Ok(())
    }
}

/// A key and its visible entries.
#[derive(Debug)]
struct KeyEntries {
    key: Key,
    entries: Vec<(RecordName, SignedEntry)>,
}

/// The folders in a folder.
async fn folders(folder: PathBuf) -> Result<Vec<PathBuf>, StoreError> {
    blocking(move || {
        let mut paths = paths(&folder)?;
        paths.retain(|path| path.is_dir());
        Ok::<_, Fault>(paths)
    })
    .await
}

/// The blobs in one of the innermost folders.
fn digests(folder: &Path) -> Result<Vec<Digest>, Fault> {
    Ok(paths(folder)?.iter().filter_map(|path| digest_of_path(path)).collect())
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    scan::entries(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// The key that a folder is of, and its entries. `None` for a folder that is no key's.
fn read_key(
    layout: &Layout,
    publisher: &Publisher,
    folder: &Path,
) -> Result<Option<KeyEntries>, Fault> {
    let Some(key) = key_of(layout, folder)? else {
        tracing::warn!(path = %folder.display(), "skipped: not the folder of a key");
        return Ok(None);
    };
    let entries = KeyFolder::of(layout, &key.file_name()).read(publisher.durable())?.entries;
    Ok(Some(KeyEntries { key, entries }))
}
