//! The walk over the archive's folders. Owns which names may stand where, and what happens to
//! those that may not.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{Code, Finding};
use super::pace::Pace;
use super::{Report, reading, shown};
use crate::blob::{BlobStore, Checked};
use crate::error::{Chain, Fault, StoreError};
use crate::layout::{Layout, digest_of_path};
use crate::publisher::Publisher;
use crate::scan;
use crate::timestamp::Timestamp;

mod keys;

/// The archive as a check sees it.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) layout: &'a Layout,
    pub(super) publisher: &'a Arc<Publisher>,
    pub(super) blobs: &'a BlobStore,
    /// The name of this check's folder in quarantine; `None` when nothing is to be moved.
    pub(super) quarantine: Option<Timestamp>,
}

/// Something in a folder.
#[derive(Debug)]
pub(super) struct Item {
    path: PathBuf,
    name: String,
    metadata: Metadata,
}

impl Tree<'_> {
    /// Checks the folders above the fan-out.
    pub(super) async fn check_top(&self, report: &mut Report) -> Result<(), StoreError> {
        for item in self.items(self.layout.archive()).await? {
            match item.name.as_str() {
                "VERSION" => {}
                "blobs" | "entries" => self.check_fan_outs(&item, report).await?,
                "tombstones" => {
                    for item in self.items(item.path).await? {
                        match item.name.as_str() {
                            "blobs" | "entries" => self.check_fan_outs(&item, report).await?,
                            _ => self.stray(&item, report).await,
                        }
                    }
                }
                "holds" | "audit" => {}
                _ => self.stray(&item, report).await,
            }
        }
        Ok(())
    }

    /// Checks everything whose fan-out begins with this byte.
    pub(super) async fn check_unit(
        &self,
        unit: u8,
        pace: &mut Pace,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let fan_out = format!("{unit:02x}");
        for folder in self.items(self.layout.blobs().join(&fan_out)).await? {
            if !is_fan_out(&folder) {
                self.stray(&folder, report).await;
                continue;
            }
            for item in self.items(folder.path).await? {
                self.check_blob(item, pace, report).await?;
            }
        }
        for folder in self.items(self.layout.entries().join(&fan_out)).await? {
            self.check_key(folder, report).await?;
        }
        for folder in self.items(self.layout.blob_tombstones().join(&fan_out)).await? {
            for item in self.items(folder.path).await? {
                self.check_tombstone(&item, report).await;
            }
        }
        for folder in self.items(self.layout.entry_tombstones().join(&fan_out)).await? {
            for item in self.items(folder.path).await? {
                self.check_tombstone(&item, report).await;
            }
        }
        report.units += 1;
        Ok(())
    }

    async fn check_fan_outs(&self, folder: &Item, report: &mut Report) -> Result<(), StoreError> {
        for item in self.items(folder.path.clone()).await? {
            if !is_fan_out(&item) {
                self.stray(&item, report).await;
            }
        }
        Ok(())
    }

    async fn check_blob(
        &self,
        item: Item,
        pace: &mut Pace,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let Some(digest) = digest_of_path(&item.path) else {
            let code = if item.name.parse::<shacache_core::digest::Digest>().is_ok() {
                Code::Misplaced
            } else {
                Code::Stray
            };
            self.displace(code, &item, "no blob belongs under this name", report).await;
            return Ok(());
        };
        if !self.check_file(&item, report).await {
            return Ok(());
        }
        match self.blobs.check(&digest, pace, self.quarantine.is_some()).await {
            Ok(Checked::Whole { size, index_was_wrong }) => {
                report.blobs += 1;
                report.bytes += size;
                if index_was_wrong {
                    report.add(self.finding(Code::IndexWrong, &item, "other checksums", None));
                }
            }
            Ok(Checked::Damaged { quarantine }) => {
                let detail = "the bytes have another digest";
                report.add(self.finding(Code::BlobDamaged, &item, detail, quarantine));
            }
            // Collected or replaced since its name was read.
            Ok(Checked::Absent) => {}
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                let detail = Chain(&error).to_string();
                report.add(self.finding(Code::Unreadable, &item, &detail, None));
            }
        }
        Ok(())
    }

    async fn check_tombstone(&self, item: &Item, report: &mut Report) {
        if !self.check_file(item, report).await {
            return;
        }
        let path = item.path.clone();
        let text = reading(move || fs::read(&path).map_err(Fault::at("read", &path))).await;
        match text {
            Ok(text) => {
                if let Err(error) = serde_json::from_slice::<serde_json::Value>(&text) {
                    let detail = error.to_string();
                    self.displace(Code::TombstoneDamaged, item, &detail, report).await;
                }
            }
            Err(error) => {
                let detail = Chain(&error).to_string();
                report.add(self.finding(Code::Unreadable, item, &detail, None));
            }
        }
    }

    /// Whether it is a file that its owner may read; a mode that forbids that is mended.
    async fn check_file(&self, item: &Item, report: &mut Report) -> bool {
        if !item.metadata.is_file() {
            self.displace(Code::NotAFile, item, "not a file", report).await;
            return false;
        }
        let mode = item.metadata.permissions().mode();
        if mode & OWNER_READS == 0 {
            let detail = format!("mode {:04o}", mode & 0o7777);
            report.add(self.finding(Code::WrongMode, item, &detail, None));
            if self.quarantine.is_some() {
                let path = item.path.clone();
                let readable = fs::Permissions::from_mode(FILE_MODE);
                let mended = reading(move || {
                    fs::set_permissions(&path, readable).map_err(Fault::at("chmod", &path))
                });
                if let Err(error) = mended.await {
                    tracing::error!(error = %Chain(&error), "a mode stays wrong");
                }
            }
        }
        true
    }

    async fn stray(&self, item: &Item, report: &mut Report) {
        self.displace(Code::Stray, item, "the format knows no such name", report).await;
    }

    /// Reports something and moves it to quarantine.
    async fn displace(&self, code: Code, item: &Item, detail: &str, report: &mut Report) {
        let place = match self.quarantine {
            None => None,
            Some(check) => self.move_away(item, check).await,
        };
        report.add(self.finding(code, item, detail, place));
    }

    async fn move_away(&self, item: &Item, check: Timestamp) -> Option<PathBuf> {
        let place = self.layout.quarantined_item(&item.path, check);
        let (publisher, from, to) = (Arc::clone(self.publisher), item.path.clone(), place.clone());
        match reading(move || publisher.durable().displace(&from, &to)).await {
            Ok(()) => Some(place),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "it stays in the archive");
                None
            }
        }
    }

    fn finding(&self, code: Code, item: &Item, detail: &str, place: Option<PathBuf>) -> Finding {
        Finding {
            code,
            path: shown(self.layout, &item.path),
            detail: detail.to_owned(),
            quarantine: place.map(|place| shown(self.layout, &place)),
        }
    }

    /// What is in a folder, in the order of names; nothing if it is no folder.
    async fn items(&self, folder: PathBuf) -> Result<Vec<Item>, StoreError> {
        reading(move || list(&folder)).await
    }
}

fn list(folder: &Path) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::new();
    for path in scan::paths(folder)? {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // Gone since its name was read.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Fault::new("stat", &path, error)),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        items.push(Item { path, name, metadata });
    }
    items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// Whether it is a folder named by two lower-case hex digits.
fn is_fan_out(item: &Item) -> bool {
    let digits = item.name.as_bytes();
    item.metadata.is_dir()
        && digits.len() == 2
        && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

const OWNER_READS: u32 = 0o400;
const FILE_MODE: u32 = 0o640;
