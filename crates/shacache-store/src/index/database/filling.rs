//! Statements that list all entries anew: in a table without indices, which are made when all rows
//! are there. Rows come in the order of the archive, which is random to each index: one by one, they
//! would cost a page of each.

use rusqlite::{Connection, params};

use super::{Change, Database, ENTRY_COLUMNS, ENTRY_INDICES};
use crate::index::ListedEntry;

impl Database {
    /// Begins a new list of entries.
    pub(crate) fn fill(&mut self) -> Result<(), rusqlite::Error> {
        self.drop_filling()?;
        // Whatever is sorted for an index and does not fit into the memory goes to this folder.
        if let Some((folder, _)) = self.0.path().and_then(|path| path.rsplit_once('/')) {
            self.0.pragma_update(None, "temp_store_directory", folder)?;
        }
        self.make_room(&FILLING)?;
        self.0.execute_batch(&format!("CREATE TABLE filling {ENTRY_COLUMNS}; {LATE}"))
    }

    /// As [`Database::apply`], of many changes that are in no order of the file: there is room in memory
    /// for many of their pages until all are applied.
    pub(crate) fn apply_scattered(
        &mut self,
        changes: &[Change],
        is_filling: bool,
    ) -> Result<(), rusqlite::Error> {
        if is_filling {
            return self.apply(changes, is_filling);
        }
        self.make_room(&FILLING)?;
        let applied = self.apply(changes, is_filling);
        let served = self.make_room(&SERVING);
        applied.and(served)
    }

    /// Adds to the new list.
    pub(crate) fn add(&mut self, entries: &[ListedEntry]) -> Result<(), rusqlite::Error> {
        let transaction = self.0.transaction()?;
        for ListedEntry { at, digest, metadata } in entries {
            transaction
                .prepare_cached(
                    "INSERT INTO filling (key, id, received, digest, metadata, walk)
                     VALUES (?1, ?2, ?3, ?4, ?5, (SELECT number + 1 FROM walk))",
                )?
                .execute(params![
                    at.key,
                    at.record.id.as_bytes(),
                    at.record.time.as_microseconds(),
                    digest.as_bytes(),
                    metadata
                ])?;
        }
        transaction.commit()
    }

    /// Puts the new list into the place of the old one.
    pub(crate) fn filled(&mut self) -> Result<(), rusqlite::Error> {
        let transaction = self.0.transaction()?;
        transaction.execute_batch("DROP TABLE entry; ALTER TABLE filling RENAME TO entry")?;
        transaction.execute_batch(ENTRY_INDICES)?;
        transaction.execute_batch(LISTED_LATE)?;
        transaction.commit()?;
        self.checkpoint()
    }

    /// Forgets the new list, if there is one.
    pub(crate) fn drop_filling(&self) -> Result<(), rusqlite::Error> {
        self.0.execute_batch("DROP TABLE IF EXISTS filling; DROP TABLE IF EXISTS late")?;
        self.make_room(&SERVING)
    }

    fn make_room(&self, room: &Room) -> Result<(), rusqlite::Error> {
        self.0.pragma_update(None, "cache_size", room.cache_size)?;
        self.0.pragma_update(None, "wal_autocheckpoint", room.log_pages)?;
        self.0.execute_batch("PRAGMA shrink_memory")
    }
}

/// Notes a change that comes while a new list is made, for its end.
pub(super) fn note_late(connection: &Connection, change: &Change) -> Result<(), rusqlite::Error> {
    let (key, record, digest, metadata) = match change {
        Change::Entry { key, record, digest, metadata } => {
            (key, record, Some(digest.as_bytes()), Some(metadata))
        }
        Change::NoEntry { key, record } => (key, record, None, None),
        Change::Blob { .. }
        | Change::Aliases { .. }
        | Change::NoBlob(_)
        | Change::Used { .. }
        | Change::Unused(_)
        | Change::EntriesBegin
        | Change::Found { .. }
        | Change::EntriesEnd => return Ok(()),
    };
    connection.prepare_cached("INSERT OR REPLACE INTO late VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
        params![
            key.as_str(),
            record.id.as_bytes(),
            record.time.as_microseconds(),
            digest,
            metadata
        ],
    )?;
    Ok(())
}

/// How much a connection keeps in memory, negative in KiB, and how large the log grows.
struct Room {
    cache_size: i64,
    log_pages: i64,
}

const SERVING: Room = Room { cache_size: -8 * 1024, log_pages: 1000 };
/// As much again is taken by what is sorted.
const FILLING: Room = Room { cache_size: -32 * 1024, log_pages: 8192 };

/// The last change of each entry; no digest is one that went.
const LATE: &str = "
CREATE TEMP TABLE late (
  key TEXT NOT NULL,
  id BLOB NOT NULL,
  received INTEGER NOT NULL,
  digest BLOB,
  metadata TEXT,
  PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;
";

const LISTED_LATE: &str = "
DELETE FROM entry WHERE (key, id) IN (SELECT key, id FROM late);
UPDATE walk SET number = number + 1;
INSERT INTO entry (key, id, received, digest, metadata, walk)
  SELECT key, id, received, digest, metadata, number FROM late, walk WHERE digest IS NOT NULL;
";
