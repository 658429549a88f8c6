//! The only module that makes anything durable. Owns the publish protocol: bytes are written to
//! `tmp/`, synced, renamed to their final name, and the folders that lead there are synced; only
//! then does anybody see or hear of them.
//!
//! One file, as the kernel sees it:
//! ```text
//! openat(tmp/N, O_CREAT|O_EXCL)   write…   fsync(tmp/N)
//! openat2(final's folder)         mkdirat(missing folders)    renameat(tmp/N, final)
//! fsync(final's folder)           fsync(each folder above, up to one known durable)
//! openat2(final)                  it is the file that was written
//! ```
//! A group: `write` all, `syncfs`, `mkdirat` and `renameat` all, `syncfs`, `openat2` all.
//!
//! Must not know what the bytes mean. A failed sync is never repeated on the same data, because a
//! second one may succeed without having written anything. No link is followed below the root.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags};
use rustix::io::Errno;

use self::folders::{Folder, Folders};
pub(crate) use self::temporary::Temporary;
use self::temporary::TemporaryFolder;
use crate::crc32c;
use crate::defence::Defence;
use crate::error::{Fault, MOVE_BACK, TAKE_BACK};
use crate::layout::Layout;
use crate::timestamp::Timestamp;

mod folders;
mod temporary;

/// Publishes files below the data folder.
#[derive(Debug)]
pub(crate) struct Durable {
    layout: Layout,
    folders: Folders,
    temporary: TemporaryFolder,
    /// Published names that no sync covers yet, or whose sync failed and which could not be removed.
    pending: Mutex<HashSet<PathBuf>>,
    pending_count: AtomicUsize,
    /// Held by whoever publishes or moves a name; taken in the order of their numbers.
    names: [Mutex<()>; NAME_LOCKS],
    /// Shared by those who publish in a folder, held alone by who moves it; taken after `names`.
    moves: [RwLock<()>; NAME_LOCKS],
}

/// What a publish found under the final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// Nothing, or something that is no file and is in quarantine now.
    New,
    /// An older copy, which is replaced: that heals it, should it have been damaged.
    Replaced,
}

/// A file under its final name, before the sync that makes it durable.
#[derive(Debug)]
struct Placed<'a> {
    to: &'a Path,
    /// Open, so that what has to go again goes also when there are no more descriptors.
    folder: Folder,
    published: Published,
    /// Device and inode.
    identity: (u64, u64),
}

impl Durable {
    /// The folders of `layout` exist, and their names are durable.
    pub(crate) fn new(layout: Layout) -> Result<Self, Fault> {
        Ok(Self {
            folders: Folders::below(layout.data())?,
            temporary: TemporaryFolder::open(&layout.temporary())?,
            layout,
            pending: Mutex::default(),
            pending_count: AtomicUsize::new(0),
            names: [const { Mutex::new(()) }; NAME_LOCKS],
            moves: [const { RwLock::new(()) }; NAME_LOCKS],
        })
    }

    /// An empty file in `tmp/`, gone again when dropped unpublished.
    pub(crate) fn temporary(&self) -> Result<Temporary, Fault> {
        self.temporary.file()
    }

    /// Gives the file its final name. When this returns it survives a power cut.
    pub(crate) fn publish(&self, file: Temporary, to: &Path) -> Result<Published, Fault> {
        file.sync()?;
        let _name = lock(&self.names[name_lock(to)]);
        let _folder = self.stay(folder_lock(to));
        let folder = self.folders.make_for(to)?;
        let placed = self.place(file, folder, to)?;
        let synced = self.folders.sync(&placed.folder);
        self.settle(&placed, synced)
    }

    /// Publishes several small files at the cost of two syncs; a failed sync fails all of them, and
    /// what is in the way of one fails that one. The names must differ from each other.
    pub(crate) fn publish_group(
        &self,
        files: &[(&[u8], &Path)],
    ) -> Result<Vec<Result<Published, Fault>>, Fault> {
        let mut written = Vec::with_capacity(files.len());
        for (bytes, _) in files {
            let mut file = self.temporary()?;
            file.write_all(bytes)?;
            written.push(file);
        }
        self.sync_file_system()?;
        let names = in_order(files.iter().map(|(_, to)| name_lock(to)));
        let _names: Vec<_> = names.into_iter().map(|at| lock(&self.names[at])).collect();
        let folders = in_order(files.iter().map(|(_, to)| folder_lock(to)));
        let _folders: Vec<_> = folders.into_iter().map(|at| self.stay(at)).collect();
        let mut outcome = Ok(());
        let mut placed = Vec::with_capacity(files.len());
        for (file, (_, to)) in written.into_iter().zip(files) {
            let one = self.folders.make_for(to).and_then(|folder| self.place(file, folder, to));
            if let Err(fault) = &one
                && fault.condemns_the_disk()
            {
                outcome = Err(fault.clone());
            }
            placed.push(one);
        }
        let outcome = outcome.and_then(|()| self.sync_file_system());
        if outcome.is_ok() {
            let folders = placed.iter().flatten().filter_map(|placed| placed.to.parent());
            folders.for_each(|folder| self.folders.is_synced(folder));
        }
        let settled: Vec<_> = placed
            .into_iter()
            .map(|one| one.and_then(|placed| self.settle(&placed, outcome.clone())))
            .collect();
        match outcome {
            Ok(()) => Ok(settled),
            // What is left of the group weighs more than what it failed for.
            Err(fault) => Err(settled
                .into_iter()
                .filter_map(Result::err)
                .find(Fault::condemns_the_disk)
                .unwrap_or(fault)),
        }
    }

    /// Makes sure that a file somebody else put under `path` survives a power cut too.
    pub(crate) fn sync_existing(&self, path: &Path) -> Result<(), Fault> {
        let folder = self.folders.of(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let root = self.folders.root();
        let file = root
            .get(path, flags, ResolveFlags::empty())
            .map_err(|error| root.fault("open", path, error))?;
        sync_file(&file, path)?;
        self.folders.sync(&folder)
    }

    /// Gives a durable file that lies elsewhere below the root its final name. When this returns it
    /// survives a power cut there; when it fails, the file is moved back. One that cannot be stays
    /// where it is, to be seen: its bytes were durable before.
    pub(crate) fn adopt(&self, from: &Path, to: &Path) -> Result<Published, Fault> {
        let _name = lock(&self.names[name_lock(to)]);
        let _folder = self.stay(folder_lock(to));
        let (source, target) = (self.folders.of(from)?, self.folders.make_for(to)?);
        let Some(identity) = self.folders.identity(from)? else {
            return Err(Fault::new("rename", from, ErrorKind::NotFound));
        };
        let published = self.announce(&target, to)?;
        if let Err(error) = rustix::fs::renameat(&source.file, name(from), &target.file, name(to)) {
            self.withdraw(&target, to, published);
            return Err(Fault::new("rename", from, error));
        }
        let synced = self.folders.sync(&target).and_then(|()| self.folders.sync(&source));
        let placed = Placed { to, folder: target, published, identity };
        let adopted = self.confirm(&placed, synced);
        let moved_back = match &adopted {
            Err(fault) if published == Published::New => {
                match rustix::fs::renameat(&placed.folder.file, name(to), &source.file, name(from))
                {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    Err(error) => Err(fault.not_undone(MOVE_BACK, from, &error)),
                }
            }
            _ => Ok(()),
        };
        self.show(to, published);
        moved_back.and(adopted)
    }

    /// Moves whatever is at `from` to `to`, durably, if `is_wrong` still says so; gives whether it
    /// did. Nothing is published under that name, or in a folder of that name, between the judgment
    /// and the move.
    pub(crate) fn move_away(
        &self,
        from: &Path,
        to: &Path,
        is_wrong: impl FnOnce() -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let _name = lock(&self.names[name_lock(from)]);
        let _folder = self.moves[name_lock(from)].write().unwrap_or_else(PoisonError::into_inner);
        if !is_wrong()? {
            return Ok(false);
        }
        self.relocate(from, to)?;
        self.show(from, Published::New);
        Ok(true)
    }

    /// Whether `path` is placed but not durable yet, so that nobody may see it.
    pub(crate) fn is_pending(&self, path: &Path) -> bool {
        self.pending_count.load(Ordering::Acquire) != 0 && lock(&self.pending).contains(path)
    }

    /// Opens a folder below the root to read it; `None` when there is none. Errors when a link leads
    /// there, or is there itself: what it hides is not the archive's.
    pub(crate) fn folder(&self, path: &Path) -> Result<Option<File>, Fault> {
        match self.folders.root().get_folder(path) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.folders.root().fault("open", path, error)),
        }
    }

    /// Syncs everything on the file system.
    pub(crate) fn sync_file_system(&self) -> Result<(), Fault> {
        let root = self.folders.root();
        sync(root.folder(), Reach::FileSystem).map_err(Fault::at("syncfs", root.path()))
    }

    /// Keeps folders with this lock where they are.
    fn stay(&self, at: usize) -> RwLockReadGuard<'_, ()> {
        self.moves[at].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn relocate(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        let (source, target) = (self.folders.of(from)?, self.folders.make_for(to)?);
        rustix::fs::renameat(&source.file, name(from), &target.file, name(to))
            .map_err(Fault::at("rename", from))?;
        self.folders.sync(&target)?;
        self.folders.sync(&source)
    }

    /// Renames to the final name, which stays invisible if nothing was there before.
    fn place<'a>(
        &self,
        file: Temporary,
        folder: Folder,
        to: &'a Path,
    ) -> Result<Placed<'a>, Fault> {
        let identity = file.identity()?;
        let published = self.announce(&folder, to)?;
        if let Err(fault) = self.temporary.rename(file, &folder, to) {
            self.withdraw(&folder, to, published);
            return Err(fault);
        }
        Ok(Placed { to, folder, published, identity })
    }

    /// Looks what is under a final name, and moves it to quarantine if it is no file. With nothing
    /// there, or nothing that anybody has seen, what comes stays invisible.
    fn announce(&self, folder: &Folder, to: &Path) -> Result<Published, Fault> {
        match folder.kind(to)? {
            Some(FileType::RegularFile) if !self.is_pending(to) => return Ok(Published::Replaced),
            Some(FileType::RegularFile) => {}
            Some(kind) => {
                let place = self.layout.displaced(to, Timestamp::now());
                self.relocate(to, &place)?;
                let (path, to) = (to.display(), place.display());
                tracing::error!(%path, ?kind, %to, "in the place of a file: moved to quarantine");
            }
            None => {}
        }
        if lock(&self.pending).insert(to.to_owned()) {
            self.pending_count.fetch_add(1, Ordering::AcqRel);
        }
        Ok(Published::New)
    }

    /// Shows what was placed, or takes it back when a sync failed or the name leads elsewhere now.
    /// What cannot be taken back stays unseen, and is a reason to take no more writes: none must
    /// depend on whether it is there.
    fn settle(&self, placed: &Placed<'_>, synced: Result<(), Fault>) -> Result<Published, Fault> {
        let settled = self.confirm(placed, synced);
        if let Err(fault) = &settled
            && placed.published == Published::New
        {
            self.take_back(placed)
                .map_err(|error| fault.not_undone(TAKE_BACK, placed.to, &error))?;
        }
        self.show(placed.to, placed.published);
        settled
    }

    /// Errors unless what was placed is synced and still there.
    fn confirm(&self, placed: &Placed<'_>, synced: Result<(), Fault>) -> Result<Published, Fault> {
        let Placed { to, published, identity, .. } = *placed;
        synced?;
        if self.folders.identity(to)? == Some(identity) {
            return Ok(published);
        }
        let gone = io::Error::new(ErrorKind::NotFound, "it was moved away meanwhile");
        Err(Fault::new("publish", to, gone))
    }

    /// Removes a file that nobody has seen.
    fn take_back(&self, placed: &Placed<'_>) -> Result<(), Fault> {
        let Placed { to, folder, identity, .. } = placed;
        match rustix::fs::statat(&folder.file, name(to), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if (found.st_dev, found.st_ino) == *identity => {
                rustix::fs::unlinkat(&folder.file, name(to), AtFlags::empty())
                    .map_err(Fault::at("remove", to))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Fault::new("stat", to, error)),
        }
    }

    /// Ends what was announced and did not come. What nobody has seen there stays unseen.
    fn withdraw(&self, folder: &Folder, to: &Path, published: Published) {
        if matches!(folder.kind(to), Ok(None)) {
            self.show(to, published);
        }
    }

    /// The opposite of [`Self::announce`].
    fn show(&self, path: &Path, published: Published) {
        if published == Published::New && lock(&self.pending).remove(path) {
            self.pending_count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Makes a folder (mode 0750) and those above it, and their names durable.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Fault> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    make_folder(parent)?;
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Fault::new("mkdir", folder, error)),
    }
    sync_folder(parent)
}

/// Syncs one folder: the names in it are on disk afterwards.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Fault> {
    let open = File::open(folder).map_err(Fault::at("open", folder))?;
    sync_file(&open, folder)
}

/// Syncs one open file; `path` is for the error.
pub(crate) fn sync_file(file: &File, path: &Path) -> Result<(), Fault> {
    sync(file, Reach::File).map_err(Fault::at("fsync", path))
}

/// How much one sync writes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The file or folder itself.
    File,
    /// All that was written to its file system.
    FileSystem,
}

/// Every sync of the archive goes through here, so that a build for tests can take away all of them.
fn sync(file: &File, reach: Reach) -> io::Result<()> {
    if !Defence::Sync.is_up() {
        return Ok(());
    }
    let synced = match reach {
        Reach::File => file.sync_all(),
        Reach::FileSystem => {
            rustix::io::retry_on_intr(|| rustix::fs::syncfs(file)).map_err(io::Error::from)
        }
    };
    if Defence::SyncErrors.is_up() {
        synced?;
    }
    // Once XFS has shut down (its log could not be written), the fsync of a folder finds nothing
    // left to do and succeeds. Only other calls say what happened; this one touches no disk.
    file.metadata().map(|_| ())
}

/// The last part of a path.
fn name(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

/// The lock that a name shares with few others.
fn name_lock(path: &Path) -> usize {
    crc32c::of(name(path).as_encoded_bytes()) as usize % NAME_LOCKS
}

/// The lock that the folder of a name shares with few others.
fn folder_lock(path: &Path) -> usize {
    name_lock(path.parent().unwrap_or(path))
}

/// Each lock once, in the order in which everybody takes them.
fn in_order(locks: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut locks: Vec<usize> = locks.collect();
    locks.sort_unstable();
    locks.dedup();
    locks
}

/// Nothing that these locks guard can be left half-changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
const NAME_LOCKS: usize = 256;
