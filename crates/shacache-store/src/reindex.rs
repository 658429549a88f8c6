//! Filling the index from the archive: all of it on demand, what it lacks after an unclean stop.
//! Owns the walk over the archive's folders and the comparison with the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::blob::BlobStore;
use crate::blocking::{blocking, joined};
use crate::directory::key_file;
use crate::error::{Chain, Fault, StoreError};
use crate::index::filling::Filling;
use crate::index::{Change, Index, ListedEntry, Position};
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::walk::{self, KeyEntries, digests, folders};

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
        self.index.clear_blobs();
        self.index.flush().await;
        let found = self.index.completed_by(self.walk(true)).await?;
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
            for folder in unread.skip(folders(folder).await)?.unwrap_or_default() {
                self.blobs.check_running()?;
                self.walk_blobs(folder, &mut found, &mut unread).await?;
            }
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

    async fn walk_blobs(
        &self,
        folder: PathBuf,
        found: &mut Reindexed,
        unread: &mut Unread,
    ) -> Result<(), StoreError> {
        let digests = unread.skip(blocking(move || digests(&folder)).await)?;
        for digest in digests.unwrap_or_default() {
            let sums = match self.index.sums(&digest).await? {
                Some(sums) => Some(Arc::new(sums)),
                None => match unread.skip(self.blobs.list(&digest).await)? {
                    Some(sums) => sums,
                    None => continue,
                },
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

    /// Lists the entries in some folders of keys. Some are read while others go into the index.
    async fn walk_keys(
        &self,
        folders: &[PathBuf],
        filling: &mut Option<Filling<'_>>,
        found: &mut Reindexed,
        unread: &mut Unread,
    ) -> Result<(), StoreError> {
        let mut runs = folders.chunks(KEYS_AT_ONCE).map(|run| (run, self.read_keys(run)));
        let mut next = runs.next();
        while let Some((folders, read)) = next {
            self.blobs.check_running()?;
            next = runs.next();
            for (folder, read) in folders.iter().zip(joined(read).await?) {
                let read = match unread.skip(read.map_err(StoreError::from))? {
                    Some(None) => unread.skip(self.read_nameless(folder).await)?,
                    read => read,
                };
                match read {
                    Some(Some(key)) => found.entries += self.list_key(key, filling).await,
                    Some(None) => {
                        let path = folder.display();
                        tracing::warn!(%path, "skipped: not the folder of a key");
                    }
                    None => {}
                }
            }
            if filling.is_none() {
                // The index is never far behind.
                self.index.flush().await;
            }
        }
        Ok(())
    }

    /// Lists what was read of a key, and gives the number of its entries.
    async fn list_key(&self, read: KeyEntries, filling: &mut Option<Filling<'_>>) -> u64 {
        let KeyEntries { key, entries, .. } = read;
        let number = entries.len() as u64;
        for (record, entry) in entries {
            let digest = *entry.digest();
            if let Some(filling) = filling {
                let at = Position { record, key: key.as_str().to_owned() };
                let metadata = entry.metadata_text().to_owned();
                filling.add(ListedEntry { at, digest, metadata }).await;
            } else {
                let metadata = entry.metadata_text().into();
                self.index.record(Change::Found { key: key.clone(), record, digest, metadata });
            }
        }
        number
    }

    /// Begins to read some keys.
    fn read_keys(&self, folders: &[PathBuf]) -> JoinHandle<Result<Vec<KeyRead>, StoreError>> {
        let (layout, publisher) = (self.layout.clone(), Arc::clone(&self.publisher));
        let folders = folders.to_vec();
        tokio::task::spawn_blocking(move || {
            let read = |folder: &PathBuf| walk::read_key(&layout, publisher.durable(), folder);
            Ok(folders.iter().map(read).collect())
        })
    }

    /// A key whose folder does not say which it is, if the index still knows.
    async fn read_nameless(&self, folder: &Path) -> Result<Option<KeyEntries>, StoreError> {
        if !key_file::restore(&self.layout, &self.index, &self.publisher, folder).await? {
            return Ok(None);
        }
        let (layout, publisher) = (self.layout.clone(), Arc::clone(&self.publisher));
        let folder = folder.to_owned();
        blocking(move || walk::read_key(&layout, publisher.durable(), &folder)).await
    }
}

/// What reading one key gives.
type KeyRead = Result<Option<KeyEntries>, Fault>;

/// So many keys are read at once, and as many wait to go into the index.
const KEYS_AT_ONCE: usize = 64;
