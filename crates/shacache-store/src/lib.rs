//! The durable archive behind ShaCache and ShaDir, and the index derived from it.
//!
//! # What is promised
//! - When [`blob::Incoming::commit`] or [`directory::Directory::append`] returns, the bytes are on
//!   disk under their final name and survive a power cut. Until then nobody sees them.
//! - No byte of a blob leaves [`blob::BlobReader`] before it was checked.
//! - The archive is the truth. The index can be deleted at any time; only speed changes.
//! - Nothing in the archive is deleted: what is damaged moves to `quarantine/`, what is unwanted gets
//!   a tombstone.
//!
//! # Crash model
//! A power cut may lose or reorder everything that no `fsync` or `syncfs` covered, may leave a
//! file's bytes torn, and keeps what a sync that returned success covered. A sync that failed says
//! nothing about what is on disk, so the store refuses writes after one until it is opened anew.
//!
//! # Layout
//! - [`blob`]: bytes by digest — receiving, reading, the other digests.
//! - [`directory`]: entries by key.
//! - `durable` and `publisher`: the only ways anything gets into the archive.
//! - `index` and `reindex`: what is derived, and how it is made.
//! - [`verify`]: the archive checked against itself.
//! - [`export`] and [`import`]: an archive's files on their way out and in, checked;
//!   [`archive_file`], [`archive_tree`] and [`tar_file`] are what both read and write.
//! - `unclaimed`: what lies apart until somebody vouches for it.
//! - `data_dir`, `layout`, `space`, `health`: the folder as a whole.

pub mod administration;
pub mod archive_file;
pub mod archive_tree;
pub mod blob;
pub mod defence;
pub mod directory;
pub mod error;
pub mod export;
pub mod import;
pub mod tar_file;
pub mod verify;

pub use self::health::Health;
pub use self::index::Totals;
pub use self::moved::Moved;
pub use self::reindex::Reindexed;
pub use self::unclaimed::{UnclaimedLimits, UnclaimedTotals};

mod archive_root;
mod audit;
mod beneath;
mod blocking;
mod crc32c;
mod data_dir;
mod durable;
mod expiration;
mod gate;
mod health;
mod hold;
mod index;
mod layout;
mod moved;
mod naming;
mod publisher;
mod reindex;
mod scan;
mod seal;
mod space;
mod timestamp;
mod tombstone;
mod unclaimed;
mod usage;
mod walk;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::administration::Administration;
use crate::archive_file::{ArchiveFile, Kind};
use crate::blob::{BlobStore, aliases};
use crate::data_dir::DataDir;
use crate::directory::Directory;
use crate::durable::Durable;
use crate::error::{Chain, Fault, StoreError};
use crate::health::HealthSwitch;
use crate::index::Index;
use crate::publisher::Publisher;
use crate::reindex::Reindexer;
use crate::seal::Seal;
use crate::space::Space;
use crate::unclaimed::Unclaimed;
use crate::verify::{Report, Verifier, VerifyOptions};

/// How a [`Store`] is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data folder; made if missing.
    pub data: PathBuf,
    /// What blobs without credentials may take.
    pub unclaimed: UnclaimedLimits,
    /// Memory for bytes of blobs of up to 256 KiB that clients asked for lately, in bytes.
    pub hot_bytes: u64,
}

impl StoreOptions {
    /// For a program that serves nobody.
    #[must_use]
    pub fn of(data: PathBuf) -> Self {
        Self { data, unclaimed: UnclaimedLimits::default(), hot_bytes: 0 }
    }
}

/// Everything below one data folder. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    data_dir: DataDir,
    health: Arc<HealthSwitch>,
    publisher: Arc<Publisher>,
    index: Arc<Index>,
    blobs: BlobStore,
    directory: Directory,
    unclaimed: Arc<Unclaimed>,
    reindexer: Reindexer,
    verifier: Arc<Verifier>,
    administration: Administration,
    /// One check at a time.
    checking: Arc<tokio::sync::Mutex<()>>,
    /// One walk over the archive at a time.
    walking: tokio::sync::Mutex<()>,
    stop: watch::Sender<bool>,
    aliases: Mutex<Option<JoinHandle<()>>>,
    tending: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Numbers since the store was opened, for an operator to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Damaged blobs found.
    pub damaged_blobs: u64,
    /// Files among the entries that are none.
    pub skipped_entries: u64,
    /// Blobs that were found to be missing.
    pub lost_blobs: u64,
    /// Failures of the index.
    pub index_failures: u64,
}

impl Store {
    /// Opens the data folder, making it if it is missing. After an unclean stop everything there is
    /// synced first. Blocking; to be called within a tokio runtime.
    ///
    /// # Errors
    /// When another process holds it, its format is another, or a file operation fails.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        defence::announce();
        let data_dir = DataDir::open(&options.data)?;
        let layout = data_dir.layout().clone();
        let durable = Arc::new(Durable::new(layout.clone())?);
        if data_dir.seal().is_none() {
            durable.sync_file_system()?;
        }
        let health = Arc::<HealthSwitch>::default();
        let started = Publisher::start(durable, Arc::clone(&health));
        let publisher = Arc::new(started.map_err(Fault::at("spawn", layout.data()))?);
        let space = Arc::new(Space::of(layout.data())?);
        let index = Arc::new(Index::open(&layout.database(), data_dir.seal())?);
        let unclaimed = Arc::new(Unclaimed::open(layout.clone(), options.unclaimed)?);
        let (new_blobs, announced) = aliases::NewBlobs::queue();
        let blobs = BlobStore::open(
            layout.clone(),
            Arc::clone(&publisher),
            Arc::clone(&space),
            Arc::clone(&index),
            Arc::clone(&unclaimed),
            new_blobs,
            options.hot_bytes,
        )?;
        let directory = Directory::new(
            layout.clone(),
            Arc::clone(&publisher),
            space,
            Arc::clone(&index),
            blobs.clone(),
        );
        let (stop, stopped) = watch::channel(false);
        let aliases = {
            let (blobs, index, runtime) = (blobs.clone(), Arc::clone(&index), Handle::current());
            std::thread::Builder::new()
                .name("aliases".into())
                .spawn(move || aliases::compute(&runtime, &blobs, &index, announced, stopped))
                .map_err(Fault::at("spawn", layout.data()))?
        };
        let verifier = Arc::new(Verifier::new(
            layout.clone(),
            Arc::clone(&publisher),
            blobs.clone(),
            Arc::clone(&index),
        ));
        let administration = Administration::new(
            layout.clone(),
            Arc::clone(&publisher),
            blobs.clone(),
            directory.clone(),
            Arc::clone(&index),
        );
        let reindexer = Reindexer {
            layout,
            publisher: Arc::clone(&publisher),
            blobs: blobs.clone(),
            index: Arc::clone(&index),
        };
        Ok(Self(Arc::new(Shared {
            data_dir,
            health,
            publisher,
            index,
            blobs,
            directory,
            unclaimed,
            reindexer,
            verifier,
            administration,
            checking: Arc::default(),
            walking: tokio::sync::Mutex::default(),
            stop,
            aliases: Mutex::new(Some(aliases)),
            tending: Mutex::default(),
        })))
    }

    /// As [`Store::open`], where there is an archive already.
    ///
    /// # Errors
    /// [`StoreError::NoArchive`] when there is none; nothing is made then.
    pub fn open_existing(options: &StoreOptions) -> Result<Self, StoreError> {
        DataDir::require(&options.data)?;
        Self::open(options)
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.0.blobs
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// What operators do to the archive.
    #[must_use]
    pub fn administration(&self) -> &Administration {
        &self.0.administration
    }

    /// Whether writes are accepted; the reason when they are not.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.health.health()
    }

    /// Numbers for an operator.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            damaged_blobs: self.0.blobs.damaged(),
            skipped_entries: self.0.directory.skipped(),
            lost_blobs: self.0.blobs.lost_count(),
            index_failures: self.0.index.failures(),
        }
    }

    /// Counts what the index lists.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.0.index.totals().await
    }

    /// Whether the index lists all that the archive holds.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.0.index.is_complete()
    }

    /// Makes the index anew from the archive. Requests are served meanwhile. When this returns,
    /// everything in the archive is in the index, the other digests of blobs included.
    ///
    /// # Errors
    /// When something in the archive cannot be read, or the index not be written; the rest is in the
    /// index all the same.
    pub async fn reindex(&self) -> Result<Reindexed, StoreError> {
        let _walking = self.0.walking.lock().await;
        let found = self.0.reindexer.rebuild().await?;
        self.0.blobs.aliases_computed().await;
        self.0.index.flush().await;
        self.0.index.told_loss()?;
        Ok(found)
    }

    /// Checks the archive against itself. Damage moves to quarantine unless the options forbid it;
    /// nothing is deleted. `go_on` is asked all the time, with the report so far, whether to.
    ///
    /// # Errors
    /// When the store is closed meanwhile. What cannot be listed or read is a finding.
    pub async fn verify(
        &self,
        options: VerifyOptions,
        go_on: impl FnMut(&Report) -> bool + Send + 'static,
    ) -> Result<Report, StoreError> {
        let checking = Arc::clone(&self.0.checking).lock_owned().await;
        self.0.verifier.verify(checking, options, go_on).await
    }

    /// Checks, at most so fast, the part of the archive whose check is longest ago; damage moves to
    /// quarantine. 256 calls check everything.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub async fn scrub(&self, bytes_per_second: Option<u64>) -> Result<Report, StoreError> {
        let checking = Arc::clone(&self.0.checking).lock_owned().await;
        self.0.verifier.scrub(checking, bytes_per_second).await
    }

    /// How long ago the part of the archive was checked whose check is longest ago; `None` when
    /// some part never was.
    #[must_use]
    pub fn oldest_check(&self) -> Option<Duration> {
        self.0.verifier.oldest_check().map(timestamp::Timestamp::age)
    }

    /// Publishes a file of another archive that is neither blob nor of the directory; says whether
    /// it was not there before.
    async fn import_other(&self, name: &ArchiveFile, text: Bytes) -> Result<bool, StoreError> {
        let path = self.0.data_dir.layout().archive().join(name.path());
        let pass = self.0.publisher.enter().await?;
        let _change = match name.kind() {
            Kind::Hold => Some(self.0.administration.changing_holds(&pass).await),
            _ => None,
        };
        let (shared, asked) = (Arc::clone(&self.0), name.clone());
        let is_there = blocking::blocking(move || {
            import::has_whole(shared.data_dir.layout(), &shared.publisher, &asked)
        });
        let is_there = is_there.await?;
        if !is_there {
            self.0.publisher.publish(text, path).await?;
        }
        if let Kind::Ban(digest) = name.kind() {
            self.0.blobs.forget_banned(&digest);
        }
        Ok(!is_there)
    }

    /// What lies unclaimed.
    #[must_use]
    pub fn unclaimed(&self) -> UnclaimedTotals {
        self.0.unclaimed.totals()
    }

    /// Keeps the index in step with the archive in the background, from an unclean stop or a
    /// failure of the index on, and takes away what nobody claims in time, until the store is
    /// closed.
    pub fn tend(&self) {
        let store = self.clone();
        let tending = tokio::spawn(async move {
            let mut stopped = store.0.stop.subscribe();
            tokio::select! {
                () = store.reconcile_when_needed() => {}
                () = store.0.blobs.expire_unclaimed() => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        *self.0.tending.lock().unwrap_or_else(PoisonError::into_inner) = Some(tending);
    }

    async fn reconcile_when_needed(&self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            self.reconcile_if_needed().await;
            if self.0.index.is_complete() {
                pause = SHORTEST_PAUSE;
                self.0.index.stale().await;
            } else {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }

    async fn reconcile_if_needed(&self) {
        let _walking = self.0.walking.lock().await;
        if self.0.index.is_complete() {
            return;
        }
        match self.0.reindexer.reconcile().await {
            Ok(found) => tracing::info!(
                blobs = found.blobs,
                entries = found.entries,
                damaged = found.damaged,
                "the index is in step with the archive"
            ),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the index is not in step with the archive");
            }
        }
    }

    /// Finishes what is under way, marks the data folder clean and gives up its lock. Nothing is
    /// accepted afterwards.
    ///
    /// # Errors
    /// When the marker cannot be written: the next start will sync and reconcile, no more.
    pub async fn close(&self) -> Result<(), StoreError> {
        // Everybody who listens may have ended already.
        let _ = self.0.stop.send(true);
        let tending = self.0.tending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tending) = tending
            && let Err(error) = tending.await
        {
            tracing::error!(%error, "the comparison of index and archive had panicked");
        }
        // Whoever reads or checks a whole blob notices, and leaves.
        self.0.blobs.stop();
        self.0.publisher.close_gate().await;
        let _checking = self.0.checking.lock().await;
        let _walking = self.0.walking.lock().await;
        let shared = Arc::clone(&self.0);
        blocking::blocking(move || shared.close()).await
    }
}

impl Shared {
    fn close(&self) -> Result<(), StoreError> {
        self.publisher.close();
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(aliases) = aliases
            && aliases.join().is_err()
        {
            tracing::error!("the thread for other digests had panicked");
        }
        if self.blobs.has_unlisted() {
            self.index.reconsider();
        }
        let seal = Seal::random(self.data_dir.layout())?;
        let complete = self.index.close(&seal);
        let is_clean = complete && self.health.health() == Health::Healthy;
        self.data_dir.close(is_clean.then_some(&seal))
    }
}

/// Between two walks over an archive that the index could not be brought in step with: short when
/// something came between, and twice as long after each that was in vain.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
