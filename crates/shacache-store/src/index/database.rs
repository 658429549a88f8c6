//! One connection to the SQLite file: its schema and every statement. Owns the SQL and nothing else
//! does; when to run it is decided by [`super::writer`] and [`super::reader`].

use std::collections::HashMap;
use std::ffi::CStr;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use shacache_core::digest::{AliasDigest, Digest};
use shacache_core::key::Key;

use super::{Change, Totals};
use crate::blob::sums::Sums;
use crate::layout::RecordName;
use crate::timestamp::Day;

mod filling;
mod listing;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Database(Connection);

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Empty until now.
    New(Database),
    /// An index of this version.
    There(Database),
    /// One of another version, or not of the shape that its version has.
    Foreign { version: u32 },
}

impl Database {
    /// Opens the file for writing, making it and its tables if it is missing.
    pub(crate) fn open_to_write(path: &Path) -> Result<Opened, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(path, flags, ONE_PROCESS)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables = tables(&connection)?;
        if tables.is_empty() {
            make_tables(&connection)?;
            return Ok(Opened::New(Self(connection)));
        }
        let ours = Connection::open_in_memory()?;
        make_tables(&ours)?;
        if version != VERSION || tables != self::tables(&ours)? {
            return Ok(Opened::Foreign { version });
        }
        Ok(Opened::There(Self(connection)))
    }

    /// Opens the file, which has to be there, for reading.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, rusqlite::Error> {
        // A file opened as read-only would lock for itself, beside the lock of this process.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags_and_vfs(path, flags, ONE_PROCESS)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self(connection))
    }

    /// Applies the changes in order, all or none; also to the new list of entries that is made
    /// meanwhile, if so.
    pub(crate) fn apply(
        &mut self,
        changes: &[Change],
        is_filling: bool,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.0.transaction()?;
        for change in changes {
            apply_one(&transaction, change)?;
            if is_filling {
                filling::note_late(&transaction, change)?;
            }
        }
        transaction.commit()
    }

    /// Forgets every blob.
    pub(crate) fn clear_blobs(&mut self) -> Result<(), rusqlite::Error> {
        self.0.execute_batch("DELETE FROM blob")
    }

    /// Whether entries were never listed since the file was made.
    pub(crate) fn is_unfilled(&self) -> Result<bool, rusqlite::Error> {
        self.0.query_row("SELECT number = 0 FROM walk", [], |row| row.get(0))
    }

    /// Makes everything written so far survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), rusqlite::Error> {
        self.0.pragma_update(None, "synchronous", "FULL")?;
        let synced = self.0.execute("UPDATE walk SET number = number", []);
        self.0.pragma_update(None, "synchronous", "NORMAL")?;
        synced.map(|_| ())
    }

    /// Moves everything into the main file.
    pub(crate) fn checkpoint(&self) -> Result<(), rusqlite::Error> {
        self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// What is wrong with the file, if anything is.
    pub(crate) fn damage(&self) -> Result<Option<String>, rusqlite::Error> {
        let found: String = self.0.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((found != "ok").then_some(found))
    }

    /// What [`Self::set_seal`] kept.
    pub(crate) fn seal(&self) -> Result<Option<(String, Day)>, rusqlite::Error> {
        self.0
            .query_row("SELECT text, uses_since FROM seal", [], |row| {
                Ok((row.get(0)?, day_column(row, 1)?))
            })
            .optional()
    }

    pub(crate) fn set_seal(&self, text: &str, uses_since: Day) -> Result<(), rusqlite::Error> {
        let transaction = self.0.unchecked_transaction()?;
        transaction.execute("DELETE FROM seal", [])?;
        transaction
            .execute("INSERT INTO seal VALUES (?1, ?2)", params![text, uses_since.number()])?;
        transaction.commit()
    }

    /// The last day on which a blob was asked for.
    pub(crate) fn last_use(&self, digest: &Digest) -> Result<Option<Day>, rusqlite::Error> {
        self.0
            .prepare_cached("SELECT day FROM used WHERE digest = ?1")?
            .query_row(params![digest.as_bytes()], |row| day_column(row, 0))
            .optional()
    }

    /// Keys with an entry that names this blob.
    pub(crate) fn keys(&self, digest: &Digest) -> Result<Vec<String>, rusqlite::Error> {
        self.0
            .prepare_cached("SELECT DISTINCT key FROM entry WHERE digest = ?1 LIMIT 1000")?
            .query_map(params![digest.as_bytes()], |row| row.get(0))?
            .collect()
    }

    pub(crate) fn sums(&self, digest: &Digest) -> Result<Option<Sums>, rusqlite::Error> {
        let mut statement =
            self.0.prepare_cached("SELECT size, sums FROM blob WHERE digest = ?1")?;
        let row = statement
            .query_row(params![digest.as_bytes()], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        Ok(row.and_then(|(size, sums)| Sums::from_bytes(size, &sums)))
    }

    pub(crate) fn resolve(&self, alias: &AliasDigest) -> Result<Vec<Digest>, rusqlite::Error> {
        let mut statement = self.0.prepare_cached(match alias {
            AliasDigest::Md5(_) => "SELECT digest FROM blob WHERE md5 = ?1",
            AliasDigest::Sha1(_) => "SELECT digest FROM blob WHERE sha1 = ?1",
            AliasDigest::Sha256(_) => "SELECT digest FROM blob WHERE sha256 = ?1",
        })?;
        statement.query_map(params![alias.as_bytes()], digest_column)?.collect()
    }

    pub(crate) fn has_aliases(&self, digest: &Digest) -> Result<bool, rusqlite::Error> {
        self.0
            .prepare_cached("SELECT 1 FROM blob WHERE digest = ?1 AND md5 IS NOT NULL")?
            .exists(params![digest.as_bytes()])
    }

    pub(crate) fn without_aliases(
        &self,
        after: Option<Digest>,
    ) -> Result<Vec<Digest>, rusqlite::Error> {
        let mut statement = self.0.prepare_cached(
            "SELECT digest FROM blob WHERE md5 IS NULL AND digest > ?1 ORDER BY digest LIMIT 1000",
        )?;
        statement.query_map(params![lower_bound(after.as_ref())], digest_column)?.collect()
    }

    pub(crate) fn whole_blobs(
        &self,
        first: &Digest,
        last: &Digest,
    ) -> Result<HashMap<Digest, u64>, rusqlite::Error> {
        let mut statement = self
            .0
            .prepare_cached("SELECT digest, size, sums FROM blob WHERE digest BETWEEN ?1 AND ?2")?;
        let mut rows = statement.query(params![first.as_bytes(), last.as_bytes()])?;
        let mut blobs = HashMap::new();
        while let Some(row) = rows.next()? {
            let (digest, size, sums) =
                (digest_column(row)?, row.get(1)?, row.get_ref(2)?.as_blob()?);
            if Sums::from_bytes(size, sums).is_some() {
                blobs.insert(digest, size);
            }
        }
        Ok(blobs)
    }

    pub(crate) fn blobs(
        &self,
        after: Option<Digest>,
    ) -> Result<Vec<(Digest, u64)>, rusqlite::Error> {
        let mut statement = self.0.prepare_cached(
            "SELECT digest, size FROM blob WHERE digest > ?1 ORDER BY digest LIMIT 1000",
        )?;
        statement
            .query_map(params![lower_bound(after.as_ref())], |row| {
                Ok((digest_column(row)?, row.get(1)?))
            })?
            .collect()
    }

    pub(crate) fn totals(&self) -> Result<Totals, rusqlite::Error> {
        let sql = "SELECT count(*), coalesce(sum(size), 0), (SELECT count(*) FROM entry) FROM blob";
        self.0.prepare_cached(sql)?.query_row([], |row| {
            Ok(Totals { blobs: row.get(0)?, bytes: row.get(1)?, entries: row.get(2)? })
        })
    }
}

fn apply_one(connection: &Connection, change: &Change) -> Result<(), rusqlite::Error> {
    match change {
        Change::Blob { digest, sums } => connection
            .prepare_cached(
                "INSERT INTO blob (digest, size, sums) VALUES (?1, ?2, ?3)
                 ON CONFLICT (digest) DO UPDATE SET size = excluded.size, sums = excluded.sums",
            )?
            .execute(params![digest.as_bytes(), sums.size(), sums.to_bytes()])?,
        Change::Aliases { digest, aliases } => connection
            .prepare_cached("UPDATE blob SET md5 = ?2, sha1 = ?3, sha256 = ?4 WHERE digest = ?1")?
            .execute(params![digest.as_bytes(), aliases.md5, aliases.sha1, aliases.sha256])?,
        Change::NoBlob(digest) => connection
            .prepare_cached("DELETE FROM blob WHERE digest = ?1")?
            .execute(params![digest.as_bytes()])?,
        Change::Used { digest, day } => connection
            .prepare_cached(
                "INSERT INTO used VALUES (?1, ?2)
                 ON CONFLICT (digest) DO UPDATE SET day = max(day, excluded.day)",
            )?
            .execute(params![digest.as_bytes(), day.number()])?,
        Change::Unused(digest) => connection
            .prepare_cached("DELETE FROM used WHERE digest = ?1")?
            .execute(params![digest.as_bytes()])?,
        Change::Entry { key, record, digest, metadata } => {
            list_entry(connection, key, record, digest, metadata)?
        }
        Change::Found { key, record, digest, metadata } => {
            match see_entry(connection, key, record)? {
                0 => list_entry(connection, key, record, digest, metadata)?,
                seen => seen,
            }
        }
        Change::NoEntry { key, record } => connection
            .prepare_cached("DELETE FROM entry WHERE key = ?1 AND id = ?2")?
            .execute(params![key.as_str(), record.id.as_bytes()])?,
        Change::EntriesBegin => {
            connection.prepare_cached("UPDATE walk SET number = number + 1")?.execute([])?
        }
        Change::EntriesEnd => connection
            .prepare_cached("DELETE FROM entry WHERE walk < (SELECT number FROM walk)")?
            .execute([])?,
    };
    Ok(())
}

fn list_entry(
    connection: &Connection,
    key: &Key,
    record: &RecordName,
    digest: &Digest,
    metadata: &str,
) -> Result<usize, rusqlite::Error> {
    connection
        .prepare_cached(
            "INSERT INTO entry (key, id, received, digest, metadata, walk)
             VALUES (?1, ?2, ?3, ?4, ?5, (SELECT number FROM walk))
             ON CONFLICT (key, id)
             DO UPDATE SET received = excluded.received, walk = excluded.walk",
        )?
        .execute(params![
            key.as_str(),
            record.id.as_bytes(),
            record.time.as_microseconds(),
            digest.as_bytes(),
            metadata
        ])
}

/// Only the row changes, and no index: that an entry is listed already is the rule. Gives their
/// number, one or none.
fn see_entry(
    connection: &Connection,
    key: &Key,
    record: &RecordName,
) -> Result<usize, rusqlite::Error> {
    connection
        .prepare_cached(
            "UPDATE entry SET walk = (SELECT number FROM walk)
             WHERE key = ?1 AND id = ?2 AND received = ?3",
        )?
        .execute(params![key.as_str(), record.id.as_bytes(), record.time.as_microseconds()])
}

fn make_tables(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} CREATE TABLE \"entry\" {ENTRY_COLUMNS}; {ENTRY_INDICES} COMMIT;"
    ))?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// The names and definitions of everything in a database that lasts.
fn tables(connection: &Connection) -> Result<Vec<(String, Option<String>)>, rusqlite::Error> {
    connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE name <> 'filling' ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn digest_column(row: &rusqlite::Row<'_>) -> Result<Digest, rusqlite::Error> {
    row.get(0).map(Digest::from_bytes)
}

fn day_column(row: &rusqlite::Row<'_>, at: usize) -> Result<Day, rusqlite::Error> {
    row.get(at).map(Day::from_number)
}

/// Every digest is greater than the empty string of bytes.
fn lower_bound(after: Option<&Digest>) -> &[u8] {
    after.map_or(&[], |digest| digest.as_bytes().as_slice())
}

/// The file belongs to this process alone, so the index of its log lies in memory. Mapped from a
/// file, a change to that file from elsewhere would end the process with SIGBUS.
const ONE_PROCESS: &CStr = c"unix-excl";

const VERSION: u32 = 5;

/// A blob's row comes with its sums; the other digests follow when they are computed. `seal` is of
/// the last orderly stop; `uses_since` is the day since when no row of `used` got lost.
const TABLES: &str = "
CREATE TABLE blob (
  row INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  md5 BLOB,
  sha1 BLOB,
  sha256 BLOB,
  sums BLOB NOT NULL
) STRICT;
CREATE INDEX blob_md5 ON blob (md5);
CREATE INDEX blob_sha1 ON blob (sha1);
CREATE INDEX blob_sha256 ON blob (sha256);
CREATE TABLE used (digest BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE seal (text TEXT NOT NULL, uses_since INTEGER NOT NULL) STRICT;
CREATE TABLE walk (number INTEGER NOT NULL) STRICT;
INSERT INTO walk VALUES (0);
";

/// `walk` is the number of walks over the archive begun when the entry was last seen. Rows are in the
/// order in which they came: what is wide is never moved, only the indices are sorted.
const ENTRY_COLUMNS: &str = "(
  row INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  id BLOB NOT NULL,
  received INTEGER NOT NULL,
  digest BLOB NOT NULL,
  metadata TEXT NOT NULL,
  walk INTEGER NOT NULL
) STRICT";

const ENTRY_INDICES: &str = "
CREATE UNIQUE INDEX entry_key ON entry (key, id);
CREATE INDEX entry_digest ON entry (digest);
CREATE INDEX entry_received ON entry (received, id, key);
";
