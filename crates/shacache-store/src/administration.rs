//! What an operator does to an archive: delete, ban, collect what nothing needs, and hold what must
//! stay. Owns what every such change has in common: one at a time, nothing that is held, told to the
//! audit log first, and nothing changed by a dry run. Must not know how anything is moved.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shacache_core::digest::Digest;
use tokio::sync::{Mutex, OwnedMutexGuard, RwLockWriteGuard};

pub use self::delete::Target;
pub use self::garbage::Collecting;
pub use self::search::{After, FoundEntry, ListedBlob, ListedKey, NoSuchPage, Page, Query};
pub use crate::audit::Removal;
use crate::audit::{Action, Run};
use crate::blob::BlobStore;
use crate::blocking::{blocking, joined};
use crate::directory::Directory;
use crate::error::StoreError;
use crate::gate::Pass;
use crate::hold::{self, Holds};
pub use crate::hold::{Held, Hold, HoldName, HoldNameError};
use crate::index::Index;
use crate::layout::Layout;
use crate::publisher::Publisher;
pub use crate::tombstone::Deletion;

mod ban;
mod delete;
mod entries;
mod garbage;
mod search;

/// Changes that operators make. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Administration(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    layout: Layout,
    publisher: Arc<Publisher>,
    blobs: BlobStore,
    directory: Directory,
    index: Arc<Index>,
    holds: Holds,
    /// One deletion at a time.
    turn: Arc<Mutex<()>>,
}

/// What was taken out of the archive; after a dry run, what would have been.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Removals {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Blobs.
    pub blobs: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of these blobs and entries.
    pub bytes: u64,
    /// What would have gone, and is held.
    pub held: u64,
    /// Blobs that an entry names and that had been collected: they come back.
    pub restored: u64,
    /// Entries with an `expiration_date` that is none; they stay.
    pub undated: u64,
    /// What went, as far as [`Removals::LISTED`] goes.
    pub listed: Vec<Removal>,
}

impl Removals {
    /// How many of them are listed; the counts go on.
    pub const LISTED: usize = 10_000;

    fn of(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }

    fn add_blob(&mut self, removal: Removal) {
        self.blobs += 1;
        self.add(removal);
    }

    fn add_entry(&mut self, removal: Removal) {
        self.entries += 1;
        self.add(removal);
    }

    fn add(&mut self, removal: Removal) {
        self.bytes += removal.bytes;
        if self.listed.len() < Self::LISTED {
            self.listed.push(removal);
        }
    }
}

impl Administration {
    pub(crate) fn new(
        layout: Layout,
        publisher: Arc<Publisher>,
        blobs: BlobStore,
        directory: Directory,
        index: Arc<Index>,
    ) -> Self {
        let holds = Holds::new(layout.clone());
        let turn = Arc::default();
        Self(Arc::new(Shared { layout, publisher, blobs, directory, index, holds, turn }))
    }

    /// Moves to quarantine what nothing needs any more, as the options say. Once begun it goes to
    /// its end, also when the caller stops waiting.
    ///
    /// # Errors
    /// When something in the archive cannot be read that may say what is needed, or a write fails.
    pub async fn collect(
        &self,
        deletion: &Deletion,
        options: Collecting,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let (shared, run) = self.begin(deletion);
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let work = async move {
            let _turn = turn;
            shared.collect(&run, options, dry_run).await
        };
        joined(tokio::spawn(work)).await
    }

    /// Takes entries out of sight and moves them to quarantine. Once begun it goes to its end, also
    /// when the caller stops waiting.
    ///
    /// # Errors
    /// [`StoreError::Held`] when exactly that is held; when the archive cannot be read, or a write
    /// fails.
    pub async fn delete(
        &self,
        deletion: &Deletion,
        target: Target,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let ((shared, run), (turn, pass)) = (self.begin(deletion), self.enter().await?);
        let work = async move {
            let _turn = turn;
            shared.delete(&pass, &run, target, dry_run).await
        };
        joined(tokio::spawn(work)).await
    }

    /// Bans a blob, unless it is banned already: it is neither served nor taken from now on, also
    /// after archives are merged. Its bytes go to quarantine. Once begun it goes to its end, also
    /// when the caller stops waiting.
    ///
    /// # Errors
    /// [`StoreError::Held`] when the blob, or the key of an entry that names it, is held; when the
    /// archive cannot be read or a write fails.
    pub async fn ban(
        &self,
        deletion: &Deletion,
        digest: &Digest,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let ((shared, run), (turn, pass)) = (self.begin(deletion), self.enter().await?);
        let digest = *digest;
        let work = async move {
            let _turn = turn;
            shared.ban(&pass, &run, &digest, dry_run).await
        };
        joined(tokio::spawn(work)).await
    }

    /// Ends a ban, and brings the bytes back if quarantine has them still; says whether there was
    /// one. Merging an archive that has the ban brings it back.
    ///
    /// # Errors
    /// When the archive cannot be read or a write fails.
    pub async fn unban(&self, deletion: &Deletion, digest: &Digest) -> Result<bool, StoreError> {
        let ((shared, run), (turn, pass)) = (self.begin(deletion), self.enter().await?);
        let digest = *digest;
        let work = async move {
            let _turn = turn;
            shared.unban(&pass, &run, &digest).await
        };
        joined(tokio::spawn(work)).await
    }

    /// Holds these under a name, besides what it holds already; gives how many are new. Once this
    /// returns nothing deletes them, and no power cut lets them go.
    ///
    /// # Errors
    /// When a write fails; what was added until then stays.
    pub async fn hold(
        &self,
        deletion: &Deletion,
        name: &HoldName,
        held: Vec<Held>,
    ) -> Result<u64, StoreError> {
        let ((shared, run), pass) = (self.begin(deletion), self.0.publisher.enter().await?);
        let name = name.clone();
        joined(tokio::spawn(async move { shared.hold(&pass, &run, &name, held).await })).await
    }

    /// Lets go of these, or of everything that the name holds; gives how many they were. The files
    /// go to quarantine. Merging an archive that has the hold brings it back.
    ///
    /// # Errors
    /// When the archive cannot be read or a write fails.
    pub async fn release(
        &self,
        deletion: &Deletion,
        name: &HoldName,
        held: Option<Vec<Held>>,
    ) -> Result<u64, StoreError> {
        let ((shared, run), pass) = (self.begin(deletion), self.0.publisher.enter().await?);
        let name = name.clone();
        joined(tokio::spawn(async move { shared.release(&pass, &run, &name, held).await })).await
    }

    /// Every hold, in the order of names.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.0.holds.list().await
    }

    /// The right to publish a hold: nothing is deleted meanwhile. Whoever asks has a pass.
    pub(crate) async fn changing_holds(&self, _pass: &Pass) -> RwLockWriteGuard<'_, ()> {
        self.0.holds.change().await
    }

    /// A turn and a pass, in this order: an orderly stop waits for whoever has a pass, and whose
    /// turn it is may need one more to get to an end. For the same reason nobody asks for a pass who
    /// has a hold, a key or a digest locked that a write may wait for.
    async fn enter(&self) -> Result<(OwnedMutexGuard<()>, Pass), StoreError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        Ok((turn, self.0.publisher.enter().await?))
    }

    /// What a command needs. One that is short enters before it is on its own: an orderly stop waits
    /// for whatever has entered, and refuses the rest.
    fn begin(&self, deletion: &Deletion) -> (Arc<Shared>, Run) {
        let run = Run::begin(&self.0.layout, &self.0.publisher, deletion);
        (Arc::clone(&self.0), run)
    }
}

impl Shared {
    async fn hold(
        self: &Arc<Self>,
        _pass: &Pass,
        run: &Run,
        name: &HoldName,
        held: Vec<Held>,
    ) -> Result<u64, StoreError> {
        let _change = self.holds.change().await;
        // Whoever made a change before may have left a hold behind that is not on disk.
        self.publisher.check()?;
        let mut added = 0;
        for one in held {
            let path = self.holds.path(name, &one);
            let asked = path.clone();
            if blocking(move || hold::is_there(&asked)).await? {
                continue;
            }
            let hold = hold::new(name.clone(), one, run.deletion().clone());
            run.record(Action::Hold, &[self.removal_of(&hold)]).await?;
            self.publisher.publish(hold.to_json().into(), path).await?;
            added += 1;
        }
        Ok(added)
    }

    async fn release(
        self: &Arc<Self>,
        _pass: &Pass,
        run: &Run,
        name: &HoldName,
        held: Option<Vec<Held>>,
    ) -> Result<u64, StoreError> {
        let _change = self.holds.change().await;
        let mut released = 0;
        for hold in self.holds.list().await? {
            let is_meant = held.as_ref().is_none_or(|held| held.contains(&hold.held));
            if hold.name != *name || !is_meant {
                continue;
            }
            run.record(Action::Release, &[self.removal_of(&hold)]).await?;
            let (shared, from) = (Arc::clone(self), self.holds.path(name, &hold.held));
            let to = self.layout.collected(&from);
            blocking(move || shared.publisher.move_away(&from, &to, || Ok(true))).await?;
            released += 1;
        }
        Ok(released)
    }

    fn removal_of(&self, hold: &Hold) -> Removal {
        let (key, digest) = match &hold.held {
            Held::Blob(digest) => (None, Some(digest.to_string())),
            Held::Key(key) => (Some(key.as_str().to_owned()), None),
        };
        let path = self.layout.in_archive(&self.holds.path(&hold.name, &hold.held));
        let bytes = hold.to_json().len() as u64;
        Removal { path, key, digest, bytes, reason: format!("hold {}", hold.name) }
    }
}
