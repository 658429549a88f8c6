//! The folders of keys: their names, the file that holds a long key, and the entries.

use std::fs;

use shacache_core::key::{Key, KeyFileName};

use super::super::finding::Code;
use super::super::{Report, reading};
use super::{Item, Tree};
use crate::directory::folder::read_entry;
use crate::error::{Chain, Fault, StoreError};
use crate::layout::{KEY_FILE, RecordName};

impl Tree<'_> {
    /// Checks one key's folder and what is in it.
    pub(super) async fn check_key(
        &self,
        folder: Item,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        if !folder.metadata.is_dir() {
            self.stray(&folder, report).await;
            return Ok(());
        }
        let Some(name) = self.key_of(&folder).await else {
            let detail = "no key gives this name";
            self.displace(Code::Misplaced, &folder, detail, report).await;
            return Ok(());
        };
        for item in self.items(folder.path).await? {
            if item.name == KEY_FILE && name.is_digest() {
                self.check_file(&item, report).await;
            } else {
                self.check_entry(item, report).await?;
            }
        }
        Ok(())
    }

    /// The name that the folder of its key has, if that is this folder.
    async fn key_of(&self, folder: &Item) -> Option<KeyFileName> {
        let key = match KeyFileName::decode(&folder.name) {
            Some(key) => key,
            None => {
                let path = folder.path.join(KEY_FILE);
                let read = reading(move || fs::read(&path).map_err(Fault::at("read", &path)));
                let text = String::from_utf8(read.await.ok()?).ok()?;
                text.parse::<Key>().ok()?
            }
        };
        let name = key.file_name();
        (self.layout.key_entries(&name) == folder.path).then_some(name)
    }

    async fn check_entry(&self, item: Item, report: &mut Report) -> Result<(), StoreError> {
        let Some(record) = RecordName::parse(&item.name) else {
            self.stray(&item, report).await;
            return Ok(());
        };
        if !self.check_file(&item, report).await {
            return Ok(());
        }
        let path = item.path.clone();
        match reading(move || read_entry(&path)).await {
            // Gone since its name was read.
            Ok(None) => {}
            Ok(Some(Ok(entry))) if *entry.id() == record.id => {
                report.entries += 1;
                if self.blobs.get(entry.digest()).await?.is_none() {
                    let detail = format!("no blob {}", entry.digest());
                    report.add(self.finding(Code::BlobMissing, &item, &detail, None));
                }
            }
            Ok(Some(Ok(_))) => {
                let detail = "the name is of another entry";
                self.displace(Code::EntryDamaged, &item, detail, report).await;
            }
            Ok(Some(Err(error))) => {
                let detail = error.to_string();
                self.displace(Code::EntryDamaged, &item, &detail, report).await;
            }
            Err(error) => {
                let detail = Chain(&error).to_string();
                report.add(self.finding(Code::Unreadable, &item, &detail, None));
            }
        }
        Ok(())
    }
}
