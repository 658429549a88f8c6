//! The index: what is derived from the archive to answer faster or to answer at all — checksums of
//! chunks, the other digests of a blob, lists and totals. Everything in it can be recomputed, so
//! nothing waits for it and no failure of it fails a request that the archive can answer.
//!
//! One thread writes, in batches ([`writer`]); reads have connections of their own ([`reader`]). An
//! index that is missing, damaged or of another version is made anew and filled in the background.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::ErrorCode;
use shacache_core::digest::{AliasDigest, Aliases, Digest};
use shacache_core::key::Key;
use tokio::sync::{Notify, oneshot};

use self::database::Database;
use self::reader::{Pool, Readers};
use self::writer::{Message, Writer};
use crate::blob::sums::Sums;
use crate::error::StoreError;
use crate::layout::RecordName;
use crate::seal::Seal;
use crate::timestamp::Day;

mod database;
mod deferred;
pub(crate) mod filling;
mod reader;
mod writer;

/// The index of one archive.
#[derive(Debug)]
pub(crate) struct Index {
    messages: Mutex<Option<mpsc::Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    state: Arc<State>,
}

/// What the index learns of the archive.
#[derive(Debug)]
pub(crate) enum Change {
    /// A blob is there.
    Blob { digest: Digest, sums: Arc<Sums> },
    /// A blob's other digests are known.
    Aliases { digest: Digest, aliases: Aliases },
    /// A blob is no longer there.
    NoBlob(Digest),
    /// A blob was asked for on that day.
    Used { digest: Digest, day: Day },
    /// When a blob was asked for does not matter any more.
    Unused(Digest),
    /// An entry is there.
    Entry { key: Key, record: RecordName, digest: Digest, metadata: Box<str> },
    /// An entry is no longer listed.
    NoEntry { key: Key, record: RecordName },
    /// Every entry that is there follows…
    EntriesBegin,
    /// …one after the other, most of them listed already…
    Found { key: Key, record: RecordName, digest: Digest, metadata: Box<str> },
    /// …and has followed: those listed before and not since are gone.
    EntriesEnd,
}

/// Where an entry stands among all of them: in the order in which they were received.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) record: RecordName,
    pub(crate) key: String,
}

/// An entry, as far as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedEntry {
    pub(crate) at: Position,
    pub(crate) digest: Digest,
    /// The metadata, exactly as it was put.
    pub(crate) metadata: String,
}

/// Numbers of what the index lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Blobs.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// What the writing thread, the readers and the store share.
#[derive(Debug, Default)]
pub(crate) struct State {
    failures: AtomicU64,
    /// Why something that was recorded is not in the index: the first cause that nobody was told of.
    loss: Mutex<Option<rusqlite::Error>>,
    /// Whether nothing that was recorded got lost since the last reconciliation.
    complete: AtomicBool,
    stale: Notify,
    /// The number of the day since when no use of a blob got lost.
    uses_since: AtomicI64,
}

impl Index {
    /// Opens the database, or makes a new one where that is not possible. One with the `seal` of the
    /// last stop lists all there is.
    pub(crate) fn open(path: &Path, seal: Option<&Seal>) -> Result<Self, StoreError> {
        let state = Arc::<State>::default();
        let pool = Arc::new(Pool::new(path));
        let (writer, sealed) = Writer::open(path, seal, Arc::clone(&pool), Arc::clone(&state))?;
        state.complete.store(sealed.is_some(), Ordering::Release);
        state.uses_since.store(sealed.unwrap_or_else(Day::today).number(), Ordering::Release);
        let readers = Readers::new(pool);
        let (messages, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("index".into())
            .spawn(move || writer.run(inbox))
            .map_err(crate::error::Fault::at("spawn", path))?;
        Ok(Self {
            messages: Mutex::new(Some(messages)),
            thread: Mutex::new(Some(thread)),
            readers,
            state,
        })
    }

    /// Records a change, soon.
    pub(crate) fn record(&self, change: Change) {
        self.send(Message::Change(change));
    }

    /// Says that something may be missing, so that index and archive are compared.
    pub(crate) fn reconsider(&self) {
        self.state.lacks_things();
    }

    /// Forgets every blob. Changes recorded later stay. Until something completes it the index does
    /// not list all there is.
    pub(crate) fn clear_blobs(&self) {
        self.state.complete.store(false, Ordering::SeqCst);
        self.send(Message::ClearBlobs);
    }

    /// Whether entries were never listed since the file was made.
    pub(crate) async fn is_unfilled(&self) -> Result<bool, StoreError> {
        self.read(Database::is_unfilled).await
    }

    /// Waits until every change recorded so far can be read.
    pub(crate) async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        self.send(Message::Flush(reply));
        // Without an answer there is no writer any more, and so nothing to wait for.
        let _ = done.await;
    }

    /// Waits until the writer has taken every change recorded so far. What it may keep for later is
    /// bounded.
    pub(crate) async fn keep_up(&self) {
        let (reply, done) = oneshot::channel();
        self.send(Message::KeepUp(reply));
        // As above.
        let _ = done.await;
    }

    /// Waits until every change recorded so far survives a power cut. Whoever takes a blob out of the
    /// archive tells the index so first: what is listed and not there was lost.
    pub(crate) async fn sync(&self) {
        let (reply, done) = oneshot::channel();
        self.send(Message::Sync(reply));
        // As above.
        let _ = done.await;
    }

    /// What is wrong with the file itself, if anything is; it is made anew then if `replace` says so.
    pub(crate) async fn damage(&self, replace: bool) -> Result<Option<String>, StoreError> {
        let file = self.readers.file();
        let damage = self.read(Database::damage).await?;
        if damage.is_some() && replace {
            self.send(Message::ReadFailed { damaged: Some(file) });
            self.flush().await;
        }
        Ok(damage)
    }

    /// The keys under which entries name this blob.
    pub(crate) async fn keys(&self, digest: &Digest) -> Result<Vec<Key>, StoreError> {
        let digest = *digest;
        let keys = self.read(move |database| database.keys(&digest)).await?;
        Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
    }

    /// The checksums of a blob.
    pub(crate) async fn sums(&self, digest: &Digest) -> Result<Option<Sums>, StoreError> {
        let digest = *digest;
        self.read(move |database| database.sums(&digest)).await
    }

    /// Every blob known to have this digest.
    pub(crate) async fn resolve(&self, alias: &AliasDigest) -> Result<Vec<Digest>, StoreError> {
        let alias = *alias;
        self.read(move |database| database.resolve(&alias)).await
    }

    /// Whether the other digests of a blob are known.
    pub(crate) async fn has_aliases(&self, digest: &Digest) -> Result<bool, StoreError> {
        let digest = *digest;
        self.read(move |database| database.has_aliases(&digest)).await
    }

    /// The last day on which a blob was asked for, as far as the index was told.
    pub(crate) async fn last_use(&self, digest: &Digest) -> Result<Option<Day>, StoreError> {
        let digest = *digest;
        self.read(move |database| database.last_use(&digest)).await
    }

    /// The day since when no use of a blob got lost.
    pub(crate) fn uses_since(&self) -> Day {
        self.state.uses_since()
    }

    /// Some blobs whose other digests are not known, after `after` in digest order.
    pub(crate) async fn without_aliases(
        &self,
        after: Option<Digest>,
    ) -> Result<Vec<Digest>, StoreError> {
        if after.is_none() {
            // They may be known, and wait to be listed.
            self.flush().await;
        }
        self.read(move |database| database.without_aliases(after)).await
    }

    /// The blobs from `first` to `last` that are listed with all their checksums, and their sizes.
    pub(crate) async fn whole_blobs(
        &self,
        first: Digest,
        last: Digest,
    ) -> Result<HashMap<Digest, u64>, StoreError> {
        self.read(move |database| database.whole_blobs(&first, &last)).await
    }

    /// Some blobs with their sizes, after `after` in digest order.
    pub(crate) async fn blobs(
        &self,
        after: Option<Digest>,
    ) -> Result<Vec<(Digest, u64)>, StoreError> {
        self.read(move |database| database.blobs(after)).await
    }

    /// Some entries after `after`, in the order of their positions; of one blob or one key, if so
    /// wanted.
    pub(crate) async fn entries(
        &self,
        after: Option<Position>,
        digest: Option<Digest>,
        key: Option<String>,
        limit: usize,
    ) -> Result<Vec<ListedEntry>, StoreError> {
        self.read(move |database| {
            database.entries(after.as_ref(), digest.as_ref(), key.as_deref(), limit)
        })
        .await
    }

    /// Some keys after `after`, in their order, each with the number of its entries and the time of
    /// the newest in microseconds.
    pub(crate) async fn listed_keys(
        &self,
        after: String,
        limit: usize,
    ) -> Result<Vec<(String, u64, i64)>, StoreError> {
        self.read(move |database| database.listed_keys(&after, limit)).await
    }

    /// Some blobs after `after`, in digest order, each with its size and the number of entries that
    /// name it.
    pub(crate) async fn listed_blobs(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64, u64)>, StoreError> {
        self.read(move |database| database.listed_blobs(after.as_ref(), limit)).await
    }

    /// Counts what is listed.
    pub(crate) async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(Database::totals).await
    }

    /// Returns when the index was found to lack things it had.
    pub(crate) async fn stale(&self) {
        self.state.stale.notified().await;
    }

    /// Whether it lists all that the archive holds.
    pub(crate) fn is_complete(&self) -> bool {
        self.state.complete.load(Ordering::Acquire)
    }

    /// Says that whatever `work` records makes the index complete, unless it fails meanwhile. Errors
    /// also when something that was recorded got lost on its way.
    pub(crate) async fn completed_by<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let failures = self.failures();
        // The work makes up for it.
        drop(self.state.loss().take());
        let result = work.await?;
        self.flush().await;
        self.state.complete.store(true, Ordering::SeqCst);
        if self.state.failures.load(Ordering::SeqCst) != failures {
            self.state.complete.store(false, Ordering::SeqCst);
        }
        self.told_loss()?;
        Ok(result)
    }

    /// Tells, once, if something that was recorded got lost on its way.
    pub(crate) fn told_loss(&self) -> Result<(), StoreError> {
        match self.state.loss().take() {
            Some(cause) => Err(StoreError::Index(cause)),
            None => Ok(()),
        }
    }

    /// How often a write or a read failed.
    pub(crate) fn failures(&self) -> u64 {
        self.state.failures.load(Ordering::Relaxed)
    }

    /// Writes what waits and ends. Says whether the file holds all that the archive does. Blocking.
    pub(crate) fn close(&self, seal: &Seal) -> bool {
        let (reply, done) = oneshot::channel();
        self.send(Message::Close { seal: seal.clone(), reply });
        drop(self.messages.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the index thread had panicked");
        }
        self.readers.close();
        done.blocking_recv().unwrap_or(false) && self.is_complete()
    }

    /// Runs a query, a second time if the first found no usable file and the writer made one.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: Fn(&Database) -> Result<T, rusqlite::Error> + Clone + Send + 'static,
        T: Send + 'static,
    {
        let file = self.readers.file();
        match self.readers.read(query.clone()).await {
            Err(StoreError::Index(error)) => {
                tracing::warn!(%error, "the index was not read");
                self.send(Message::ReadFailed { damaged: is_damage(&error).then_some(file) });
                self.flush().await;
                self.readers.read(query).await
            }
            answer => answer,
        }
    }

    fn send(&self, message: Message) {
        if let Some(messages) = &*self.messages.lock().unwrap_or_else(PoisonError::into_inner) {
            // A writer that is gone has said so, and the next start reconciles.
            let _ = messages.send(message);
        }
    }
}

impl State {
    fn uses_since(&self) -> Day {
        Day::from_number(self.uses_since.load(Ordering::Acquire))
    }

    /// Something that was recorded is not in the index, and nobody can tell what.
    fn lost_changes(&self, cause: rusqlite::Error) {
        self.loss().get_or_insert(cause);
        self.uses_since.store(Day::today().number(), Ordering::Release);
        self.lacks_things();
    }

    fn loss(&self) -> MutexGuard<'_, Option<rusqlite::Error>> {
        // Every change of it is one assignment.
        self.loss.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lacks_things(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
        self.complete.store(false, Ordering::SeqCst);
        self.stale.notify_one();
    }
}

/// Whether the file itself is bad, so that only a new one helps: SQLite says so, or what it gives is
/// nothing that was ever written there.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    ) || matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SchemaChanged)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection opens SQLite's other files when it is first used, by their names: one to a file
    /// that was replaced meanwhile cut off what others had mapped, and that ended the process.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_query_never_meets_the_file_that_took_the_place_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index.sqlite");
        let index = Arc::new(Index::open(&path, None).expect("opened"));
        let queries: Vec<_> = (0..8)
            .map(|_| {
                let index = Arc::clone(&index);
                tokio::spawn(async move {
                    for _ in 0..QUERIES {
                        index.totals().await.expect("counted");
                    }
                })
            })
            .collect();
        let mut replaced = 0;
        while !queries.iter().all(tokio::task::JoinHandle::is_finished) {
            index.send(Message::ReadFailed { damaged: Some(index.readers.file()) });
            index.flush().await;
            replaced += 1;
        }
        for query in queries {
            query.await.expect("answered");
        }
        assert_eq!(index.failures(), replaced, "nothing failed but what was said to have failed");
    }

    /// Making it anew costs a walk of the whole archive, so one is enough.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn damage_that_many_queries_find_costs_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index.sqlite");
        let index = Arc::new(Index::open(&path, None).expect("opened"));
        let damaged = || {
            let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            Err::<(), _>(rusqlite::Error::SqliteFailure(failure, None))
        };
        let first = index.readers.file();
        for _ in 0..8 {
            // What each of eight queries does that met the same file.
            let failed = index.readers.read(move |_| damaged()).await.expect_err("damaged");
            assert!(matches!(&failed, StoreError::Index(error) if is_damage(error)));
            index.send(Message::ReadFailed { damaged: Some(first) });
            index.flush().await;
        }
        assert_eq!((index.readers.file(), index.failures()), (first + 1, 1));
        index.read(move |_| damaged()).await.expect_err("the new file, found damaged too");
        assert_eq!((index.readers.file(), index.failures()), (first + 2, 2));
    }

    #[tokio::test]
    async fn what_got_lost_after_all_was_listed_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(&folder.path().join("index.sqlite"), None).expect("opened");
        index.completed_by(async { Ok(()) }).await.expect("nothing got lost");
        assert!(index.is_complete());
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        index.state.lost_changes(rusqlite::Error::SqliteFailure(full, None));
        assert!(!index.is_complete());
        assert!(matches!(index.told_loss(), Err(StoreError::Index(_))));
        index.told_loss().expect("told already");
    }

    const QUERIES: usize = 300;
}
