//! The folders of keys: their names, the file that holds a long key, and the entries.

use std::path::Path;

use shacache_core::entry::SignedEntry;

use super::super::finding::Code;
use super::super::{Report, reading};
use super::{Item, Tree};
use crate::directory::folder::{key_of, read_entry};
use crate::error::StoreError;
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
        let (layout, path) = (self.layout.clone(), folder.path.clone());
        let key = match reading(move || key_of(&layout, &path)).await {
            Ok(Some(key)) => key,
            Ok(None) => {
                let layout = self.layout.clone();
                let is_wrong = move |path: &Path| Ok(key_of(&layout, path)?.is_none());
                let detail = "no key gives this name";
                self.displace(Code::Misplaced, &folder, detail, is_wrong, report).await;
                return Ok(());
            }
            // Whose folder it is may be known the next time.
            Err(error) => {
                self.unreadable(&folder.path, &error, report);
                return Ok(());
            }
        };
        for item in self.items(folder.path, report).await? {
            if item.name == KEY_FILE && key.file_name().is_digest() {
                self.check_file(&item, report).await;
            } else {
                self.check_entry(item, report).await?;
            }
        }
        Ok(())
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
                    report.add(self.finding(Code::BlobMissing, &item.path, &detail, None));
                }
            }
            Ok(Some(other)) => {
                let detail = match other {
                    Ok(_) => "the name is of another entry".to_owned(),
                    Err(error) => error.to_string(),
                };
                let is_wrong = move |path: &Path| {
                    let is_other = |entry: SignedEntry| *entry.id() != record.id;
                    Ok(read_entry(path)?.is_some_and(|entry| entry.map_or(true, is_other)))
                };
                self.displace(Code::EntryDamaged, &item, &detail, is_wrong, report).await;
            }
            Err(error) => self.unreadable(&item.path, &error, report),
        }
        Ok(())
    }
}
