//! Reading a whole blob to know its checksums: when a part is wanted and they are not known, or
//! when a part looks damaged. One read serves everybody who waits for the same blob; two happen at
//! once at most.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shacache_core::digest::{Digest, Hasher};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::archived::ArchivedBlob;
use super::sums::{CHUNK_BYTES, Summer, Sums};
use super::{BlobStore, Checked, Shared};
use crate::blocking::{blocking, on_this_thread};
use crate::defence::Defence;
use crate::error::{Chain, Fault, StoreError};

/// The whole reads under way.
#[derive(Debug)]
pub(crate) struct WholeReads {
    running: Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>,
    permits: Semaphore,
}

/// How a whole read ended.
#[derive(Debug, Clone)]
enum Outcome {
    Whole(Arc<Sums>),
    Damaged,
    Failed(Fault),
    /// The store is being closed.
    Stopped,
}

impl Default for WholeReads {
    fn default() -> Self {
        Self { running: Mutex::default(), permits: Semaphore::new(AT_ONCE) }
    }
}

impl ArchivedBlob {
    /// The sums of the whole blob, computed if they are not known. When they take too long the
    /// computation goes on without the caller.
    pub(super) async fn whole_sums(&self, patience: Duration) -> Result<Arc<Sums>, StoreError> {
        match self.shared.known_sums(&self.digest).await {
            Some(sums) if sums.size() == self.size => Ok(sums),
            Some(_) | None => self.recheck(patience).await,
        }
    }

    /// Reads the whole blob: the sums when its bytes are those that its name says, quarantine
    /// otherwise.
    pub(super) async fn recheck(&self, patience: Duration) -> Result<Arc<Sums>, StoreError> {
        let mut outcome = self.shared.whole_read(self)?;
        let waited = tokio::time::timeout(patience, outcome.wait_for(Option::is_some)).await;
        let ended = match waited {
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_)) => return Err(StoreError::Closed),
            Err(_) => return Err(StoreError::Busy { retry_after: RETRY_AFTER }),
        };
        match ended {
            Some(Outcome::Whole(sums)) => Ok(sums),
            Some(Outcome::Failed(fault)) => Err(fault.into()),
            Some(Outcome::Stopped) => Err(StoreError::Closed),
            Some(Outcome::Damaged) | None => Err(StoreError::Damaged(Box::new(self.digest))),
        }
    }
}

impl Shared {
    /// Joins the read of this blob that is under way, or begins one.
    fn whole_read(
        self: &Arc<Self>,
        blob: &ArchivedBlob,
    ) -> Result<watch::Receiver<Option<Outcome>>, StoreError> {
        let mut running = self.whole_reads.running();
        if let Some(outcome) = running.get(&blob.digest) {
            return Ok(outcome.clone());
        }
        if running.len() >= WAITING {
            return Err(StoreError::Busy { retry_after: RETRY_AFTER });
        }
        let (report, outcome) = watch::channel(None);
        running.insert(blob.digest, outcome.clone());
        let (shared, digest, file) = (Arc::clone(self), blob.digest, Arc::clone(&blob.file));
        tokio::spawn(async move {
            let ended = shared.read_whole(&digest, &file).await;
            shared.whole_reads.running().remove(&digest);
            // Everybody who waited may have gone.
            let _ = report.send(Some(ended));
        });
        Ok(outcome)
    }

    async fn read_whole(self: &Arc<Self>, digest: &Digest, file: &Arc<File>) -> Outcome {
        // The semaphore is never closed; without a permit the read happens all the same.
        let _permit = self.whole_reads.permits.acquire().await.ok();
        let (shared, path, open) = (Arc::clone(self), self.layout.blob(digest), Arc::clone(file));
        let read = blocking(move || {
            Ok::<_, StoreError>(hash(&open, &path, |_| shared.stopping.load(Ordering::Acquire)))
        });
        match read.await {
            Ok(Ok(Some((found, sums)))) if found == *digest => {
                let sums = Arc::new(sums);
                self.know_if_there(digest, &sums).await;
                Outcome::Whole(sums)
            }
            Ok(Ok(Some(_))) => {
                let _place = self.quarantine(digest, file).await;
                Outcome::Damaged
            }
            Ok(Err(fault)) => Outcome::Failed(fault),
            // The runtime refuses blocking work only when it ends.
            Ok(Ok(None)) | Err(_) => Outcome::Stopped,
        }
    }
}

impl WholeReads {
    fn running(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Digest, watch::Receiver<Option<Outcome>>>> {
        // Inserting and removing leave the map whole.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore {
    /// Whether the archive has a blob, banned or not, and all of it is whole. A damaged one moves to
    /// quarantine.
    ///
    /// # Errors
    /// When it cannot be read, or the store is closed meanwhile.
    pub async fn has_whole(&self, digest: &Digest) -> Result<bool, StoreError> {
        if !self.has(digest).await? {
            return Ok(false);
        }
        let (blobs, asked, runtime) = (self.clone(), *digest, Handle::current());
        let checked = blocking(move || {
            let go_on = |_| blobs.check_running().is_ok();
            on_this_thread(&runtime, blobs.check(&asked, true, go_on))
        });
        match checked.await? {
            Checked::Whole { .. } => {
                // Who asks would have uploaded it otherwise.
                self.0.usage.note(&asked);
                Ok(true)
            }
            Checked::Damaged { .. } | Checked::Absent => Ok(false),
            Checked::Unknown => Err(StoreError::Closed),
        }
    }

    /// Hashes a blob on this thread, and judges file and index by the result. `go_on` is told how
    /// much was read; with `false` nothing is judged.
    pub(crate) async fn check(
        &self,
        digest: &Digest,
        quarantine: bool,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Checked, StoreError> {
        let path = self.0.layout.blob(digest);
        let Some(file) = self.0.root.file(path.clone()).await? else {
            return Ok(Checked::Absent);
        };
        if self.0.publisher.durable().is_pending(&path) {
            return Ok(Checked::Absent);
        }
        let file = Arc::new(file);
        let hashed = hash(&file, &path, |read| !go_on(read))?;
        let Some((found, sums)) = hashed else {
            return Ok(Checked::Unknown);
        };
        if found != *digest && Defence::Checks.is_up() {
            let place = match quarantine {
                true => self.0.quarantine(digest, &file).await,
                false => None,
            };
            return Ok(Checked::Damaged { quarantine: place });
        }
        let size = sums.size();
        let listed = match self.0.index.sums(digest).await {
            Ok(listed) => listed,
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            // That says nothing about the blob.
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the index cannot be read");
                None
            }
        };
        let index_was_wrong = listed.as_ref().is_some_and(|listed| *listed != sums);
        if listed.is_none_or(|listed| listed != sums) {
            self.0.know_if_there(digest, &Arc::new(sums)).await;
        }
        Ok(Checked::Whole { size, index_was_wrong })
    }
}

/// Digest and sums of all that is in the file; `stop_after` is told of every piece, and with `true`
/// ends the work without a result.
pub(super) fn hash(
    file: &File,
    path: &Path,
    mut stop_after: impl FnMut(u64) -> bool,
) -> Result<Option<(Digest, Sums)>, Fault> {
    let mut hasher = Hasher::new();
    let mut summer = Summer::default();
    // A small file costs no more than it has; the byte more lets its end be found.
    let size = file.metadata().map_err(Fault::at("stat", path))?.len();
    let mut buffer = vec![0; usize::try_from(size + 1).unwrap_or(READ_BYTES).min(READ_BYTES)];
    let mut offset = 0;
    loop {
        let read = match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(Some((hasher.finish(), summer.finish()))),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Fault::new("read", path, error)),
        };
        hasher.update(&buffer[..read]);
        summer.update(&buffer[..read]);
        offset += read as u64;
        if stop_after(read as u64) {
            return Ok(None);
        }
    }
}

const READ_BYTES: usize = 4 * CHUNK_BYTES;
const AT_ONCE: usize = 2;
/// How many more may wait, each with a file open.
const WAITING: usize = 64;
/// How long a request waits for the sums before it is told to come back.
pub(super) const PATIENCE: Duration =
    if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(40) };
/// Of whoever has nobody else waiting.
pub(super) const HOWEVER_LONG: Duration = Duration::MAX;
const RETRY_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreOptions};

    #[tokio::test]
    async fn who_fills_the_index_waits_for_a_large_blob_however_long_that_takes() {
        let folder = tempfile::tempdir().expect("made");
        let store = Store::open(&StoreOptions::of(folder.path().to_owned())).expect("opened");
        let blobs = store.blobs().clone();
        let digest = Digest::of(b"large");
        let path = blobs.0.layout.blob(&digest);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, b"large").expect("written");
        // As if others were read for a long time.
        let reads = &blobs.0.whole_reads;
        let held = reads.permits.acquire_many(AT_ONCE as u32).await.expect("open");
        let listing = tokio::spawn({
            let blobs = blobs.clone();
            async move { blobs.list(&digest).await }
        });
        while reads.running().is_empty() {
            tokio::task::yield_now().await;
        }
        // A request that began later is sent away.
        let blob = blobs.get(&digest).await.expect("read").expect("there");
        let asked = blob.read(1..2).await.map(drop);
        assert!(matches!(asked, Err(StoreError::Busy { .. })), "{asked:?}");
        assert!(!listing.is_finished(), "it is waited for");
        drop(held);
        assert!(listing.await.expect("no panic").expect("read").is_some());
        store.close().await.expect("closed");
    }
}
