//! The walk over the archive's folders. Owns which names may stand where, and what happens to
//! those that may not.

use std::fs::{self, Metadata};
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
use crate::scan::{self, Content};
use crate::timestamp::Timestamp;

mod keys;
mod unclaimed;

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
        for item in self.items(self.layout.archive(), report).await? {
            match item.name.as_str() {
                "VERSION" => {}
                "blobs" | "entries" => self.check_fan_outs(&item, report).await?,
                "tombstones" => {
                    for item in self.items(item.path, report).await? {
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
        for folder in self.items(self.layout.blobs().join(&fan_out), report).await? {
            if !is_fan_out(&folder) {
                self.stray(&folder, report).await;
                continue;
            }
            for item in self.items(folder.path, report).await? {
                self.check_blob(item, pace, report).await?;
            }
        }
        for folder in self.items(self.layout.entries().join(&fan_out), report).await? {
            self.check_key(folder, report).await?;
        }
        for folder in self.items(self.layout.blob_tombstones().join(&fan_out), report).await? {
            for item in self.items(folder.path, report).await? {
                self.check_tombstone(&item, report).await;
            }
        }
        for folder in self.items(self.layout.entry_tombstones().join(&fan_out), report).await? {
            for item in self.items(folder.path, report).await? {
                self.check_tombstone(&item, report).await;
            }
        }
        report.units += 1;
        Ok(())
    }

    async fn check_fan_outs(&self, folder: &Item, report: &mut Report) -> Result<(), StoreError> {
        for item in self.items(folder.path.clone(), report).await? {
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
            let detail = "no blob belongs under this name";
            self.displace(code, &item, detail, |_| Ok(true), report).await;
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
                    report.add(self.finding(Code::IndexWrong, &item.path, "other checksums", None));
                }
            }
            Ok(Checked::Damaged { quarantine }) => {
                let detail = "the bytes have another digest";
                report.add(self.finding(Code::BlobDamaged, &item.path, detail, quarantine));
            }
            // Collected or replaced since its name was read.
            Ok(Checked::Absent) => {}
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => self.unreadable(&item.path, &error, report),
        }
        Ok(())
    }

    async fn check_tombstone(&self, item: &Item, report: &mut Report) {
        if !self.check_file(item, report).await {
            return;
        }
        let path = item.path.clone();
        match reading(move || tombstone_damage(&path)).await {
            Ok(None) => {}
            Ok(Some(detail)) => {
                let is_wrong = |path: &Path| Ok(tombstone_damage(path)?.is_some());
                self.displace(Code::TombstoneDamaged, item, &detail, is_wrong, report).await;
            }
            Err(error) => self.unreadable(&item.path, &error, report),
        }
    }

    /// Whether it is a file that its owner may read; a mode that forbids that is mended.
    async fn check_file(&self, item: &Item, report: &mut Report) -> bool {
        if !item.metadata.is_file() {
            let is_wrong =
                |path: &Path| Ok(scan::status(path)?.is_some_and(|found| !found.is_file()));
            self.displace(Code::NotAFile, item, "not a file", is_wrong, report).await;
            return false;
        }
        let mode = item.metadata.permissions().mode();
        if mode & OWNER_READS == 0 {
            let detail = format!("mode {:04o}", mode & 0o7777);
            report.add(self.finding(Code::WrongMode, &item.path, &detail, None));
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

    /// For what stands where only folders may, or under a name that the format does not know.
    async fn stray(&self, item: &Item, report: &mut Report) {
        let was_folder = item.metadata.is_dir();
        let is_wrong = move |path: &Path| {
            Ok(scan::status(path)?.is_some_and(|found| found.is_dir() == was_folder))
        };
        self.displace(Code::Stray, item, "the format knows no such name", is_wrong, report).await;
    }

    /// Reports something and moves it to quarantine, if `is_wrong` says again that it has to go:
    /// what was put in its place meanwhile stays, and is no finding.
    async fn displace(
        &self,
        code: Code,
        item: &Item,
        detail: &str,
        is_wrong: impl FnOnce(&Path) -> Result<bool, Fault> + Send + 'static,
        report: &mut Report,
    ) {
        let Some(check) = self.quarantine else {
            report.add(self.finding(code, &item.path, detail, None));
            return;
        };
        let place = self.layout.quarantined_item(&item.path, check);
        let (publisher, from, to) = (Arc::clone(self.publisher), item.path.clone(), place.clone());
        let moved = reading(move || publisher.move_away(&from, &to, || is_wrong(&from))).await;
        match moved {
            Ok(true) => report.add(self.finding(code, &item.path, detail, Some(place))),
            Ok(false) => tracing::info!(path = %item.path.display(), "replaced while it was read"),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "it stays in the archive");
                report.add(self.finding(code, &item.path, detail, None));
            }
        }
    }

    fn unreadable(&self, path: &Path, error: &StoreError, report: &mut Report) {
        let detail = Chain(error).to_string();
        report.add(self.finding(Code::Unreadable, path, &detail, None));
    }

    fn finding(&self, code: Code, path: &Path, detail: &str, place: Option<PathBuf>) -> Finding {
        Finding {
            code,
            path: shown(self.layout, path),
            detail: detail.to_owned(),
            quarantine: place.map(|place| shown(self.layout, &place)),
        }
    }

    /// What is in a folder, in the order of names; nothing if it is no folder. One that cannot be
    /// listed is a finding, and the check goes on beside it.
    async fn items(&self, folder: PathBuf, report: &mut Report) -> Result<Vec<Item>, StoreError> {
        let listed = folder.clone();
        match reading(move || list(&listed)).await {
            Err(StoreError::Closed) => Err(StoreError::Closed),
            Err(error) => {
                self.unreadable(&folder, &error, report);
                Ok(Vec::new())
            }
            Ok(items) => Ok(items),
        }
    }
}

/// What is wrong with a tombstone that is there.
fn tombstone_damage(path: &Path) -> Result<Option<String>, Fault> {
    match scan::content(path, TOMBSTONE_LIMIT_BYTES)? {
        Content::Missing => Ok(None),
        Content::NotAFile => Ok(Some("not a file".to_owned())),
        Content::Bytes(text) => Ok(serde_json::from_slice::<serde_json::Value>(&text)
            .err()
            .map(|error| error.to_string())),
    }
}

fn list(folder: &Path) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::new();
    for entry in scan::entries(folder)? {
        let path = entry?.path();
        let Some(metadata) = scan::status(&path)? else {
            // Gone since its name was read.
            continue;
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
/// More than a tombstone of ours has, whoever gave the reason.
const TOMBSTONE_LIMIT_BYTES: u64 = 16 << 20;
