//! Files in `tmp/` that nobody else knows of: on their way to a final name, or gone again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::folders::Folder;
use super::{FILE_MODE, name, sync_file};
use crate::error::Fault;
use crate::timestamp::Timestamp;

/// The folder that such files are made in.
#[derive(Debug)]
pub(super) struct TemporaryFolder {
    path: PathBuf,
    folder: File,
    /// Tells the files of this run from those of a process that is just ending.
    run: Timestamp,
    next: AtomicU64,
}

/// A file that is gone again when it is dropped unpublished.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    file: File,
    /// Written since the last sync.
    unsynced_bytes: usize,
    renamed: bool,
}

impl TemporaryFolder {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let folder = File::open(path).map_err(Fault::at("open", path))?;
        let (run, next) = (Timestamp::now(), AtomicU64::new(0));
        Ok(Self { path: path.to_owned(), folder, run, next })
    }

    /// An empty file.
    pub(super) fn file(&self) -> Result<Temporary, Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("{}-{number}", self.run));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(Fault::at("create", &path))?;
        Ok(Temporary { path, file, unsynced_bytes: 0, renamed: false })
    }

    /// Gives the file the name that `to` has in `folder`.
    pub(super) fn rename(
        &self,
        mut file: Temporary,
        folder: &Folder,
        to: &Path,
    ) -> Result<(), Fault> {
        rustix::fs::renameat(&self.folder, name(&file.path), &folder.file, name(to))
            .map_err(Fault::at("rename", to))?;
        file.renamed = true;
        Ok(())
    }
}

impl Temporary {
    /// Adds bytes. A large file is written back as it grows: its last sync, which somebody waits for,
    /// finds little left to do.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(Fault::at("write", &self.path))?;
        self.unsynced_bytes += bytes.len();
        if self.unsynced_bytes >= UNSYNCED_BYTES {
            self.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), Fault> {
        sync_file(&self.file, &self.path)
    }

    /// Device and inode, whatever name it has.
    pub(super) fn identity(&self) -> Result<(u64, u64), Fault> {
        let found = self.file.metadata().map_err(Fault::at("stat", &self.path))?;
        Ok((found.dev(), found.ino()))
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

/// 8 MiB: few syncs, each of which costs the file system a commit, and short ones.
const UNSYNCED_BYTES: usize = 8 << 20;
