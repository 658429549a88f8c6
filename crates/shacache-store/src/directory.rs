//! The directory: key → entries, oldest first. Owns the order of entries, what makes two of them
//! one, and which of them a tombstone hides. The files are read and named by [`folder`]; which keys
//! signed an entry is told by [`signers`]; files of another archive come in by [`merge`]; how entries
//! are listed is told by [`listing`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::sync::Cache;
use shacache_core::entry::{EntryId, SignedEntry};
use shacache_core::key::Key;

use self::folder::{KeyFolder, Names};
pub use self::listing::Listing;
pub use self::signers::{Narrowing, Signers};
use crate::blob::BlobStore;
use crate::blocking::{blocking, joined};
use crate::crc32c;
use crate::defence::Defence;
use crate::error::{Fault, StoreError};
use crate::gate::Pass;
use crate::index::{Change, Index};
use crate::layout::{Layout, RecordName};
use crate::publisher::Publisher;
use crate::space::{Purpose, Space};
use crate::timestamp::Timestamp;

pub(crate) mod folder;
pub(crate) mod key_file;
mod listing;
mod merge;
pub(crate) mod removal;
mod signers;

/// The directory of a store. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layout: Layout,
    publisher: Arc<Publisher>,
    space: Arc<Space>,
    index: Arc<Index>,
    blobs: BlobStore,
    signers: RwLock<Arc<Signers>>,
    answers: Cache<Key, Answer, AnswerWeight>,
    shards: Box<[Shard]>,
    skipped: AtomicU64,
}

/// Keys are spread over shards, each with what writers and readers of its keys share.
#[derive(Debug, Default)]
struct Shard {
    /// One write per key at a time.
    writing: tokio::sync::Mutex<()>,
    /// One reading of the files of a key at a time: whoever waits finds the answer ready.
    reading: tokio::sync::Mutex<()>,
    /// Counts the writes: an answer read before the latest one is not served.
    written: AtomicU64,
}

/// A key that nobody else writes to meanwhile.
struct Opened<'a> {
    _pass: &'a Pass,
    _writing: tokio::sync::MutexGuard<'a, ()>,
    shard: &'a Shard,
    folder: KeyFolder,
    names: Names,
}

/// A cached answer.
#[derive(Debug, Clone)]
struct Answer {
    listing: Arc<Listing>,
    read_at: Instant,
    written: u64,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Whether the entry was not there before.
    pub was_new: bool,
}

impl Directory {
    pub(crate) fn new(
        layout: Layout,
        publisher: Arc<Publisher>,
        space: Arc<Space>,
        index: Arc<Index>,
        blobs: BlobStore,
    ) -> Self {
        Self(Arc::new(Shared {
            layout,
            publisher,
            space,
            index,
            blobs,
            signers: RwLock::default(),
            answers: listing::cache(AnswerWeight),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            skipped: AtomicU64::new(0),
        }))
    }

    /// Uses another list of keys from now on: what their revocations hide is in no answer.
    pub fn trust(&self, signers: Signers) {
        *self.0.signers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signers);
        // Only then: an answer made with the old list counts as older than this.
        for shard in &self.0.shards {
            shard.written.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The keys in use.
    #[must_use]
    pub fn signers(&self) -> Arc<Signers> {
        self.0.signers()
    }

    /// Those of the entries under `key` that are wanted; `None` when there are none.
    ///
    /// # Errors
    /// As [`Directory::get`].
    pub async fn get_narrowed(
        &self,
        key: &Key,
        wanted: Narrowing,
    ) -> Result<Option<Arc<Listing>>, StoreError> {
        let Some(all) = self.get(key).await? else {
            return Ok(None);
        };
        self.0.signers().narrow(all, wanted).await
    }

    /// The entries under `key` that no revocation hides; `None` when there are none.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn get(&self, key: &Key) -> Result<Option<Arc<Listing>>, StoreError> {
        match self.at_hand(key) {
            Some(listing) => Ok(Some(listing)),
            // Boxed, so that answers at hand do not carry the room for it along.
            None => Box::pin(self.read(key)).await,
        }
    }

    /// As [`Directory::get`], of what was asked for so shortly ago that the archive need not be asked.
    #[must_use]
    pub fn at_hand(&self, key: &Key) -> Option<Arc<Listing>> {
        self.0.ready(key)
    }

    async fn read(&self, key: &Key) -> Result<Option<Arc<Listing>>, StoreError> {
        let shard = self.0.shard(key);
        let _reading = shard.reading.lock().await;
        if let Some(listing) = self.0.ready(key) {
            return Ok(Some(listing));
        }
        let written = shard.written.load(Ordering::Acquire);
        let read_at = Instant::now();
        let (shared, folder) = (Arc::clone(&self.0), self.0.folder(key));
        let signers = self.0.signers();
        let read = blocking(move || {
            let mut read = folder.read(shared.publisher.durable())?;
            read.entries.retain(|(record, entry)| !signers.hides(record, entry));
            Ok::<_, Fault>(read)
        });
        let read = read.await?;
        self.0.skipped.fetch_add(read.skipped, Ordering::Relaxed);
        if read.entries.is_empty() {
            self.0.answers.remove(key);
            return Ok(None);
        }
        let listing = Arc::new(Listing::of(read.entries.iter().map(|(_, entry)| entry.body())));
        let earlier = self.0.answers.get(key).map(|answer| answer.listing);
        let listing = earlier.filter(|it| it.tag() == listing.tag()).unwrap_or(listing);
        let answer = Answer { listing: Arc::clone(&listing), read_at, written };
        self.0.answers.insert(key.clone(), answer);
        Ok(Some(listing))
    }

    /// Adds an entry, and moves the blob that it names into the archive if it lay unclaimed, or had
    /// been collected. When this returns both are on disk and survive a power cut. The same entry
    /// twice is one entry. Once begun it goes to its end, also when the caller stops waiting.
    ///
    /// # Errors
    /// When it cannot be written; nothing is added then.
    pub async fn append(&self, key: &Key, entry: SignedEntry) -> Result<Appended, StoreError> {
        // Before it is on its own: a stop waits for whatever has entered, and refuses the rest.
        let pass = self.0.publisher.enter().await?;
        let (directory, key) = (self.clone(), key.clone());
        let append = async move {
            let opened = directory.open(&pass, &key).await?;
            directory.publish(&opened, &key, entry).await
        };
        joined(tokio::spawn(append)).await
    }

    /// As [`Directory::append`], but `None` for an entry that a tombstone is for.
    pub(crate) async fn append_unless_deleted(
        &self,
        key: &Key,
        entry: SignedEntry,
    ) -> Result<Option<Appended>, StoreError> {
        let pass = self.0.publisher.enter().await?;
        let (directory, key) = (self.clone(), key.clone());
        let append = async move {
            let opened = directory.open(&pass, &key).await?;
            if opened.names.was_deleted(entry.id()) {
                return Ok::<_, StoreError>(None);
            }
            directory.publish(&opened, &key, entry).await.map(Some)
        };
        joined(tokio::spawn(append)).await
    }

    /// Whether an entry of a key was deleted here, however often it was put since.
    pub(crate) async fn was_deleted(&self, key: &Key, id: &EntryId) -> Result<bool, StoreError> {
        let (shared, folder, id) = (Arc::clone(&self.0), self.0.folder(key), *id);
        let look =
            move || Ok::<_, Fault>(folder.names(shared.publisher.durable())?.was_deleted(&id));
        blocking(look).await
    }

    async fn publish(
        &self,
        opened: &Opened<'_>,
        key: &Key,
        entry: SignedEntry,
    ) -> Result<Appended, StoreError> {
        let Opened { shard, folder, names, .. } = opened;
        // Before the blob is looked for, and until the entry is on disk.
        let _named = self.0.blobs.name(entry.digest()).await;
        if let Some((bytes, path)) = folder.key_file(key) {
            let (right, asked) = (bytes.clone(), path.clone());
            // Also when the entry is there already: somebody may have taken the file away.
            if !blocking(move || key_file::says(&asked, &right)).await? {
                self.0.publisher.publish(bytes, path).await?;
            }
        }
        let there = names.find(entry.id());
        if let Some(there) = there
            && self.is_whole(folder.entry(&there), entry.id()).await?
        {
            self.0.blobs.claim(entry.digest()).await?;
            return Ok(Appended { was_new: false });
        }
        if there.is_none() {
            let (measured, entries) = (folder.clone(), names.visible.clone());
            let bytes = blocking(move || measured.size(&entries)).await?;
            if names.visible.len() >= KEY_ENTRIES || bytes >= KEY_BYTES {
                return Err(StoreError::KeyFull { entries: names.visible.len(), bytes });
            }
        }
        // A file under the name of this entry that does not hold it is healed by writing over it.
        let time = there.map_or_else(|| names.next_time(), |there| there.time);
        let record = RecordName { time, id: *entry.id() };
        let body = Bytes::copy_from_slice(entry.body().as_bytes());
        let _reservation = self.0.space.reserve(body.len() as u64, Purpose::Entry)?;
        // First the blob: whoever reads the entry finds it.
        if Defence::ClaimFirst.is_up() {
            self.0.blobs.claim(entry.digest()).await?;
        }
        let published = self.0.publisher.publish(body, folder.entry(&record)).await;
        shard.written.fetch_add(1, Ordering::AcqRel);
        published?;
        if !Defence::ClaimFirst.is_up() {
            tokio::time::sleep(LATE).await;
            self.0.blobs.claim(entry.digest()).await?;
        }
        let (digest, metadata) = (*entry.digest(), entry.metadata_text().into());
        self.0.index.record(Change::Entry { key: key.clone(), record, digest, metadata });
        Ok(Appended { was_new: there.is_none() })
    }

    /// Whether the file holds the entry that its name says; if so it survives a power cut now.
    async fn is_whole(&self, path: PathBuf, id: &EntryId) -> Result<bool, StoreError> {
        let (shared, id) = (Arc::clone(&self.0), *id);
        blocking(move || match folder::read_entry(&path)? {
            Some(Ok(entry)) if *entry.id() == id => {
                shared.publisher.sync_existing(&path).map(|()| true)
            }
            Some(_) | None => Ok(false),
        })
        .await
    }

    /// Waits for the key's turn to be written, and reads what is there.
    async fn open<'a>(&'a self, pass: &'a Pass, key: &Key) -> Result<Opened<'a>, StoreError> {
        let shard = self.0.shard(key);
        let writing = shard.writing.lock().await;
        // Whoever had it before may have left behind what is not seen and counts after a restart.
        self.0.publisher.check()?;
        let folder = self.0.folder(key);
        let (shared, listed) = (Arc::clone(&self.0), folder.clone());
        let names = blocking(move || listed.names(shared.publisher.durable())).await?;
        Ok(Opened { _pass: pass, _writing: writing, shard, folder, names })
    }

    /// How many files among the entries were found that are none, since the store was opened.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn signers(&self) -> Arc<Signers> {
        Arc::clone(&self.signers.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn folder(&self, key: &Key) -> KeyFolder {
        KeyFolder::of(&self.layout, &key.file_name())
    }

    /// The cached answer, if nothing was written since and it is fresh.
    fn ready(&self, key: &Key) -> Option<Arc<Listing>> {
        let written = self.shard(key).written.load(Ordering::Acquire);
        let answer = self.answers.get(key)?;
        let is_fresh = answer.written == written && answer.read_at.elapsed() < ANSWER_AGE;
        is_fresh.then_some(answer.listing)
    }

    fn shard(&self, key: &Key) -> &Shard {
        &self.shards[crc32c::of(key.as_str().as_bytes()) as usize % SHARDS]
    }
}

#[derive(Debug, Clone)]
struct AnswerWeight;

impl quick_cache::Weighter<Key, Answer> for AnswerWeight {
    fn weight(&self, key: &Key, answer: &Answer) -> u64 {
        (key.as_str().len() + answer.listing.json().len() + size_of::<Answer>()) as u64
    }
}

const SHARDS: usize = 4096;
/// How much may be under one key. Clients read a key's list whole, so what one of them puts there
/// must not make it unreadable for the others.
const KEY_ENTRIES: usize = 10_000;
const KEY_BYTES: u64 = 16 << 20;
/// Files may be copied into the archive while it serves; they show after this long.
const ANSWER_AGE: Duration = Duration::from_secs(2);
/// By how much a build for tests claims late.
const LATE: Duration = Duration::from_millis(50);

/// The time a new record gets: later than every one under the key, whatever the clock says.
fn later_than(newest: Option<Timestamp>) -> Timestamp {
    let now = Timestamp::now();
    newest.map_or(now, |newest| now.max(newest.next()))
}
