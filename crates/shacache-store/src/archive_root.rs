//! Opens files of the archive for reading, by paths that stay below its root and follow no link.
//! What the kernel can resolve from its caches is opened at once; only the rest costs a hop to a
//! thread that may block.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::beneath::Beneath;
use crate::blocking::blocking;
use crate::error::{Fault, StoreError};

/// The archive's folder, opened once.
#[derive(Debug)]
pub(crate) struct ArchiveRoot(Beneath);

impl ArchiveRoot {
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, Fault> {
        Ok(Arc::new(Self(Beneath::open(path)?)))
    }

    /// Opens the file at `path`, which lies below the root; `None` when there is none, be it that
    /// something else is there.
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
        match self.0.get(&path, flags, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => {}
            result => return self.found(&path, result).map_err(StoreError::from),
        }
        let root = Arc::clone(self);
        blocking(move || root.found(&path, root.0.get(&path, flags, ResolveFlags::empty()))).await
    }

    /// A missing file is no failure.
    fn found(&self, path: &Path, result: Result<File, Errno>) -> Result<Option<File>, Fault> {
        match result {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            // A link or a socket in a file's place is no file; a link on the way to it may hide one.
            Err(Errno::LOOP | Errno::NXIO) if self.0.get_name(path).is_ok() => Ok(None),
            Err(error) => Err(self.0.fault("open", path, error)),
        }
    }
}
