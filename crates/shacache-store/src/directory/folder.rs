//! The folder of one key in the archive, and that of its tombstones. Owns reading names and files
//! there, and telling entries from anything else that lies around.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use shacache_core::entry::{EntryError, EntryId, SignedEntry};
use shacache_core::key::{Key, KeyFileName};

use super::later_than;
use crate::defence::Defence;
use crate::durable::Durable;
use crate::error::Fault;
use crate::layout::{KEY_FILE, Layout, RecordName};
use crate::scan::{self, Content};
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
    /// Until when a tombstone hides which entry.
    hidden_until: HashMap<EntryId, Timestamp>,
    /// The newest time of any entry or tombstone.
    newest: Option<Timestamp>,
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

    /// The folder of the entries.
    pub(crate) fn entries(&self) -> &Path {
        &self.entries
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
            bytes += scan::status(&self.entry(record))?.map_or(0, |found| found.len());
        }
        Ok(bytes)
    }

    /// Reads the names. Blocking.
    pub(crate) fn names(&self, durable: &Durable) -> Result<Names, Fault> {
        self.names_in(durable.folder(&self.entries)?.as_ref(), durable)
    }

    /// As [`Self::names`], with the folder of the entries open if it is there.
    fn names_in(&self, entries: Option<&File>, durable: &Durable) -> Result<Names, Fault> {
        let mut names = Names::default();
        let mut hidden_until: HashMap<EntryId, Timestamp> = HashMap::new();
        let tombstones = durable.folder(&self.tombstones)?;
        for name in list(tombstones.as_ref(), &self.tombstones)? {
            let Some(tombstone) = RecordName::parse(&name) else {
                continue;
            };
            names.newest = names.newest.max(Some(tombstone.time));
            if !durable.is_pending(&self.tombstones.join(&name)) {
                let until = hidden_until.entry(tombstone.id).or_insert(tombstone.time);
                *until = tombstone.time.max(*until);
            }
        }
        for name in list(entries, &self.entries)? {
            let Some(record) = RecordName::parse(&name) else {
                continue;
            };
            names.newest = names.newest.max(Some(record.time));
            let is_hidden = hidden_until.get(&record.id).is_some_and(|until| record.time <= *until);
            if !is_hidden && !durable.is_pending(&self.entries.join(&name)) {
                names.visible.push(record);
            }
        }
        names.visible.sort_unstable_by_key(|record| (record.id, record.time));
        names.visible.dedup_by_key(|record| record.id);
        names.hidden_until = hidden_until;
        if Defence::EntryOrder.is_up() {
            names.visible.sort_unstable();
        }
        Ok(names)
    }

    /// Reads the entries. Blocking.
    pub(crate) fn read(&self, durable: &Durable) -> Result<Entries, Fault> {
        let mut read = Entries::default();
        let Some(folder) = durable.folder(&self.entries)? else {
            return Ok(read);
        };
        for records in self.names_in(Some(&folder), durable)?.visible.chunks(FILES_AT_ONCE) {
            let names: Vec<String> = records.iter().map(RecordName::file_name).collect();
            let contents = scan::contents_in(&folder, &names, &self.entries, ENTRY_LIMIT_BYTES)?;
            for (record, content) in records.iter().zip(contents) {
                read.add(*record, as_entry(content), &self.entries);
            }
        }
        Ok(read)
    }
}

impl Entries {
    /// Adds what was found under the name of an entry.
    fn add(
        &mut self,
        record: RecordName,
        found: Option<Result<SignedEntry, NotAnEntry>>,
        folder: &Path,
    ) {
        let path = || folder.join(record.file_name());
        match found {
            Some(Ok(entry)) if *entry.id() == record.id => self.entries.push((record, entry)),
            Some(Ok(_)) => {
                tracing::warn!(path = %path().display(), "skipped: the name is of another entry");
                self.skipped += 1;
            }
            Some(Err(error)) => {
                tracing::warn!(path = %path().display(), %error, "skipped: not an entry");
                self.skipped += 1;
            }
            // Taken away since its name was read.
            None => {}
        }
    }
}

impl Names {
    /// The visible entry with this id.
    pub(crate) fn find(&self, id: &EntryId) -> Option<RecordName> {
        self.visible.iter().copied().find(|record| record.id == *id)
    }

    /// Whether a tombstone is for this entry, however often it was put since.
    pub(crate) fn was_deleted(&self, id: &EntryId) -> bool {
        self.hidden_until.contains_key(id)
    }

    /// The time of the next record under the key.
    pub(crate) fn next_time(&self) -> Timestamp {
        later_than(self.newest)
    }
}

/// The names in a folder, if there is one.
fn list(folder: Option<&File>, path: &Path) -> Result<Vec<String>, Fault> {
    folder.map_or(Ok(Vec::new()), |folder| scan::names(folder, path))
}

/// Whose entries belong into a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Key(Key),
    /// Those of a long key, and the file that says of which is missing or wrong.
    LongKey,
    Nobody,
}

/// Whose entries belong into this folder. Blocking.
pub(crate) fn whose(layout: &Layout, folder: &Path) -> Result<Whose, Fault> {
    let name = folder.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(key) = KeyFileName::decode(name) {
        return Ok(if is_of(layout, folder, &key) { Whose::Key(key) } else { Whose::Nobody });
    }
    let fan_out = folder.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    if fan_out.is_none() || fan_out != KeyFileName::fan_out_of_digest(name) {
        return Ok(Whose::Nobody);
    }
    let key = match scan::content(&folder.join(KEY_FILE), KEY_FILE_LIMIT_BYTES)? {
        Content::Bytes(text) => String::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        Content::Missing | Content::NotAFile => None,
    };
    Ok(match key {
        Some(key) if is_of(layout, folder, &key) => Whose::Key(key),
        Some(_) | None => Whose::LongKey,
    })
}

/// Entries anywhere else than where their key leads are never listed.
pub(super) fn is_of(layout: &Layout, folder: &Path, key: &Key) -> bool {
    layout.key_entries(&key.file_name()) == folder
}

/// Reads and parses one file, never more of it than an entry may have. `None` when there is none.
pub(crate) fn read_entry(path: &Path) -> Result<Option<Result<SignedEntry, NotAnEntry>>, Fault> {
    Ok(as_entry(scan::content(path, ENTRY_LIMIT_BYTES)?))
}

fn as_entry(content: Content) -> Option<Result<SignedEntry, NotAnEntry>> {
    match content {
        Content::Missing => None,
        Content::NotAFile => Some(Err(NotAnEntry::NotAFile)),
        Content::Bytes(body) => Some(SignedEntry::from_body(&body).map_err(NotAnEntry::from)),
    }
}

/// Why something with the name of an entry is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAnEntry {
    #[error("a folder, a link or the like")]
    NotAFile,
    #[error(transparent)]
    Content(#[from] EntryError),
}

/// Files of one key that are open at once: descriptors are scarcer than what waiting for the disk
/// once more costs.
const FILES_AT_ONCE: usize = 4;
/// More than any entry has.
const ENTRY_LIMIT_BYTES: u64 = SignedEntry::MAX_BODY_BYTES as u64 + 1;
/// More than any key has.
pub(super) const KEY_FILE_LIMIT_BYTES: u64 = 1024;
