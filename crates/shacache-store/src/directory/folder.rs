//! The folder of one key in the archive, and that of its tombstones. Owns reading names and files
//! there, and telling entries from anything else that lies around.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::Errno;
use shacache_core::entry::{EntryError, EntryId, SignedEntry};
use shacache_core::key::{Key, KeyFileName};

use super::later_than;
use crate::durable::Durable;
use crate::error::Fault;
use crate::layout::{KEY_FILE, Layout, RecordName};
use crate::scan;
use crate::timestamp::Timestamp;

/// Where a key's entries and tombstones lie.
#[derive(Debug, Clone)]
pub(crate) struct KeyFolder {
    entries: PathBuf,
    tombstones: PathBuf,
    name_is_digest: bool,
}

/// The names in a key's folder, judged.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Entries that no tombstone hides, each once, oldest first.
    pub(crate) visible: Vec<RecordName>,
    /// The newest time of any entry or tombstone.
    newest: Option<Timestamp>,
    pub(crate) has_key_file: bool,
}

/// The entries in a key's folder.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Oldest first.
    pub(crate) entries: Vec<(RecordName, SignedEntry)>,
    /// Files named like entries that are none.
    pub(crate) skipped: u64,
}

impl KeyFolder {
    pub(crate) fn of(layout: &Layout, key: &KeyFileName) -> Self {
        Self {
            entries: layout.key_entries(key),
            tombstones: layout.key_tombstones(key),
            name_is_digest: key.is_digest(),
        }
    }

    pub(crate) fn entry(&self, record: &RecordName) -> PathBuf {
        self.entries.join(record.file_name())
    }

    pub(crate) fn tombstone(&self, record: &RecordName) -> PathBuf {
        self.tombstones.join(record.file_name())
    }

    /// The file that keeps the key where the folder's name does not; its content and path.
    pub(crate) fn key_file(&self, key: &Key) -> Option<(Bytes, PathBuf)> {
        let bytes = Bytes::copy_from_slice(key.as_str().as_bytes());
        self.name_is_digest.then(|| (bytes, self.entries.join(KEY_FILE)))
    }

    /// Bytes of these entries together. Blocking.
    pub(crate) fn size(&self, entries: &[RecordName]) -> Result<u64, Fault> {
        let mut bytes = 0;
        for record in entries {
            let path = self.entry(record);
            match fs::symlink_metadata(&path) {
                Ok(found) => bytes += found.len(),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(Fault::new("stat", &path, error)),
            }
        }
        Ok(bytes)
    }

    /// Reads the names. Blocking.
    pub(crate) fn names(&self, durable: &Durable) -> Result<Names, Fault> {
        let mut names = Names::default();
        let mut hidden_until: HashMap<EntryId, Timestamp> = HashMap::new();
        for name in list(&self.tombstones)? {
            let Some(tombstone) = RecordName::parse(&name) else {
                continue;
            };
            names.newest = names.newest.max(Some(tombstone.time));
            if !durable.is_pending(&self.tombstones.join(&name)) {
                let until = hidden_until.entry(tombstone.id).or_insert(tombstone.time);
                *until = tombstone.time.max(*until);
            }
        }
        let mut earliest: HashMap<EntryId, Timestamp> = HashMap::new();
        for name in list(&self.entries)? {
            names.has_key_file |= name == KEY_FILE;
            let Some(record) = RecordName::parse(&name) else {
                continue;
            };
            names.newest = names.newest.max(Some(record.time));
            let is_hidden = hidden_until.get(&record.id).is_some_and(|until| record.time <= *until);
            if !is_hidden && !durable.is_pending(&self.entries.join(&name)) {
                let time = earliest.entry(record.id).or_insert(record.time);
                *time = record.time.min(*time);
            }
        }
        names.visible = earliest.into_iter().map(|(id, time)| RecordName { time, id }).collect();
        names.visible.sort_unstable();
        Ok(names)
    }

    /// Reads the entries. Blocking.
    pub(crate) fn read(&self, durable: &Durable) -> Result<Entries, Fault> {
        let mut read = Entries::default();
        for record in self.names(durable)?.visible {
            let path = self.entry(&record);
            match read_entry(&path)? {
                Some(Ok(entry)) if *entry.id() == record.id => read.entries.push((record, entry)),
                Some(Ok(_)) => {
                    tracing::warn!(path = %path.display(), "skipped: the name is of another entry");
                    read.skipped += 1;
                }
                Some(Err(error)) => {
                    tracing::warn!(path = %path.display(), %error, "skipped: not an entry");
                    read.skipped += 1;
                }
                // Taken away since its name was read.
                None => {}
            }
        }
        Ok(read)
    }
}

impl Names {
    /// The visible entry with this id.
    pub(crate) fn find(&self, id: &EntryId) -> Option<RecordName> {
        self.visible.iter().copied().find(|record| record.id == *id)
    }

    /// The time of the next record under the key.
    pub(crate) fn next_time(&self) -> Timestamp {
        later_than(self.newest)
    }
}

/// The names in a folder. One that is not UTF-8 is none of ours.
fn list(folder: &Path) -> Result<Vec<String>, Fault> {
    let name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
    Ok(scan::paths(folder)?.into_iter().filter_map(name).collect())
}

/// Reads and parses one file, never more of it than an entry may have. `None` when there is none.
pub(crate) fn read_entry(path: &Path) -> Result<Option<Result<SignedEntry, NotAnEntry>>, Fault> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            return Ok(Some(Err(NotAnEntry::NotAFile)));
        }
        Err(error) => return Err(Fault::new("open", path, error)),
    };
    if !file.metadata().map_err(Fault::at("stat", path))?.is_file() {
        return Ok(Some(Err(NotAnEntry::NotAFile)));
    }
    let mut body = Vec::new();
    let limit = SignedEntry::MAX_BODY_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut body).map_err(Fault::at("read", path))?;
    Ok(Some(SignedEntry::from_body(&body).map_err(NotAnEntry::from)))
}

/// Why something with the name of an entry is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAnEntry {
    #[error("a folder, a link or the like")]
    NotAFile,
    #[error(transparent)]
    Content(#[from] EntryError),
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
