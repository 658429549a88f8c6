//! A file that appears under its name only when it is complete: written as `NAME.part`, synced,
//! renamed. What an earlier run left in the part file is kept and counted.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use shacache_client::blob::Prefix;

/// A file on its way to being complete.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
}

impl PartFile {
    /// Opens `path`'s part file and reads what is in it. Nobody else may write it meanwhile.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Prefix)> {
        if path.is_dir() {
            bail!("{} is a folder", path.display());
        }
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .with_context(|| format!("cannot write {}", part.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{} is being written by another program", part.display());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", part.display()));
            }
        }
        let prefix =
            read_prefix(&mut file).with_context(|| format!("cannot read {}", part.display()))?;
        Ok((Self { file, part, path: path.into() }, prefix))
    }

    /// The name that the bytes are to have.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name that the bytes have until they are complete.
    pub(crate) fn part_path(&self) -> &Path {
        &self.part
    }

    /// Throws away what is there.
    pub(crate) fn clear(&mut self) -> anyhow::Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .with_context(|| format!("cannot write {}", self.part.display()))?;
        Ok(())
    }

    /// Whether nothing was written yet, now or before.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Gives the complete file its name; when this returns, it keeps it through a power cut.
    pub(crate) fn publish(self) -> anyhow::Result<()> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.part, &self.path))
            .and_then(|()| sync_parent(&self.path))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the part file.
    pub(crate) fn discard(self) -> anyhow::Result<()> {
        fs::remove_file(&self.part)
            .with_context(|| format!("cannot remove {}", self.part.display()))
    }
}

/// Appends.
impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn read_prefix(file: &mut File) -> io::Result<Prefix> {
    let mut prefix = Prefix::default();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(prefix),
            Ok(read) => prefix.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
