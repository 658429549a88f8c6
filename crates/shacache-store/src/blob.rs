//! Blobs: bytes named by their SHA-512. Owns looking them up, receiving them and reading them back;
//! [`incoming`] is the way in, [`reader`] the way out. What is on disk is what counts: the index
//! only tells which checksums the chunks had.

use std::fs::{File, Metadata};
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Buf as _, Bytes};
use quick_cache::sync::Cache;
use shacache_core::digest::{AliasDigest, Digest};

use self::archived::ArchivedBlob;
use self::buffers::Buffers;
use self::hot::{HotBlob, HotBytes};
use self::in_chunks::BlobInChunks;
pub use self::incoming::{Incoming, Stored};
use self::kept::KeptPieces;
pub use self::reader::BlobReader;
use self::reader::ColdReads;
use self::sums::Sums;
use self::whole::{HOWEVER_LONG, WholeReads};
use crate::archive_root::ArchiveRoot;
use crate::blocking::blocking;
use crate::defence::Defence;
use crate::error::{Chain, Fault, StoreError};
use crate::index::{Change, Index};
use crate::layout::Layout;
use crate::naming::Naming;
use crate::publisher::Publisher;
use crate::scan;
use crate::space::Space;
use crate::timestamp::Timestamp;
use crate::unclaimed::Unclaimed;
use crate::usage::Usage;

pub(crate) mod aliases;
mod archived;
mod buffers;
mod chunk;
mod claim;
mod collected;
mod hot;
mod in_chunks;
mod incoming;
mod kept;
mod lost;
mod reader;
pub(crate) mod sums;
mod whole;

/// The blobs of a store. Cloning shares them.
#[derive(Debug, Clone)]
pub struct BlobStore(Arc<Shared>);

/// What every blob operation needs.
#[derive(Debug)]
struct Shared {
    layout: Layout,
    root: Arc<ArchiveRoot>,
    publisher: Arc<Publisher>,
    space: Arc<Space>,
    index: Arc<Index>,
    sums: Cache<Digest, Arc<Sums>, SumsWeight>,
    hot: HotBytes,
    buffers: Buffers,
    whole_reads: WholeReads,
    unclaimed: Arc<Unclaimed>,
    naming: Naming,
    usage: Usage,
    cold_reads: ColdReads,
    kept_pieces: Arc<KeptPieces>,
    new_blobs: aliases::NewBlobs,
    damaged: AtomicU64,
    lost: AtomicU64,
    restored: AtomicU64,
    /// Came back, and the index was not told yet.
    unlisted: AtomicU64,
    /// Long reads that nobody's answer depends on end early once this is set.
    stopping: AtomicBool,
}

/// What another digest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// No blob known by it (yet).
    Missing,
    /// One blob.
    One(Digest),
    /// Several blobs share it.
    Ambiguous,
}

impl BlobStore {
    pub(crate) fn open(
        layout: Layout,
        publisher: Arc<Publisher>,
        space: Arc<Space>,
        index: Arc<Index>,
        unclaimed: Arc<Unclaimed>,
        new_blobs: aliases::NewBlobs,
        hot_bytes: u64,
    ) -> Result<Self, Fault> {
        Ok(Self(Arc::new(Shared {
            root: ArchiveRoot::open(&layout.archive())?,
            layout,
            publisher,
            space,
            sums: Cache::with_weighter(SUMS_CACHE_BLOBS, SUMS_CACHE_BYTES, SumsWeight),
            hot: HotBytes::new(hot_bytes),
            buffers: Buffers::default(),
            whole_reads: WholeReads::default(),
            unclaimed,
            naming: Naming::new(),
            usage: Usage::new(Arc::clone(&index)),
            index,
            cold_reads: ColdReads::default(),
            kept_pieces: Arc::default(),
            new_blobs,
            damaged: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            unlisted: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        })))
    }

    /// Looks a blob up for somebody who asks for it; `None` when there is none, or it is banned.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        if let Some(blob) = self.at_hand(digest) {
            return Ok(Some(blob));
        }
        // Boxed, so that answers at hand do not carry the room for it along; so below.
        let found = Box::pin(self.look_up_for_client(digest)).await?;
        Ok(found.map(|blob| Blob {
            digest: *digest,
            size: blob.size(),
            source: Source::Archive(blob),
        }))
    }

    /// As [`BlobStore::get`], of what was asked for so shortly ago that the archive need not be asked.
    #[must_use]
    pub fn at_hand(&self, digest: &Digest) -> Option<Blob> {
        let (size, source) = match self.0.hot.blob(digest)? {
            HotBlob::Whole(bytes) => (bytes.len() as u64, Source::AtHand(bytes)),
            HotBlob::InChunks(sums) => {
                let blob = BlobInChunks { shared: Arc::clone(&self.0), digest: *digest, sums };
                (blob.size(), Source::InChunks(blob))
            }
        };
        Some(Blob { digest: *digest, size, source })
    }

    /// Looks a blob up for somebody who asks for it, and for those who ask while what was found holds.
    async fn look_up_for_client(
        &self,
        digest: &Digest,
    ) -> Result<Option<ArchivedBlob>, StoreError> {
        let look = self.0.hot.look(digest);
        let found = self.look_up(digest).await?;
        if found.is_some() {
            self.0.usage.note(digest);
        }
        Ok(found.map(|blob| blob.for_client(look)))
    }

    /// Looks a blob up for nobody's sake.
    pub(crate) async fn look_up(
        &self,
        digest: &Digest,
    ) -> Result<Option<ArchivedBlob>, StoreError> {
        let path = self.0.layout.blob(digest);
        if self.0.is_banned(digest).await? {
            return Ok(None);
        }
        let Some(file) = self.0.root.file(path.clone()).await? else {
            return Ok(None);
        };
        // Asked after the file was opened: a name is pending before it can be opened.
        if self.0.publisher.durable().is_pending(&path) {
            return Ok(None);
        }
        let status = file.metadata().map_err(Fault::at("stat", &path))?;
        if !status.is_file() {
            return Ok(None);
        }
        Ok(Some(ArchivedBlob::new(&self.0, *digest, file, status.len())))
    }

    /// Looks up by another digest, as far as those are computed yet.
    ///
    /// # Errors
    /// When the index or the archive cannot be read.
    pub async fn resolve(&self, alias: &AliasDigest) -> Result<Resolved, StoreError> {
        let mut resolved = Resolved::Missing;
        for digest in self.0.index.resolve(alias).await? {
            // The index may know blobs that somebody took out of the archive by hand.
            if self.look_up(&digest).await?.is_none() {
                continue;
            }
            resolved = match resolved {
                Resolved::Missing => Resolved::One(digest),
                Resolved::One(_) | Resolved::Ambiguous => return Ok(Resolved::Ambiguous),
            };
        }
        Ok(resolved)
    }

    /// Begins an upload. With `announced_bytes`, any other length is refused.
    ///
    /// # Errors
    /// When there is no space, or writes are refused.
    pub fn incoming(&self, announced_bytes: Option<u64>) -> Result<Incoming, StoreError> {
        Incoming::begin(Arc::clone(&self.0), announced_bytes)
    }

    /// Begins the upload of a blob that is kept apart until an accepted entry names it. It counts
    /// on the account of `holder`, the network address of its client; of `None` only the whole is
    /// bounded. With `announced_bytes`, any other length is refused.
    ///
    /// # Errors
    /// As [`BlobStore::incoming`], and when it is larger than one may be, or no older blob can go
    /// for it.
    pub async fn incoming_unclaimed(
        &self,
        announced_bytes: Option<u64>,
        holder: Option<IpAddr>,
    ) -> Result<Incoming, StoreError> {
        if !Defence::Apart.is_up() {
            return self.incoming(announced_bytes);
        }
        let room = self.0.unclaimed.room(announced_bytes, holder).await?;
        Ok(Incoming::begin(Arc::clone(&self.0), announced_bytes)?.unclaimed(room))
    }

    /// Whether a blob is banned.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn is_banned(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.0.is_banned(digest).await
    }

    /// Whether the archive has the file of a blob, banned or not, with nothing left to be done for
    /// its durability.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn has(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.0.layout.blob(digest);
        // In this order: a name is pending before anything has it.
        let is_there = self.0.root.contains(path.clone()).await?;
        Ok(is_there && !self.0.publisher.durable().is_pending(&path))
    }

    /// How many damaged blobs were found since the store was opened.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.0.damaged.load(Ordering::Relaxed)
    }

    /// Ends checks of whole blobs early from now on.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Errors once checks are to end.
    pub(crate) fn check_running(&self) -> Result<(), StoreError> {
        if self.0.stopping.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Looks for blobs whose other digests the index does not have.
    pub(crate) fn compute_aliases(&self) {
        self.0.new_blobs.catch_up();
    }

    /// Waits until the other digests of every blob published so far are with the index.
    pub(crate) async fn aliases_computed(&self) {
        self.0.new_blobs.flush().await;
    }

    /// Tells the index of a blob that it does not list, after a look at the whole blob unless its
    /// checksums are known from elsewhere. `None` when it is not there, or was damaged and is in
    /// quarantine now.
    pub(crate) async fn list(&self, digest: &Digest) -> Result<Option<Arc<Sums>>, StoreError> {
        let Some(blob) = self.look_up(digest).await? else {
            return Ok(None);
        };
        match blob.whole_sums(HOWEVER_LONG).await {
            Ok(sums) => {
                self.0.know_if_there(digest, &sums).await;
                Ok(Some(sums))
            }
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How a blob's check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Its bytes are those that its name says.
    Whole { size: u64, index_was_wrong: bool },
    /// They are not.
    Damaged { quarantine: Option<PathBuf> },
    /// It was not read to its end, because nobody wants to know any more.
    Unknown,
    /// There is no such blob any more.
    Absent,
}

/// A blob that is there; nothing of it is read yet.
#[derive(Debug)]
pub struct Blob {
    digest: Digest,
    size: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Checked when they were read for somebody else.
    AtHand(Bytes),
    InChunks(BlobInChunks),
    Archive(ArchivedBlob),
}

impl Blob {
    /// Its name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it can be read without asking the archive, because it was asked for a short while ago.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        !matches!(self.source, Source::Archive(_))
    }

    /// As [`Blob::read`], if it is at hand.
    #[must_use]
    pub fn read_at_hand(self, range: Range<u64>) -> Option<BlobReader> {
        self.source.read_at_hand(&range).ok()
    }

    /// Starts reading `range`, which is cut to the blob's size.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when only a part is wanted of a blob that has no checksums yet and
    /// computing them takes long; [`StoreError::Damaged`] when its length alone shows that.
    pub async fn read(self, range: Range<u64>) -> Result<BlobReader, StoreError> {
        match self.source.read_at_hand(&range) {
            Ok(reader) => Ok(reader),
            Err(blob) => Ok(BlobReader::archive(Box::pin(blob.read(range)).await?)),
        }
    }
}

impl Source {
    /// Starts reading, or gives back what is not at hand.
    fn read_at_hand(self, range: &Range<u64>) -> Result<BlobReader, ArchivedBlob> {
        match self {
            Self::AtHand(bytes) => Ok(BlobReader::at_hand(part(bytes, range))),
            Self::InChunks(blob) => Ok(BlobReader::in_chunks(blob.read(range))),
            Self::Archive(blob) => Err(blob),
        }
    }
}

fn part(mut bytes: Bytes, range: &Range<u64>) -> Bytes {
    let Range { start, end } = within(range, bytes.len() as u64);
    bytes.truncate(end as usize);
    bytes.advance(start as usize);
    bytes
}

/// What there is of `range` in so many bytes.
fn within(range: &Range<u64>, size: u64) -> Range<u64> {
    let end = range.end.min(size);
    range.start.min(end)..end
}

impl Shared {
    async fn is_banned(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.root.contains(self.layout.blob_tombstone(digest)).await
    }

    /// The sums of a blob, if they were computed already. An index that fails knows none.
    async fn known_sums(&self, digest: &Digest) -> Option<Arc<Sums>> {
        if let Some(sums) = self.sums.get(digest) {
            return Some(sums);
        }
        match self.index.sums(digest).await {
            Ok(None) => None,
            Ok(Some(sums)) => {
                let sums = Arc::new(sums);
                self.sums.insert(*digest, Arc::clone(&sums));
                Some(sums)
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the index cannot be read");
                None
            }
        }
    }

    /// Remembers that a blob with these sums is there.
    fn know(&self, digest: &Digest, sums: &Arc<Sums>) {
        self.sums.insert(*digest, Arc::clone(sums));
        self.index.record(Change::Blob { digest: *digest, sums: Arc::clone(sums) });
        self.new_blobs.add(*digest);
    }

    /// As [`Self::know`], of a blob that was read: it may have been collected since it was opened,
    /// and whatever is listed and not there counts as lost.
    async fn know_if_there(&self, digest: &Digest, sums: &Arc<Sums>) {
        self.know(digest, sums);
        if matches!(self.root.contains(self.layout.blob(digest)).await, Ok(false)) {
            self.index.record(Change::NoBlob(*digest));
        }
    }

    /// Moves a blob whose bytes are not those that its name says out of the archive, and says where
    /// to. Nothing is deleted, and a copy that was published meanwhile stays.
    async fn quarantine(self: &Arc<Self>, digest: &Digest, file: &Arc<File>) -> Option<PathBuf> {
        let from = self.layout.blob(digest);
        let to = self.layout.quarantined_blob(digest, Timestamp::now());
        let Ok(_pass) = self.publisher.enter().await else {
            self.damaged.fetch_add(1, Ordering::Relaxed);
            // The next run finds it, on a disk that takes writes.
            tracing::error!(%digest, "damaged, and stays in place while writes are refused");
            return None;
        };
        // Forgotten first: a copy that is published from here on is told to the index after that.
        self.forget(digest).await;
        let (shared, file, place) = (Arc::clone(self), Arc::clone(file), to.clone());
        let moved =
            blocking(move || shared.publisher.move_away(&from, &place, || is_at(&file, &from)));
        match moved.await {
            Ok(true) => {
                self.hot.forget(digest);
                self.damaged.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%digest, to = %to.display(), "damaged: moved to quarantine");
                Some(to)
            }
            Ok(false) => {
                tracing::info!(%digest, "a damaged copy was replaced meanwhile");
                self.index.reconsider();
                None
            }
            Err(error) => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%digest, error = %Chain(&error), "damaged, and stays in place");
                None
            }
        }
    }
}

/// Whether the open file is still the one at `path`.
fn is_at(open: &File, path: &Path) -> Result<bool, Fault> {
    let ours = open.metadata().map_err(Fault::at("stat", path))?;
    let is_ours = |found: Metadata| (found.dev(), found.ino()) == (ours.dev(), ours.ino());
    Ok(scan::status(path)?.is_some_and(is_ours))
}

/// Bounds the memory of cached sums: 8 MiB are the sums of 128 GiB.
#[derive(Debug, Clone)]
struct SumsWeight;

impl quick_cache::Weighter<Digest, Arc<Sums>> for SumsWeight {
    fn weight(&self, _: &Digest, sums: &Arc<Sums>) -> u64 {
        sums.weight()
    }
}

const SUMS_CACHE_BYTES: u64 = 8 << 20;
const SUMS_CACHE_BLOBS: usize = 20_000;
