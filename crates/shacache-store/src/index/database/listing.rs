//! Statements that list what there is, by page.

use rusqlite::{ToSql, params};
use shacache_core::digest::Digest;
use shacache_core::entry::EntryId;

use super::{Database, digest_column, lower_bound};
use crate::index::{ListedEntry, Position};
use crate::layout::RecordName;
use crate::timestamp::Timestamp;

impl Database {
    /// Some entries after `after`, in the order of positions; of one blob or one key, if so wanted.
    pub(crate) fn entries(
        &self,
        after: Option<&Position>,
        digest: Option<&Digest>,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedEntry>, rusqlite::Error> {
        // Only what is asked for is in the statement, so that each has an index to go by.
        let mut sql = "SELECT received, id, key, digest, metadata FROM entry WHERE true".to_owned();
        let received = after.map(|it| it.record.time.as_microseconds());
        let id = after.map(|it| it.record.id.as_bytes().as_slice());
        let (after_key, digest) = (after.map(|it| &*it.key), digest.map(Digest::as_bytes));
        let mut values: Vec<(&str, &dyn ToSql)> = Vec::new();
        if after.is_some() {
            sql += " AND (received, id, key) > (:received, :id, :after)";
            let place: [(&str, &dyn ToSql); 3] =
                [(":received", &received), (":id", &id), (":after", &after_key)];
            values.extend(place);
        }
        if digest.is_some() {
            sql += " AND digest = :digest";
            values.push((":digest", &digest));
        }
        if key.is_some() {
            sql += " AND key = :key";
            values.push((":key", &key));
        }
        sql += " ORDER BY received, id, key LIMIT :limit";
        values.push((":limit", &limit));
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map(&*values, |row| {
            let id = row.get(1).map(EntryId::from_bytes)?;
            let (key, metadata) = (row.get(2)?, row.get(4)?);
            let digest = row.get(3).map(Digest::from_bytes)?;
            // Every time in there was spelled once.
            let time = Timestamp::from_microseconds(row.get(0)?);
            Ok(time.map(|time| {
                let at = Position { record: RecordName { time, id }, key };
                ListedEntry { at, digest, metadata }
            }))
        })?;
        rows.filter_map(Result::transpose).collect()
    }

    /// Some keys after `after`, in their order: how many entries each has, and when the newest came.
    pub(crate) fn listed_keys(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64, i64)>, rusqlite::Error> {
        self.0
            .prepare_cached(
                "SELECT key, count(*), max(received) FROM entry WHERE key > ?1
                 GROUP BY key ORDER BY key LIMIT ?2",
            )?
            .query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
    }

    /// Some blobs after `after`, in digest order: their sizes, and how many entries name each.
    pub(crate) fn listed_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64, u64)>, rusqlite::Error> {
        self.0
            .prepare_cached(
                "SELECT digest, size, (SELECT count(*) FROM entry WHERE entry.digest = blob.digest)
                 FROM blob WHERE digest > ?1 ORDER BY digest LIMIT ?2",
            )?
            .query_map(params![lower_bound(after), limit], |row| {
                Ok((digest_column(row)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
    }
}
