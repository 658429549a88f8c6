//! The folders that lead to a published name: reached without following a link, made where they are
//! missing, and synced up to one whose own name is known to be durable. Must not know what is
//! published in them.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::{lock, sync_file};
use crate::beneath::Beneath;
use crate::error::Fault;

/// The folders below the root.
#[derive(Debug)]
pub(super) struct Folders {
    root: Beneath,
    /// Folders whose own names are on disk, all the way down from the root.
    known: Mutex<HashSet<PathBuf>>,
}

/// The open folder of a name.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Folders {
    pub(super) fn below(root: &Path) -> Result<Self, Fault> {
        Ok(Self { root: Beneath::open(root)?, known: Mutex::default() })
    }

    pub(super) fn root(&self) -> &Beneath {
        &self.root
    }

    /// The folder of `path`, made with those above it if it is missing.
    pub(super) fn make_for(&self, path: &Path) -> Result<Folder, Fault> {
        self.make(path.parent().unwrap_or_else(|| self.root.path()))
    }

    /// The folder of `path`, which is there.
    pub(super) fn of(&self, path: &Path) -> Result<Folder, Fault> {
        let folder = path.parent().unwrap_or_else(|| self.root.path());
        self.open(folder).map_err(|error| self.root.fault("open", folder, error))
    }

    fn open(&self, path: &Path) -> Result<Folder, Errno> {
        Ok(Folder { path: path.to_owned(), file: self.root.get_folder(path)? })
    }

    fn make(&self, path: &Path) -> Result<Folder, Fault> {
        match self.open(path) {
            Ok(folder) => return Ok(folder),
            Err(Errno::NOENT) if path != self.root.path() => {}
            Err(error) => return Err(self.root.fault("open", path, error)),
        }
        let above = self.make_for(path)?;
        // Before it is there: whoever finds it there must not take an earlier one's name for its.
        lock(&self.known).remove(path);
        match rustix::fs::mkdirat(&above.file, super::name(path), Mode::from(super::FOLDER_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Fault::new("mkdir", path, error)),
        }
        self.open(path).map_err(|error| self.root.fault("open", path, error))
    }

    /// Syncs a folder, and those above it that are not known to be durable.
    pub(super) fn sync(&self, innermost: &Folder) -> Result<(), Fault> {
        sync_file(&innermost.file, &innermost.path)?;
        let mut synced = Vec::new();
        for folder in innermost.path.ancestors() {
            if folder == self.root.path() || lock(&self.known).contains(folder) {
                break;
            }
            let above = self.of(folder)?;
            sync_file(&above.file, &above.path)?;
            synced.push(folder.to_owned());
        }
        self.remember(synced);
        Ok(())
    }

    /// The names of a folder and of all those above it are on disk.
    pub(super) fn is_synced(&self, innermost: &Path) {
        let above = innermost.ancestors().take_while(|folder| *folder != self.root.path());
        self.remember(above.map(Path::to_owned));
    }

    fn remember(&self, folders: impl IntoIterator<Item = PathBuf>) {
        let mut known = lock(&self.known);
        if known.len() > KNOWN_FOLDERS {
            known.clear();
        }
        known.extend(folders);
    }

    /// Device and inode of what is at `path` itself; `None` for nothing.
    pub(super) fn identity(&self, path: &Path) -> Result<Option<(u64, u64)>, Fault> {
        match self.root.get_name(path) {
            Ok(found) => {
                let status = rustix::fs::fstat(&found).map_err(Fault::at("stat", path))?;
                Ok(Some((status.st_dev, status.st_ino)))
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.root.fault("open", path, error)),
        }
    }
}

impl Folder {
    /// What kind of thing is under a name here; `None` for nothing.
    pub(super) fn kind(&self, path: &Path) -> Result<Option<rustix::fs::FileType>, Fault> {
        match rustix::fs::statat(&self.file, super::name(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(rustix::fs::FileType::from_raw_mode(found.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Fault::new("stat", path, error)),
        }
    }
}

/// Bounds the memory for known folders; forgetting them costs a few syncs.
const KNOWN_FOLDERS: usize = 200_000;
