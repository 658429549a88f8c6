//! The folders of keys: their names, the file that holds a long key, and the entries.

use std::path::Path;

use shacache_core::entry::SignedEntry;

use super::super::finding::Code;
use super::super::{Course, Interruption, Report, reading};
use super::{FOLDER_MODE, Item, OWNER_LISTS, Tree};
use crate::directory::folder::{self, Whose, read_entry};
use crate::directory::key_file;
use crate::layout::{KEY_FILE, RecordName};

impl Tree<'_> {
    /// Checks one key's folder and what is in it.
    pub(super) async fn check_key(
        &self,
        folder: Item,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        if !folder.metadata.is_dir() {
            self.stray(&folder, report);
            return Ok(());
        }
        self.check_mode(&folder, OWNER_LISTS, FOLDER_MODE, report);
        let is_long = match reading(|| folder::whose(self.layout, &folder.path)) {
            Ok(Whose::Key(key)) => key.file_name().is_digest(),
            Ok(Whose::LongKey) => {
                self.check_key_file(&folder, report).await?;
                true
            }
            Ok(Whose::Nobody) => {
                let is_wrong = |path: &Path| Ok(folder::whose(self.layout, path)? == Whose::Nobody);
                let detail = "no key gives this name";
                self.displace(Code::Misplaced, &folder, detail, is_wrong, report);
                return Ok(());
            }
            // Whose folder it is may be known the next time.
            Err(error) => {
                self.unreadable(&folder.path, &error, report);
                return Ok(());
            }
        };
        for item in self.items(folder.path, report)? {
            if item.name == KEY_FILE && is_long {
                self.check_file(&item, report);
            } else {
                self.check_entry(item, course, report).await?;
            }
        }
        Ok(())
    }

    /// Makes the file anew that says which long key this folder is of. Without it the entries are
    /// listed all the same to whoever asks by the key, and so they stay where they are.
    async fn check_key_file(&self, folder: &Item, report: &mut Report) -> Result<(), Interruption> {
        let path = folder.path.join(KEY_FILE);
        if !key_file::is_needed(&folder.path).await? {
            return Ok(());
        }
        let mut detail = "it does not say which key the folder is of";
        if self.quarantine.is_some() {
            let restored =
                key_file::restore(self.layout, self.index, self.publisher, &folder.path).await;
            match restored {
                Ok(true) => detail = "it did not say which key the folder is of: made anew",
                Ok(false) => {}
                Err(error) => self.unreadable(&path, &error, report),
            }
        }
        report.add(self.finding(Code::KeyDamaged, &path, detail, None));
        Ok(())
    }

    async fn check_entry(
        &self,
        item: Item,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let Some(record) = RecordName::parse(&item.name) else {
            self.stray(&item, report);
            return Ok(());
        };
        if !self.check_file(&item, report) {
            return Ok(());
        }
        course.advance(item.metadata.len(), report)?;
        match reading(|| read_entry(&item.path)) {
            // Gone since its name was read.
            Ok(None) => {}
            Ok(Some(Ok(entry))) if *entry.id() == record.id => {
                report.entries += 1;
                if self.blobs.is_gone(entry.digest()).await? {
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
                self.displace(Code::EntryDamaged, &item, &detail, is_wrong, report);
            }
            Err(error) => self.unreadable(&item.path, &error, report),
        }
        Ok(())
    }
}
