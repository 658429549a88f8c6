//! Taking entries out of a key: each gets a tombstone, and its file goes to quarantine. Owns the
//! order of the two and that the audit log knows before anybody sees it. Must not know why an entry
//! goes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shacache_core::digest::Digest;
use shacache_core::entry::{EntryId, SignedEntry};
use shacache_core::key::Key;

use super::folder::KeyFolder;
use super::{Directory, Opened, Shared};
use crate::audit::{Action, Removal, Run};
use crate::blocking::blocking;
use crate::error::{Fault, StoreError};
use crate::gate::Pass;
use crate::index::Change;
use crate::layout::{Layout, RecordName};
use crate::naming::Watch;
use crate::timestamp::Timestamp;
use crate::tombstone::Tombstone;
use crate::walk;

/// An entry that is to go.
#[derive(Debug, Clone)]
pub(crate) struct Doomed {
    pub(crate) record: RecordName,
    pub(crate) digest: Digest,
    pub(crate) removal: Removal,
}

impl Directory {
    /// Takes entries of one key out of sight and out of the archive, as far as they are there still;
    /// with `orphaned`, only those that are orphans still. Gives those that went. The same entry put
    /// again later lives.
    ///
    /// # Errors
    /// When the audit log or a tombstone cannot be written: what has no tombstone is listed still.
    pub(crate) async fn take_out(
        &self,
        pass: &Pass,
        run: &Run,
        action: Action,
        key: &Key,
        doomed: &[Doomed],
        orphaned: Option<&Watch>,
    ) -> Result<Vec<Removal>, StoreError> {
        let Opened { shard, folder, names, .. } = &self.open(pass, key).await?;
        let mut going = Vec::new();
        for one in doomed {
            let is_there = names.find(&one.record.id) == Some(one.record);
            if is_there && self.may_go(&one.digest, orphaned).await? {
                going.push(one);
            }
        }
        let what: Vec<Removal> = going.iter().map(|one| one.removal.clone()).collect();
        if what.is_empty() {
            return Ok(what);
        }
        run.record(action, &what).await?;
        let mut time = names.next_time();
        let mut hidden = HashMap::new();
        for one in going {
            let hiding = RecordName { time, id: one.record.id };
            let published = self.0.hide(run, folder, &one.record, &hiding).await;
            shard.written.fetch_add(1, Ordering::AcqRel);
            published?;
            self.0.index.record(Change::NoEntry { key: key.clone(), record: one.record });
            hidden.insert(one.record.id, time);
            time = time.next();
        }
        let (shared, folder) = (Arc::clone(&self.0), folder.clone());
        blocking(move || shared.move_hidden(&folder, &hidden)).await?;
        Ok(what)
    }

    /// Whether an entry that names this blob may go: one that is no orphan may, if somebody says so.
    /// What the index lists was there and got lost, which is a matter for a check; what is banned is
    /// not served, and may be again.
    pub(crate) async fn may_go(
        &self,
        digest: &Digest,
        orphaned: Option<&Watch>,
    ) -> Result<bool, StoreError> {
        let Some(watch) = orphaned else { return Ok(true) };
        Ok(!watch.was_named(digest)
            && self.0.blobs.is_gone(digest).await?
            && self.0.index.sums(digest).await?.is_none())
    }

    /// The visible entries of a key.
    pub(crate) async fn entries(&self, key: &Key) -> Result<Vec<Doomed>, StoreError> {
        let (shared, folder, key) = (Arc::clone(&self.0), self.0.folder(key), key.clone());
        blocking(move || {
            let read = folder.read(shared.publisher.durable())?;
            let entries = read.entries.iter();
            let doomed = |(record, entry): &(RecordName, _)| {
                Doomed::new(&shared.layout, &key, *record, entry, String::new())
            };
            Ok::<_, Fault>(entries.map(doomed).collect())
        })
        .await
    }
}

impl Doomed {
    pub(crate) fn new(
        layout: &Layout,
        key: &Key,
        record: RecordName,
        entry: &SignedEntry,
        reason: String,
    ) -> Self {
        let path = KeyFolder::of(layout, &key.file_name()).entry(&record);
        let removal = Removal {
            path: layout.in_archive(&path),
            key: Some(key.as_str().to_owned()),
            digest: Some(entry.digest().to_string()),
            bytes: entry.body().len() as u64,
            reason,
        };
        Self { record, digest: *entry.digest(), removal }
    }
}

impl Shared {
    async fn hide(
        &self,
        run: &Run,
        folder: &KeyFolder,
        hidden: &RecordName,
        hiding: &RecordName,
    ) -> Result<(), StoreError> {
        let path = folder.entry(hidden);
        let text = Tombstone::new(&self.layout, &path, hiding.time, run.deletion()).to_json();
        self.publisher.publish(text.into(), folder.tombstone(hiding)).await?;
        Ok(())
    }

    /// Moves every file of these entries that is hidden now to quarantine. Blocking.
    fn move_hidden(
        &self,
        folder: &KeyFolder,
        hidden: &HashMap<EntryId, Timestamp>,
    ) -> Result<(), Fault> {
        for path in walk::paths(folder.entries())? {
            if is_hidden(&path, hidden) {
                let to = self.layout.collected(&path);
                self.publisher.move_away(&path, &to, || Ok(true))?;
            }
        }
        Ok(())
    }
}

fn is_hidden(path: &Path, hidden: &HashMap<EntryId, Timestamp>) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let record = name.and_then(RecordName::parse);
    record.is_some_and(|it| hidden.get(&it.id).is_some_and(|until| it.time <= *until))
}
