//! Walking over the archive: the folders in a folder, the blobs in an innermost one, a key and its
//! entries. Must not know what the walk is for.

use std::path::{Path, PathBuf};

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use crate::blocking::blocking;
use crate::directory::folder::{self, KeyFolder, Whose};
use crate::durable::Durable;
use crate::error::{Fault, StoreError};
use crate::layout::{Layout, RecordName, digest_of_path};
use crate::scan;

/// A key and its visible entries.
#[derive(Debug)]
pub(crate) struct KeyEntries {
    pub(crate) key: Key,
    /// Oldest first.
    pub(crate) entries: Vec<(RecordName, SignedEntry)>,
    /// Files named like entries that are none.
    pub(crate) skipped: u64,
}

/// The folders in a folder, in the order of their names.
pub(crate) async fn folders(folder: PathBuf) -> Result<Vec<PathBuf>, StoreError> {
    blocking(move || {
        let mut folders = Vec::new();
        for entry in scan::entries(&folder)? {
            let entry = entry?;
            if scan::is_folder(&entry)? {
                folders.push(entry.path());
            }
        }
        folders.sort_unstable();
        // Some file systems list a name twice while others are added.
        folders.dedup();
        Ok::<_, Fault>(folders)
    })
    .await
}

/// The blobs in one of the innermost folders. Blocking.
pub(crate) fn digests(folder: &Path) -> Result<Vec<Digest>, Fault> {
    Ok(paths(folder)?.iter().filter_map(|path| digest_of_path(path)).collect())
}

/// The key that a folder is of, and its entries. `None` for a folder of which that is not known.
/// Blocking.
pub(crate) fn read_key(
    layout: &Layout,
    durable: &Durable,
    folder: &Path,
) -> Result<Option<KeyEntries>, Fault> {
    let Whose::Key(key) = folder::whose(layout, folder)? else {
        return Ok(None);
    };
    let read = KeyFolder::of(layout, &key.file_name()).read(durable)?;
    Ok(Some(KeyEntries { key, entries: read.entries, skipped: read.skipped }))
}

/// Everything in a folder, in no order. Blocking.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    scan::entries(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Whether a folder has anything that is named like an entry. Blocking.
pub(crate) fn has_records(folder: &Path) -> Result<bool, Fault> {
    let name = |path: &PathBuf| path.file_name()?.to_str().and_then(RecordName::parse);
    Ok(paths(folder)?.iter().any(|path| name(path).is_some()))
}
