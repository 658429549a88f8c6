//! Opens files of the archive for reading, by paths that stay below its root and follow no link.
//! What the kernel can resolve from its caches is opened at once; only the rest costs a hop to a
//! thread that may block.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::error::{Fault, StoreError};

/// The archive's folder, opened once.
#[derive(Debug)]
pub(crate) struct ArchiveRoot {
    path: PathBuf,
    folder: File,
}

impl ArchiveRoot {
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, Fault> {
        let folder = File::open(path).map_err(Fault::at("open", path))?;
        Ok(Arc::new(Self { path: path.to_owned(), folder }))
    }

    /// Opens the file at `path`, which lies below the root; `None` when there is none.
    pub(crate) async fn file(self: &Arc<Self>, path: PathBuf) -> Result<Option<File>, StoreError> {
        // A pipe that somebody put there must not hold up anybody; files know no such flag.
        self.resolve(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK).await
    }

    /// Whether there is anything at `path`, which lies below the root.
    pub(crate) async fn contains(self: &Arc<Self>, path: PathBuf) -> Result<bool, StoreError> {
        Ok(self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW).await?.is_some())
    }

    async fn resolve(
        self: &Arc<Self>,
        path: PathBuf,
        flags: OFlags,
    ) -> Result<Option<File>, StoreError> {
        match self.openat(&path, flags, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {}
            result => return found(&path, result).map_err(StoreError::from),
        }
        let root = Arc::clone(self);
        blocking(move || found(&path, root.openat(&path, flags, ResolveFlags::empty()))).await
    }

    fn openat(&self, path: &Path, flags: OFlags, extra: ResolveFlags) -> Result<File, Errno> {
        let relative = path.strip_prefix(&self.path).map_err(|_| Errno::XDEV)?;
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | extra;
        let opened = rustix::io::retry_on_intr(|| {
            rustix::fs::openat2(&self.folder, relative, flags, Mode::empty(), resolve)
        });
        match opened {
            Ok(file) => Ok(file.into()),
            // A sandbox without openat2: names are digests and encoded keys, so plain openat
            // cannot leave the root either, except through a link that somebody put there.
            Err(Errno::NOSYS | Errno::PERM) => {
                rustix::fs::openat(&self.folder, relative, flags, Mode::empty()).map(File::from)
            }
            Err(error) => Err(error),
        }
    }
}

/// A missing file is no failure.
fn found(path: &Path, result: Result<File, Errno>) -> Result<Option<File>, Fault> {
    match result {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(Fault::new("open", path, io::Error::from(error))),
    }
}
