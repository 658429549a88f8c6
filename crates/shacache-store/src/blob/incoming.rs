//! Receiving a blob: bytes are hashed and summed as they arrive, in memory independent of the
//! blob's size. A blob of one chunk stays in memory until it is published; a larger one is spooled
//! to `tmp/`, a batch being written while the next is received.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shacache_core::digest::{Digest, Hasher};
use tokio::task::JoinHandle;

use super::sums::{CHUNK_BYTES, Summer, Sums};
use super::{BlobStore, Shared};
use crate::blocking::{blocking, joined};
use crate::durable::{Published, Temporary};
use crate::error::StoreError;
use crate::space::{Purpose, Reservation};
use crate::unclaimed::{Changing, Room};

/// An upload in flight. Dropped without [`Incoming::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Incoming {
    shared: Arc<Shared>,
    announced_bytes: Option<u64>,
    received_bytes: u64,
    reservation: Reservation,
    destination: Destination,
    despite_ban: bool,
    /// Received, and in no spool yet. Copied together: a piece of one byte may hold on to a buffer
    /// of many thousand.
    gathered: BytesMut,
    spool: Spool,
}

/// Where the bytes are to lie.
#[derive(Debug)]
enum Destination {
    Archive,
    /// Apart, unless the archive has them already.
    Unclaimed(Room),
}

/// The final name of the bytes.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Of a name outside the archive.
    changing: Option<Changing>,
}

/// Where the bytes before the gathered ones are.
#[derive(Debug)]
enum Spool {
    /// There are none.
    Unused,
    /// Being hashed and written.
    Busy(JoinHandle<Result<Spooled, StoreError>>),
    /// An earlier write failed, and said so.
    Failed,
}

/// A spool file and what is known of its content.
#[derive(Debug)]
struct Spooled {
    file: Temporary,
    hasher: Hasher,
    summer: Summer,
}

/// Proof that a blob is durable: only a commit makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    digest: Digest,
    size: u64,
    was_new: bool,
    unclaimed_for: Option<Duration>,
}

impl Incoming {
    pub(super) fn begin(
        shared: Arc<Shared>,
        announced_bytes: Option<u64>,
    ) -> Result<Self, StoreError> {
        shared.publisher.check()?;
        let reservation = shared.space.reserve(announced_bytes.unwrap_or(0), Purpose::Blob)?;
        Ok(Self {
            shared,
            announced_bytes,
            received_bytes: 0,
            reservation,
            destination: Destination::Archive,
            despite_ban: false,
            gathered: BytesMut::new(),
            spool: Spool::Unused,
        })
    }

    /// Keeps the bytes apart from the archive. Space is promised to them as they come: whoever only
    /// announces some takes none from others.
    pub(super) fn unclaimed(mut self, room: Room) -> Self {
        self.reservation.release();
        Self { destination: Destination::Unclaimed(room), ..self }
    }

    /// Takes the bytes also if they are banned; they are served to nobody then.
    pub(crate) fn despite_ban(self) -> Self {
        Self { despite_ban: true, ..self }
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// When they cannot be written, or are more than announced.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let length = bytes.len() as u64;
        self.received_bytes = self.received_bytes.saturating_add(length);
        if let Some(expected) = self.announced_bytes
            && self.received_bytes > expected
        {
            return Err(StoreError::WrongLength { expected, found: self.received_bytes });
        }
        match (&mut self.destination, self.announced_bytes) {
            (Destination::Archive, Some(_)) => {}
            (Destination::Archive, None) => self.reservation.grow(length)?,
            (Destination::Unclaimed(room), _) => {
                self.reservation.grow(length)?;
                self.shared.unclaimed.grow(room, length).await?;
            }
        }
        self.gathered.extend_from_slice(&bytes);
        if !self.is_in_memory() && self.gathered.len() >= BATCH_BYTES {
            self.spool_gathered().await?;
        }
        Ok(())
    }

    /// Publishes the bytes. When this returns they are on disk under their digest and survive a
    /// power cut. Once begun it goes to its end, also when the caller stops waiting.
    ///
    /// # Errors
    /// When the digest is not the expected one, or a write fails; nothing is published then.
    pub async fn commit(self, expected: Option<&Digest>) -> Result<Stored, StoreError> {
        let expected = expected.copied();
        joined(tokio::spawn(async move { self.publish(expected.as_ref()).await })).await
    }

    async fn publish(mut self, expected: Option<&Digest>) -> Result<Stored, StoreError> {
        let shared = Arc::clone(&self.shared);
        let _pass = shared.publisher.enter().await?;
        if let Some(announced) = self.announced_bytes
            && announced != self.received_bytes
        {
            let found = self.received_bytes;
            return Err(StoreError::WrongLength { expected: announced, found });
        }
        let (digest, sums, published, place) = if self.is_in_memory() {
            self.commit_from_memory(expected).await?
        } else {
            self.commit_spooled(expected).await?
        };
        let sums = Arc::new(sums);
        let unclaimed_for = match (place.changing, self.destination) {
            (Some(changing), Destination::Unclaimed(room)) => {
                shared.unclaimed.note(&changing, &digest, room, sums);
                Some(shared.unclaimed.keep())
            }
            (None, _) | (Some(_), Destination::Archive) => {
                shared.know(&digest, &sums);
                shared.no_longer_unclaimed(&digest).await;
                None
            }
        };
        let was_new = published == Published::New;
        Ok(Stored { digest, size: self.received_bytes, was_new, unclaimed_for })
    }

    async fn commit_from_memory(
        &mut self,
        expected: Option<&Digest>,
    ) -> Result<(Digest, Sums, Published, Place), StoreError> {
        let bytes = std::mem::take(&mut self.gathered).freeze();
        let digest = Digest::of(&bytes);
        self.accept(&digest, expected).await?;
        let sums = Sums::of(&bytes);
        let place = self.place(&digest).await?;
        let published = self.shared.publisher.publish(bytes, place.path.clone()).await?;
        Ok((digest, sums, published, place))
    }

    async fn commit_spooled(
        &mut self,
        expected: Option<&Digest>,
    ) -> Result<(Digest, Sums, Published, Place), StoreError> {
        self.spool_gathered().await?;
        let Some(Spooled { file, hasher, summer }) = self.idle_spool().await? else {
            return Err(StoreError::Closed);
        };
        let digest = hasher.finish();
        if let Err(refusal) = self.accept(&digest, expected).await {
            // Deleting a large file takes its time.
            return blocking(move || {
                drop(file);
                Err(refusal)
            })
            .await;
        }
        let place = self.place(&digest).await?;
        let (shared, to) = (Arc::clone(&self.shared), place.path.clone());
        let published = blocking(move || shared.publisher.publish_temporary(file, &to)).await?;
        Ok((digest, summer.finish(), published, place))
    }

    /// The final name. Bytes that the archive has already go there, which heals them.
    async fn place(&self, digest: &Digest) -> Result<Place, StoreError> {
        let archived = Place { path: self.shared.layout.blob(digest), changing: None };
        if let Destination::Archive = self.destination {
            return Ok(archived);
        }
        let changing = self.shared.unclaimed.changing(digest).await;
        if BlobStore(Arc::clone(&self.shared)).look_up(digest).await?.is_some() {
            return Ok(archived);
        }
        let path = self.shared.layout.unclaimed_blob(digest);
        Ok(Place { path, changing: Some(changing) })
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.spool, Spool::Unused) && self.gathered.len() <= CHUNK_BYTES
    }

    /// Whether a blob with this digest may be published.
    async fn accept(&self, digest: &Digest, expected: Option<&Digest>) -> Result<(), StoreError> {
        if let Some(expected) = expected
            && expected != digest
        {
            let (expected, found) = (Box::new(*expected), Box::new(*digest));
            return Err(StoreError::WrongDigest { expected, found });
        }
        if !self.despite_ban && self.shared.is_banned(digest).await? {
            return Err(StoreError::Banned(Box::new(*digest)));
        }
        Ok(())
    }

    /// Has what was gathered written, once what was gathered before is.
    async fn spool_gathered(&mut self) -> Result<(), StoreError> {
        let bytes = std::mem::take(&mut self.gathered);
        let earlier = self.idle_spool().await?;
        self.reservation.used(bytes.len() as u64);
        let shared = Arc::clone(&self.shared);
        self.spool = Spool::Busy(tokio::task::spawn_blocking(move || {
            let mut spooled = match earlier {
                Some(spooled) => spooled,
                None => Spooled {
                    file: shared.publisher.temporary()?,
                    hasher: Hasher::new(),
                    summer: Summer::default(),
                },
            };
            spooled.hasher.update(&bytes);
            spooled.summer.update(&bytes);
            shared.publisher.write(&mut spooled.file, &bytes)?;
            Ok(spooled)
        }));
        Ok(())
    }

    /// The spool when nothing is being written to it; `None` when none was begun.
    async fn idle_spool(&mut self) -> Result<Option<Spooled>, StoreError> {
        match std::mem::replace(&mut self.spool, Spool::Failed) {
            Spool::Unused => Ok(None),
            Spool::Busy(writing) => joined(writing).await.map(Some),
            Spool::Failed => Err(StoreError::Closed),
        }
    }
}

impl Stored {
    /// The blob's name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it was not there before.
    #[must_use]
    pub fn was_new(&self) -> bool {
        self.was_new
    }

    /// How long it stays, and is served to nobody, unless an accepted entry names it; `None` for
    /// good.
    #[must_use]
    pub fn unclaimed_for(&self) -> Option<Duration> {
        self.unclaimed_for
    }
}

/// How much is gathered before it is handed to the thread that writes.
const BATCH_BYTES: usize = 4 * CHUNK_BYTES;
