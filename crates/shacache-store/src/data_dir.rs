//! The data folder as a whole: made, locked, checked, and left in order. Owns what happens between
//! two runs: the lock, the format version, the seal of an orderly stop, the emptying of `tmp/`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::defence::Defence;
use crate::durable::{make_folder, sync_file, sync_folder};
use crate::error::{Fault, StoreError};
use crate::layout::{FORMAT, Layout};
use crate::scan::{self, Content};
use crate::seal::Seal;

/// A data folder that this process has for itself.
#[derive(Debug)]
pub(crate) struct DataDir {
    layout: Layout,
    /// Locked as long as it is there.
    lock: Mutex<Option<File>>,
    seal: Option<Seal>,
}

impl DataDir {
    /// Refuses a folder that is no data folder, and changes nothing. Blocking.
    pub(crate) fn require(data: &Path) -> Result<(), StoreError> {
        let layout = Layout::new(data.to_owned());
        let is_empty = |folder: &Path| Ok::<_, StoreError>(scan::entries(folder)?.next().is_none());
        match scan::content(&layout.version(), VERSION_LIMIT_BYTES)? {
            Content::Missing if is_empty(&layout.blobs())? && is_empty(&layout.entries())? => {
                Err(StoreError::NoArchive(data.to_owned()))
            }
            Content::Missing | Content::NotAFile | Content::Bytes(_) => Ok(()),
        }
    }

    /// Opens the data folder, making it if it is missing. Blocking.
    pub(crate) fn open(data: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(std::path::absolute(data).map_err(Fault::at("resolve", data))?);
        make_folder(layout.data())?;
        let lock = lock(&layout)?;
        for folder in layout.folders() {
            make_folder(&folder)?;
        }
        check_version(&layout)?;
        check_file_system(&layout)?;
        check_links(&layout)?;
        let seal = Seal::take(&layout)?;
        if Defence::EmptyTemporary.is_up() {
            empty(&layout.temporary())?;
        }
        Ok(Self { layout, lock: Mutex::new(Some(lock)), seal })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The seal of the last stop if that was orderly and nothing changed since: all there is was
    /// synced, and is in the index that has the same seal.
    pub(crate) fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Ends this run, with the seal of an orderly end if it was one, and gives up the lock.
    pub(crate) fn close(&self, seal: Option<&Seal>) -> Result<(), StoreError> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (&lock, seal) {
            (Some(_), Some(seal)) => Ok(seal.set(&self.layout)?),
            (None, _) | (_, None) => Ok(()),
        }
    }
}

fn lock(layout: &Layout) -> Result<File, StoreError> {
    let path = layout.lock();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Fault::at("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(layout.data().to_owned())),
        Err(TryLockError::Error(error)) => Err(Fault::new("lock", &path, error).into()),
    }
}

/// Writes the version of a new archive, and refuses one of another version.
fn check_version(layout: &Layout) -> Result<(), StoreError> {
    let path = layout.version();
    match scan::content(&path, VERSION_LIMIT_BYTES)? {
        Content::Bytes(bytes) => {
            let found = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if found == FORMAT { Ok(()) } else { Err(StoreError::Format { path, found }) }
        }
        Content::NotAFile => Err(StoreError::Format { path, found: "not a file".to_owned() }),
        Content::Missing => {
            for folder in [layout.blobs(), layout.entries()] {
                if scan::entries(&folder)?.next().is_some() {
                    return Err(StoreError::Format { path, found: "missing".to_owned() });
                }
            }
            Ok(write_version(layout, &path)?)
        }
    }
}

fn write_version(layout: &Layout, path: &Path) -> Result<(), Fault> {
    let temporary = layout.temporary().join("VERSION");
    let mut file = File::create(&temporary).map_err(Fault::at("create", &temporary))?;
    writeln!(file, "{FORMAT}").map_err(Fault::at("write", &temporary))?;
    sync_file(&file, &temporary)?;
    fs::rename(&temporary, path).map_err(Fault::at("rename", path))?;
    sync_folder(&layout.archive())
}

/// Publishing renames from `tmp/` into the archive.
fn check_file_system(layout: &Layout) -> Result<(), StoreError> {
    let device =
        |path: &Path| fs::metadata(path).map(|found| found.dev()).map_err(Fault::at("stat", path));
    let temporary = layout.temporary();
    for folder in layout.folders() {
        if device(&temporary)? != device(&folder)? {
            return Err(StoreError::TwoFileSystems(temporary, folder));
        }
    }
    Ok(())
}

/// Neither reads nor writes follow a link below the data folder.
fn check_links(layout: &Layout) -> Result<(), StoreError> {
    for folder in layout.folders() {
        if scan::status(&folder)?.is_some_and(|found| found.is_symlink()) {
            return Err(StoreError::Link(folder));
        }
    }
    Ok(())
}

/// Whatever an earlier run had not published was promised to nobody.
fn empty(folder: &Path) -> Result<(), Fault> {
    for entry in scan::entries(folder)? {
        let path = entry?.path();
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(Fault::at("remove", &path))?;
    }
    Ok(())
}

/// Enough for any version, and to tell what stands there instead.
const VERSION_LIMIT_BYTES: u64 = 64;
