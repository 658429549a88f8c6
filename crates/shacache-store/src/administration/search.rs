//! Listing what is there, by page: keys, blobs, and the entries that a query asks for. Owns what a
//! query can ask for and where a page begins; the index answers, and says whether it knows all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shacache_core::digest::Digest;
use shacache_core::entry::EntryId;
use shacache_core::json::{Object, Reader, Value};
use shacache_core::key::Key;
use shacache_core::pattern::Pattern;
use shacache_core::trust::PublicKey;

use super::{Administration, Shared};
use crate::blocking::blocking;
use crate::directory::folder::read_entry;
use crate::error::{Fault, StoreError};
use crate::index::{ListedEntry, Position};
use crate::layout::RecordName;
use crate::timestamp::Timestamp;

/// Which entries; each part that is there narrows it.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Under such a key.
    pub key: Option<Pattern>,
    /// That name this blob.
    pub digest: Option<Digest>,
    /// With such a value in a field of the metadata. A value that is no string is compared as the
    /// JSON text that Python makes of it.
    pub fields: Vec<(String, Pattern)>,
    /// With such a file name: in `file`, `file_name` or `basename`, or at the end of `url`.
    pub file: Option<Pattern>,
    /// Signed by this key.
    pub signer: Option<PublicKey>,
    /// Received then or later, in microseconds since 1970-01-01T00:00:00Z.
    pub since_us: Option<i64>,
    /// Received before that.
    pub until_us: Option<i64>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Page<T> {
    /// Some of them; there may be none, and more on the next page.
    pub listed: Vec<T>,
    /// Where the next page begins; nothing on the last one.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether the index knows all that the archive has.
    pub complete: bool,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FoundEntry {
    /// The key that it is under.
    pub key: String,
    /// Which of that key's.
    pub id: String,
    /// When it was received, as the archive spells times.
    pub received: String,
    /// The blob that it names.
    pub digest: String,
    /// The metadata, exactly as it was put.
    pub metadata: String,
}

/// A key that has entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ListedKey {
    /// The key.
    pub key: String,
    /// How many entries are under it.
    pub entries: u64,
    /// When the newest was received, as the archive spells times.
    pub newest: String,
}

/// A blob that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ListedBlob {
    /// Its digest.
    pub digest: String,
    /// Its length.
    pub bytes: u64,
    /// How many entries name it.
    pub entries: u64,
}

/// Where a page of entries begins: after this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After(Position);

impl Administration {
    /// Some of the entries that the query asks for, in the order in which they were received; at
    /// most `limit`, after `after`.
    ///
    /// # Errors
    /// When the index cannot be read, or, for a signer, the archive.
    pub async fn search(
        &self,
        query: Query,
        after: Option<After>,
        limit: usize,
    ) -> Result<Page<FoundEntry>, StoreError> {
        self.0.search(Arc::new(query), after.map(|after| after.0), limit).await
    }

    /// Some keys that have entries, in the order of their bytes; at most `limit`, after `after`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn keys(
        &self,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page<ListedKey>, StoreError> {
        let after = after.map_or("", Key::as_str).to_owned();
        let keys = self.0.index.listed_keys(after, limit).await?.into_iter();
        let listed = keys.filter_map(|(key, entries, newest)| {
            let newest = Timestamp::from_microseconds(newest)?.to_string();
            Some(ListedKey { key, entries, newest })
        });
        Ok(self.page(listed.collect(), limit, |last| last.key.clone()))
    }

    /// Some blobs, in the order of their digests; at most `limit`, after `after`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn blobs(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ListedBlob>, StoreError> {
        let blobs = self.0.index.listed_blobs(after, limit).await?.into_iter();
        let listed = blobs.map(|(digest, bytes, entries)| ListedBlob {
            digest: digest.to_string(),
            bytes,
            entries,
        });
        Ok(self.page(listed.collect(), limit, |last| last.digest.clone()))
    }

    fn page<T>(&self, listed: Vec<T>, limit: usize, place: impl Fn(&T) -> String) -> Page<T> {
        let last = listed.last().filter(|_| listed.len() == limit);
        Page { next: last.map(place), listed, complete: self.0.index.is_complete() }
    }
}

impl Shared {
    async fn search(
        self: &Arc<Self>,
        query: Arc<Query>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Page<FoundEntry>, StoreError> {
        let mut after = after.max(query.first());
        let key = query.key.as_ref().and_then(Pattern::only).map(str::to_owned);
        let (mut listed, mut looked_at) = (Vec::new(), 0);
        let next = loop {
            let rows = self.index.entries(after, query.digest, key.clone(), STEP_ROWS).await?;
            let is_last = rows.len() < STEP_ROWS;
            looked_at += rows.len();
            let (shared, query, wanted) =
                (Arc::clone(self), Arc::clone(&query), limit - listed.len());
            let judge = blocking(move || shared.judge(&query, rows, wanted));
            let Judged { found, last, is_over } = judge.await?;
            listed.extend(found);
            if is_over || (is_last && listed.len() < limit) {
                break None;
            }
            after = last;
            if listed.len() >= limit || looked_at >= PAGE_ROWS {
                break after;
            }
        };
        let next = next.map(|position| After(position).to_string());
        Ok(Page { listed, next, complete: self.index.is_complete() })
    }

    /// Which of these entries are wanted, up to so many. Blocking.
    fn judge(&self, query: &Query, rows: Vec<ListedEntry>, limit: usize) -> Result<Judged, Fault> {
        let mut judged = Judged { found: Vec::new(), last: None, is_over: false };
        for entry in rows {
            let received = entry.at.record.time.as_microseconds();
            if query.until_us.is_some_and(|until| received >= until) {
                judged.is_over = true;
                break;
            }
            let fits = query.since_us.is_none_or(|since| received >= since)
                && query.fits(&entry)
                && self.is_signed_so(query, &entry)?;
            judged.last = Some(entry.at.clone());
            if fits {
                judged.found.push(entry.into());
            }
            if judged.found.len() >= limit {
                break;
            }
        }
        Ok(judged)
    }

    /// Whether the entry is signed as the query wants. The archive is asked: it alone has signatures.
    fn is_signed_so(&self, query: &Query, entry: &ListedEntry) -> Result<bool, Fault> {
        let (Some(signer), Ok(key)) = (&query.signer, entry.at.key.parse::<Key>()) else {
            return Ok(query.signer.is_none());
        };
        let path = self.layout.key_entries(&key.file_name()).join(entry.at.record.file_name());
        Ok(match read_entry(&path)? {
            Some(Ok(entry)) => {
                signer.verifies(entry.metadata_text().as_bytes(), entry.signature().bytes())
            }
            Some(Err(_)) | None => false,
        })
    }
}

/// What came of looking at some entries.
#[derive(Debug)]
struct Judged {
    found: Vec<FoundEntry>,
    /// The last that was looked at.
    last: Option<Position>,
    /// Whether none of those that follow can be wanted.
    is_over: bool,
}

impl Query {
    /// What is before every entry that is recent enough: no entry has an empty key.
    fn first(&self) -> Option<Position> {
        let time = Timestamp::from_microseconds(self.since_us?)?;
        let id = EntryId::from_bytes([0; Digest::LEN]);
        Some(Position { record: RecordName { time, id }, key: String::new() })
    }

    fn fits(&self, entry: &ListedEntry) -> bool {
        if self.key.as_ref().is_some_and(|pattern| !pattern.fits(entry.at.key.as_bytes())) {
            return false;
        }
        if self.fields.is_empty() && self.file.is_none() {
            return true;
        }
        // What the index has came from an entry, and so it is an object.
        let Ok(Value::Object(metadata)) = Reader::new().read(&entry.metadata) else { return false };
        let fits_field = |(name, pattern): &(String, Pattern)| {
            let value = metadata.get(name).map(text_of);
            value.is_some_and(|text| pattern.fits(text.as_bytes()))
        };
        self.fields.iter().all(fits_field)
            && self.file.as_ref().is_none_or(|pattern| {
                file_names(&metadata).iter().any(|name| pattern.fits(name.as_bytes()))
            })
    }
}

impl From<ListedEntry> for FoundEntry {
    fn from(entry: ListedEntry) -> Self {
        let ListedEntry { at: Position { record, key }, digest, metadata } = entry;
        let (id, received) = (record.id.to_string(), record.time.to_string());
        Self { key, id, received, digest: digest.to_string(), metadata }
    }
}

impl fmt::Display for After {
    /// `<received>-<id>-<key>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { record: RecordName { time, id }, key } = &self.0;
        write!(f, "{time}-{id}-{key}")
    }
}

impl FromStr for After {
    type Err = NoSuchPage;

    fn from_str(text: &str) -> Result<Self, NoSuchPage> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(NoSuchPage);
        let time = part()?.parse().map_err(|_| NoSuchPage)?;
        let id = part()?.parse().map_err(|_| NoSuchPage)?;
        Ok(Self(Position { record: RecordName { time, id }, key: part()?.to_owned() }))
    }
}

/// A text is not where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is not what an earlier page said of the next one")]
pub struct NoSuchPage;

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_str_lossy().into_owned(),
        other => other.to_string(),
    }
}

fn file_names(metadata: &Object) -> Vec<&str> {
    let field = |name: &str| metadata.get(name).and_then(Value::as_str);
    let url = field("url").map(|url| url.split(['?', '#']).next().unwrap_or_default());
    let last = url.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
    ["file", "file_name", "basename"].into_iter().filter_map(field).chain(last).collect()
}

/// How many rows are looked at in one go, and for one page: whoever asks gets an answer soon, and
/// others get their turn.
const STEP_ROWS: usize = 1_000;
const PAGE_ROWS: usize = 50_000;
