//! Files of another archive's directory on their way into this one: entries, tombstones and the files
//! that name long keys, each under the name it has there. Owns that whoever reads or writes the key
//! meanwhile sees the file or does not. What the file holds was judged before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use super::folder::{self, Names, Whose};
use super::{Directory, Opened};
use crate::archive_file::{ArchiveFile, Kind};
use crate::blocking::{blocking, joined};
use crate::error::StoreError;
use crate::gate::Pass;
use crate::import;
use crate::index::Change;
use crate::layout::RecordName;
use crate::naming::Named;

impl Directory {
    /// Publishes a file unless it is there; says whether it did. Once begun it goes to its end, also
    /// when the caller stops waiting.
    pub(crate) async fn import_file(
        &self,
        name: &ArchiveFile,
        text: Bytes,
    ) -> Result<bool, StoreError> {
        let pass = self.0.publisher.enter().await?;
        let (directory, name) = (self.clone(), name.clone());
        joined(tokio::spawn(async move { directory.merge(pass, &name, text).await })).await
    }

    async fn merge(&self, pass: Pass, name: &ArchiveFile, text: Bytes) -> Result<bool, StoreError> {
        let path = self.0.layout.archive().join(name.path());
        let (shared, asked) = (Arc::clone(&self.0), name.clone());
        if blocking(move || import::has_whole(&shared.layout, &shared.publisher, &asked)).await? {
            return Ok(false);
        }
        let Some(key) = self.key_of(name, &text).await? else {
            // The file that says which long key this is has not come: nobody reads by that key yet
            // who would not see the file within two seconds.
            let _named = self.name_blob(name, &text).await?;
            self.0.publisher.publish(text, path).await?;
            return Ok(true);
        };
        let opened = self.open(&pass, &key).await?;
        let _named = self.name_blob(name, &text).await?;
        let published = self.0.publisher.publish(text.clone(), path).await;
        opened.shard.written.fetch_add(1, Ordering::AcqRel);
        published?;
        self.tell_index(&key, name, &text, &opened).await?;
        Ok(true)
    }

    /// As for an entry that a client puts: the blob that it names may just be collected.
    async fn name_blob(
        &self,
        name: &ArchiveFile,
        text: &Bytes,
    ) -> Result<Option<Named>, StoreError> {
        let (Kind::Entry, Ok(entry)) = (name.kind(), SignedEntry::from_body(text)) else {
            return Ok(None);
        };
        let named = self.0.blobs.name(entry.digest()).await;
        self.0.blobs.claim(entry.digest()).await?;
        Ok(Some(named))
    }

    async fn key_of(&self, name: &ArchiveFile, text: &Bytes) -> Result<Option<Key>, StoreError> {
        if name.kind() == Kind::KeyFile {
            return Ok(str::from_utf8(text).ok().and_then(|text| text.parse().ok()));
        }
        let (shared, folder) = (Arc::clone(&self.0), name.key_folder());
        blocking(move || {
            match folder::whose(&shared.layout, &shared.layout.entries().join(folder))? {
                Whose::Key(key) => Ok::<_, crate::error::Fault>(Some(key)),
                Whose::LongKey | Whose::Nobody => Ok(None),
            }
        })
        .await
    }

    /// What changed for whoever lists the key.
    async fn tell_index(
        &self,
        key: &Key,
        name: &ArchiveFile,
        text: &Bytes,
        opened: &Opened<'_>,
    ) -> Result<(), StoreError> {
        let Some(record) = name.record() else { return Ok(()) };
        let (shared, folder) = (Arc::clone(&self.0), opened.folder.clone());
        let now = blocking(move || folder.names(shared.publisher.durable())).await?;
        for change in changes(&opened.names, &now, &record) {
            match (change, SignedEntry::from_body(text)) {
                (Listed::No(record), _) => {
                    self.0.index.record(Change::NoEntry { key: key.clone(), record });
                }
                (Listed::Yes(record), Ok(entry)) => {
                    let (digest, metadata) = (*entry.digest(), entry.metadata_text().into());
                    let key = key.clone();
                    self.0.index.record(Change::Entry { key, record, digest, metadata });
                }
                (Listed::Yes(_), Err(_)) => {}
            }
        }
        Ok(())
    }
}

/// Whether an entry is listed now that was not, or the other way round.
enum Listed {
    Yes(RecordName),
    No(RecordName),
}

fn changes(before: &Names, now: &Names, record: &RecordName) -> Vec<Listed> {
    let (before, now) = (before.find(&record.id), now.find(&record.id));
    if before == now {
        return Vec::new();
    }
    before.map(Listed::No).into_iter().chain(now.map(Listed::Yes)).collect()
}
