//! The only module that makes anything durable. Owns the publish protocol: bytes are written to
//! `tmp/`, synced, renamed to their final name, and the folders that lead there are synced; only
//! then does anybody see or hear of them.
//!
//! One file, as the kernel sees it:
//! ```text
//! openat(tmp/N, O_CREAT|O_EXCL)   write…   fsync(tmp/N)
//! mkdirat(missing folders)        renameat(tmp/N, final)
//! fsync(final's folder)           fsync(each folder above, up to one known durable)
//! ```
//! A group: `write` all, `syncfs`, `mkdirat` and `renameat` all, `syncfs`.
//!
//! Must not know what the bytes mean. A failed sync is never repeated on the same data, because a
//! second one may succeed without having written anything.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::defence::Defence;
use crate::error::Fault;
use crate::timestamp::Timestamp;

/// Publishes files below one root folder.
#[derive(Debug)]
pub(crate) struct Durable {
    root: PathBuf,
    temporary: PathBuf,
    file_system: File,
    /// Tells the temporary files of this run from those of a process that is just ending.
    run: Timestamp,
    next_temporary: AtomicU64,
    /// Folders whose own names are on disk, all the way down from the root.
    known: Mutex<HashSet<PathBuf>>,
    /// Published names that no sync covers yet.
    pending: Mutex<HashSet<PathBuf>>,
    pending_count: AtomicUsize,
    /// Held by whoever publishes or moves a name; taken in the order of their numbers.
    names: [Mutex<()>; NAME_LOCKS],
    /// Shared by those who publish in a folder, held alone by who moves it; taken after `names`.
    folders: [RwLock<()>; NAME_LOCKS],
}

/// What a publish found under the final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// Nothing.
    New,
    /// An older copy, which is replaced: that heals it, should it have been damaged.
    Replaced,
}

impl Durable {
    /// `root` and `temporary` exist, and the names of both are durable.
    pub(crate) fn new(root: &Path, temporary: &Path) -> Result<Self, Fault> {
        Ok(Self {
            root: root.to_owned(),
            temporary: temporary.to_owned(),
            file_system: File::open(root).map_err(Fault::at("open", root))?,
            run: Timestamp::now(),
            next_temporary: AtomicU64::new(0),
            known: Mutex::default(),
            pending: Mutex::default(),
            pending_count: AtomicUsize::new(0),
            names: [const { Mutex::new(()) }; NAME_LOCKS],
            folders: [const { RwLock::new(()) }; NAME_LOCKS],
        })
    }

    /// An empty file in `tmp/`, gone again when dropped unpublished.
    pub(crate) fn temporary(&self) -> Result<Temporary, Fault> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.temporary.join(format!("{}-{number}", self.run));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(Fault::at("create", &path))?;
        Ok(Temporary { path, file, renamed: false })
    }

    /// Gives the file its final name. When this returns it survives a power cut.
    pub(crate) fn publish(&self, file: Temporary, to: &Path) -> Result<Published, Fault> {
        file.sync()?;
        let _name = lock(&self.names[name_lock(to)]);
        let _folder = self.stay(folder_lock(to));
        let published = self.place(file, to)?;
        let synced = self.sync_folders(to);
        self.settle(&[(to, published)], synced)?;
        Ok(published)
    }

    /// Publishes several small files at the cost of two syncs. All or none of them are published.
    /// The names must differ from each other.
    pub(crate) fn publish_group(&self, files: &[(&[u8], &Path)]) -> Result<Vec<Published>, Fault> {
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
        let mut placed = Vec::with_capacity(files.len());
        let mut outcome = Ok(());
        for (file, (_, to)) in written.into_iter().zip(files) {
            match self.place(file, to) {
                Ok(published) => placed.push((*to, published)),
                Err(fault) => {
                    outcome = Err(fault);
                    break;
                }
            }
        }
        let outcome = outcome.and_then(|()| self.sync_file_system());
        if outcome.is_ok() {
            for (to, _) in &placed {
                self.remember(self.folders_above(to).map(Path::to_owned));
            }
        }
        self.settle(&placed, outcome)?;
        Ok(placed.into_iter().map(|(_, published)| published).collect())
    }

    /// Makes sure that a file somebody else put under `path` survives a power cut too.
    pub(crate) fn sync_existing(&self, path: &Path) -> Result<(), Fault> {
        let file = File::open(path).map_err(Fault::at("open", path))?;
        sync_file(&file, path)?;
        self.sync_folders(path)
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
        let _folder = self.folders[name_lock(from)].write().unwrap_or_else(PoisonError::into_inner);
        if !is_wrong()? {
            return Ok(false);
        }
        self.relocate(from, to)?;
        Ok(true)
    }

    /// Whether `path` is placed but not durable yet, so that nobody may see it.
    pub(crate) fn is_pending(&self, path: &Path) -> bool {
        self.pending_count.load(Ordering::Acquire) != 0 && lock(&self.pending).contains(path)
    }

    /// Syncs everything on the file system.
    pub(crate) fn sync_file_system(&self) -> Result<(), Fault> {
        sync(&self.file_system, Reach::FileSystem).map_err(Fault::at("syncfs", &self.root))
    }

    /// Keeps folders with this lock where they are.
    fn stay(&self, at: usize) -> RwLockReadGuard<'_, ()> {
        self.folders[at].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn relocate(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.make_folders(to)?;
        fs::rename(from, to).map_err(Fault::at("rename", from))?;
        self.sync_folders(to)?;
        self.sync_folders(from)
    }

    /// Renames to the final name, which stays invisible if nothing was there before.
    fn place(&self, file: Temporary, to: &Path) -> Result<Published, Fault> {
        self.make_folders(to)?;
        let published = match fs::symlink_metadata(to) {
            Ok(_) => Published::Replaced,
            Err(error) if error.kind() == ErrorKind::NotFound => Published::New,
            Err(error) => return Err(Fault::new("stat", to, error)),
        };
        if published == Published::New {
            lock(&self.pending).insert(to.to_owned());
            self.pending_count.fetch_add(1, Ordering::AcqRel);
        }
        if let Err(fault) = file.rename(to) {
            self.settle(&[(to, published)], Err(fault.clone()))?;
        }
        Ok(published)
    }

    /// Shows what was placed, or takes it back when a sync failed.
    fn settle(
        &self,
        placed: &[(&Path, Published)],
        synced: Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (path, published) in placed {
            if *published == Published::Replaced {
                continue;
            }
            if synced.is_err()
                && let Err(error) = fs::remove_file(path)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::error!(path = %path.display(), %error, "an unpublished file stays");
            }
            if lock(&self.pending).remove(*path) {
                self.pending_count.fetch_sub(1, Ordering::AcqRel);
            }
        }
        synced
    }

    /// Makes the folders that lead to `path`.
    fn make_folders(&self, path: &Path) -> Result<(), Fault> {
        let missing: Vec<&Path> =
            self.folders_above(path).take_while(|folder| !folder.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
                Ok(()) => {
                    lock(&self.known).remove(folder);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Fault::new("mkdir", folder, error)),
            }
        }
        Ok(())
    }

    /// Syncs the folder of `path`, and those above it that are not known to be durable.
    fn sync_folders(&self, path: &Path) -> Result<(), Fault> {
        let mut above = self.folders_above(path);
        let Some(folder) = above.next() else {
            return sync_folder(&self.root);
        };
        sync_folder(folder)?;
        let mut synced = Vec::new();
        let mut folder = folder;
        while !lock(&self.known).contains(folder) {
            let parent = above.next().unwrap_or(&self.root);
            sync_folder(parent)?;
            synced.push(folder.to_owned());
            if parent == self.root {
                break;
            }
            folder = parent;
        }
        self.remember(synced);
        Ok(())
    }

    /// These folders' own names are on disk.
    fn remember(&self, folders: impl IntoIterator<Item = PathBuf>) {
        let mut known = lock(&self.known);
        if known.len() > KNOWN_FOLDERS {
            known.clear();
        }
        known.extend(folders);
    }

    /// The folders of `path` below the root, innermost first.
    fn folders_above<'a>(&self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        path.ancestors().skip(1).take_while(|folder| *folder != self.root)
    }
}

/// A file in `tmp/` that nobody else knows of.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(Fault::at("write", &self.path))
    }

    fn sync(&self) -> Result<(), Fault> {
        sync_file(&self.file, &self.path)
    }

    fn rename(mut self, to: &Path) -> Result<(), Fault> {
        fs::rename(&self.path, to).map_err(Fault::at("rename", to))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = fs::remove_file(&self.path)
        {
            // It takes space until the next start empties `tmp/`.
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays");
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

/// The lock that a name shares with few others.
fn name_lock(path: &Path) -> usize {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    crc32c::crc32c(name) as usize % NAME_LOCKS
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
/// Bounds the memory for known folders; forgetting them costs a few syncs.
const KNOWN_FOLDERS: usize = 200_000;
