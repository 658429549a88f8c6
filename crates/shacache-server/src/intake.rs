//! Files and entries of other archives on their way into this one. Owns how many go in at once, and
//! the account of what came of them. What is taken is decided by the store, here or in the server
//! that has it open ([`target`]); where things come from is the matter of [`source`], and of
//! [`archive`], [`slapproxy`] and [`services`].

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use shacache_core::digest::{Digest, Hasher};
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;
use shacache_store::Moved;
use shacache_store::archive_file::{ArchiveFile, Kind};
use shacache_store::error::{Chain, StoreError};
use shacache_store::import::Taken;
use shacache_store::verify::{Code, Finding};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use self::source::{Item, Sender, SourceEnd, Stage};
pub use self::target::{Target, TargetError};
use crate::upstream::UpstreamError;

pub mod archive;
pub mod keys;
pub mod services;
pub mod slapproxy;
mod source;
mod target;

/// The bytes of a blob as they come.
pub type Pieces = BoxStream<'static, Result<Bytes, PieceError>>;

/// Why bytes stopped coming.
pub type PieceError = Box<dyn Error + Send + Sync>;

/// What takes things in. Cloning shares it.
#[derive(Clone)]
pub struct Intake(Arc<Shared>);

struct Shared {
    target: Target,
    moved: Mutex<Moved>,
    /// Blobs that the archive where they come from bans itself.
    banned_there: Mutex<HashSet<Digest>>,
    progress: Box<dyn Fn(&Moved) + Send + Sync>,
}

/// Why nothing more is taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It cannot be written.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] StoreError),
    /// The server where it comes from is not there.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Intake {
    /// `progress` is told what was moved so far.
    pub fn new(target: Target, progress: impl Fn(&Moved) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            target,
            moved: Mutex::default(),
            banned_there: Mutex::default(),
            progress: Box::new(progress),
        }))
    }

    /// What came of everything so far.
    #[must_use]
    pub fn moved(&self) -> Moved {
        lock(&self.0.moved).clone()
    }

    /// Ends the intake in good order.
    ///
    /// # Errors
    /// When the archive cannot be closed.
    pub async fn close(&self) -> Result<(), TargetError> {
        self.0.target.close().await
    }

    /// Takes in all that `source` sends from a thread of its own: what is named before what names
    /// it, and many at once where the order does not matter.
    async fn run(
        &self,
        source: impl FnOnce(&Sender) -> Result<(), SourceEnd> + Send + 'static,
    ) -> Result<(), IntakeError> {
        let (sender, mut items) = mpsc::channel(WAITING);
        let reading = spawn_blocking(move || source(&Sender::new(sender)));
        let mut under_way = JoinSet::new();
        let mut stage = Stage::First;
        while let Some(item) = items.recv().await {
            let at_most = if item.stage() == stage { AT_ONCE - 1 } else { 0 };
            stage = item.stage();
            settle(&mut under_way, at_most).await?;
            let intake = self.clone();
            under_way.spawn(async move { intake.take(item).await });
        }
        settle(&mut under_way, 0).await?;
        match reading.await {
            Ok(Err(SourceEnd::Failed(error))) => Err(error.into()),
            Ok(Ok(()) | Err(SourceEnd::Stopped)) => Ok(()),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    async fn take(&self, item: Item) -> Result<(), TargetError> {
        match item {
            Item::Text { name, text, from } => self.text(name, text, from).await,
            Item::Blob { digest, bytes, pieces, from } => {
                self.blob(&digest, bytes, pieces, from).await
            }
            Item::Entries { key, entries, from } => {
                for entry in entries {
                    self.entry(&key, entry, from.clone()).await?;
                }
                Ok(())
            }
            Item::Finding(finding) => {
                self.found(finding);
                Ok(())
            }
        }
    }

    async fn text(&self, name: ArchiveFile, text: Bytes, from: String) -> Result<(), TargetError> {
        let Ok(text) = String::from_utf8(text.into()) else {
            self.found(finding(Code::Unreadable, from, "it is not UTF-8 text"));
            return Ok(());
        };
        let (kind, length) = (name.kind(), text.len() as u64);
        let taken = self.0.target.text(&name, text).await?;
        if let Kind::Ban(digest) = kind
            && !matches!(taken, Taken::Left { .. })
        {
            lock(&self.0.banned_there).insert(digest);
        }
        self.count(kind, length, taken, from);
        Ok(())
    }

    async fn blob(
        &self,
        digest: &Digest,
        bytes: u64,
        pieces: Pieces,
        from: String,
    ) -> Result<(), TargetError> {
        let banned_there = lock(&self.0.banned_there).contains(digest);
        let taken = if self.0.target.has_whole(digest).await? {
            // Read all the same: who imports wants to know that what is there is whole, too.
            compare(digest, pieces).await
        } else {
            self.0.target.blob(digest, None, banned_there, pieces).await?
        };
        let taken = taken.unwrap_or_else(|error| Taken::Left {
            code: Code::Unreadable,
            detail: Chain(&*error).to_string(),
        });
        self.count(Kind::Blob(*digest), bytes, taken, from);
        Ok(())
    }

    async fn entry(&self, key: &Key, entry: SignedEntry, from: String) -> Result<(), TargetError> {
        if !self.0.target.has(entry.digest()).await? {
            let detail = format!("an entry names {}, which is not there", entry.digest());
            self.found(finding(Code::BlobMissing, from.clone(), &detail));
        }
        let taken = self.0.target.entry(key, entry).await?;
        self.count(Kind::Entry, 0, taken, from);
        Ok(())
    }

    /// Adds what was found to the account.
    fn found(&self, finding: Finding) {
        lock(&self.0.moved).add(finding);
    }

    /// Adds damage to the account that is not listed one by one.
    fn found_more(&self, damage: u64) {
        lock(&self.0.moved).damage += damage;
    }

    /// Tells how far it is, where nothing new is to be counted.
    fn show(&self) {
        (self.0.progress)(&lock(&self.0.moved));
    }

    fn count(&self, kind: Kind, bytes: u64, taken: Taken, from: String) {
        let mut moved = lock(&self.0.moved);
        match taken {
            Taken::New => moved.count(kind, bytes),
            Taken::AlreadyThere => moved.already += 1,
            Taken::Left { code, detail } => moved.add(finding(code, from, &detail)),
        }
        (self.0.progress)(&moved);
    }
}

/// Waits until so few are under way.
async fn settle(
    under_way: &mut JoinSet<Result<(), TargetError>>,
    at_most: usize,
) -> Result<(), TargetError> {
    while under_way.len() > at_most {
        match under_way.join_next().await {
            Some(Ok(taken)) => taken?,
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => {}
        }
    }
    Ok(())
}

/// What comes of bytes that are there already, if they are the same.
async fn compare(digest: &Digest, mut pieces: Pieces) -> Result<Taken, PieceError> {
    let mut hasher = Hasher::new();
    while let Some(piece) = pieces.next().await {
        hasher.update(&piece?);
    }
    Ok(if hasher.finish() == *digest {
        Taken::AlreadyThere
    } else {
        let detail = "the bytes have another digest".to_owned();
        Taken::Left { code: Code::BlobDamaged, detail }
    })
}

fn finding(code: Code, path: String, detail: &str) -> Finding {
    Finding { code, path, detail: detail.to_owned(), quarantine: None }
}

/// Nothing that these locks guard can be left half-changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From four on they share two syncs.
const AT_ONCE: usize = 32;
const WAITING: usize = 32;
