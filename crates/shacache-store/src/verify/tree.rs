//! The walk over the archive's folders. Owns which names may stand where, and what happens to
//! those that may not.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use shacache_core::digest::Digest;
use shacache_core::key::KeyFileName;

use super::finding::{Code, Finding};
use super::{Course, Interruption, Report, reading};
use crate::blob::{BlobStore, Checked};
use crate::error::{Chain, Fault, StoreError};
use crate::index::Index;
use crate::layout::{Layout, RecordName, digest_of_path};
use crate::publisher::Publisher;
use crate::scan::{self, Content};
use crate::timestamp::Timestamp;

mod keys;
mod outside_units;

/// The archive as a check sees it.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) layout: &'a Layout,
    pub(super) publisher: &'a Publisher,
    pub(super) blobs: &'a BlobStore,
    pub(super) index: &'a Index,
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
    /// Checks everything whose fan-out begins with this byte.
    pub(super) async fn check_unit(
        &self,
        unit: u8,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let fan_out = format!("{unit:02x}");
        for folder in self.folders(self.layout.blobs().join(&fan_out), is_fan_out, report)? {
            for item in self.items(folder, report)? {
                self.check_blob(item, course, report).await?;
            }
        }
        self.check_listed(unit, course, report).await?;
        for folder in self.items_below(self.layout.entries().join(&fan_out), report)? {
            self.check_key(folder, course, report).await?;
        }
        let banned = self.layout.blob_tombstones().join(&fan_out);
        for folder in self.folders(banned, is_fan_out, report)? {
            for item in self.items(folder, report)? {
                let is_ours = digest_of_path(&item.path.with_extension("")).is_some();
                self.check_tombstone(&item, is_ours, course, report).await?;
            }
        }
        let hidden = self.layout.entry_tombstones().join(&fan_out);
        let is_key = |item: &Item| item.metadata.is_dir() && is_key_name(&item.path);
        for folder in self.folders(hidden, is_key, report)? {
            for item in self.items(folder, report)? {
                let is_ours = RecordName::parse(&item.name).is_some();
                self.check_tombstone(&item, is_ours, course, report).await?;
            }
        }
        report.units += 1;
        Ok(())
    }

    /// Checks that nothing is gone that the index lists.
    async fn check_listed(
        &self,
        unit: u8,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let lost = match self.blobs.lost(unit).await {
            // An index that cannot be read lists nothing, and was reported before.
            Err(StoreError::Index(_)) => return Ok(()),
            lost => lost?,
        };
        for digest in lost {
            course.advance(0, report)?;
            let path = self.layout.blob(&digest);
            let detail = "the index lists it, and it is not there";
            report.add(self.finding(Code::BlobLost, &path, detail, None));
            if self.quarantine.is_some() {
                self.blobs.forget_lost(&digest).await;
            }
        }
        Ok(())
    }

    async fn check_blob(
        &self,
        item: Item,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let Some(digest) = digest_of_path(&item.path) else {
            let code =
                if item.name.parse::<Digest>().is_ok() { Code::Misplaced } else { Code::Stray };
            let detail = "no blob belongs under this name";
            self.displace(code, &item, detail, |_| Ok(true), report);
            return Ok(());
        };
        if !self.check_file(&item, report) {
            if self.quarantine.is_some() && self.blobs.is_gone(&digest).await? {
                self.blobs.forget(&digest).await;
            }
            return Ok(());
        }
        let quarantines = self.quarantine.is_some();
        let paced = |bytes| course.paced(bytes, report);
        match self.blobs.check(&digest, quarantines, paced).await {
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
            Ok(Checked::Unknown) => return Err(course.interruption()),
            // Collected or replaced since its name was read.
            Ok(Checked::Absent) => {}
            Err(StoreError::Closed) => return Err(StoreError::Closed.into()),
            Err(error) => self.unreadable(&item.path, &error, report),
        }
        Ok(())
    }

    async fn check_tombstone(
        &self,
        item: &Item,
        is_ours: bool,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        if !is_ours {
            self.stray(item, report);
            return Ok(());
        }
        if !self.check_file(item, report) {
            return Ok(());
        }
        course.advance(item.metadata.len(), report)?;
        match reading(|| tombstone_damage(&item.path)) {
            Ok(None) => {}
            Ok(Some(detail)) => {
                let is_wrong = |path: &Path| Ok(tombstone_damage(path)?.is_some());
                self.displace(Code::TombstoneDamaged, item, &detail, is_wrong, report);
            }
            Err(error) => self.unreadable(&item.path, &error, report),
        }
        Ok(())
    }

    /// Whether it is a file that its owner may read; a mode that forbids that is mended.
    fn check_file(&self, item: &Item, report: &mut Report) -> bool {
        if !item.metadata.is_file() {
            let is_wrong =
                |path: &Path| Ok(scan::status(path)?.is_some_and(|found| !found.is_file()));
            self.displace(Code::NotAFile, item, "not a file", is_wrong, report);
            return false;
        }
        self.check_mode(item, OWNER_READS, FILE_MODE, report);
        true
    }

    /// Mends a mode that keeps the owner out.
    fn check_mode(&self, item: &Item, needed: u32, good: u32, report: &mut Report) {
        let mode = item.metadata.permissions().mode();
        if mode & needed == needed {
            return;
        }
        let detail = format!("mode {:04o}", mode & 0o7777);
        report.add(self.finding(Code::WrongMode, &item.path, &detail, None));
        if self.quarantine.is_some() {
            let good = fs::Permissions::from_mode(good);
            let mended = reading(|| {
                fs::set_permissions(&item.path, good).map_err(Fault::at("chmod", &item.path))
            });
            if let Err(error) = mended {
                tracing::error!(error = %Chain(&error), "a mode stays wrong");
            }
        }
    }

    /// For what stands where only folders may, or under a name that the format does not know.
    fn stray(&self, item: &Item, report: &mut Report) {
        let was_folder = item.metadata.is_dir();
        let is_wrong = move |path: &Path| {
            Ok(scan::status(path)?.is_some_and(|found| found.is_dir() == was_folder))
        };
        self.displace(Code::Stray, item, "the format knows no such name", is_wrong, report);
    }

    /// Reports something and moves it to quarantine, if `is_wrong` says again that it has to go:
    /// what was put in its place meanwhile stays, and is no finding.
    fn displace(
        &self,
        code: Code,
        item: &Item,
        detail: &str,
        is_wrong: impl FnOnce(&Path) -> Result<bool, Fault>,
        report: &mut Report,
    ) {
        let Some(check) = self.quarantine else {
            report.add(self.finding(code, &item.path, detail, None));
            return;
        };
        let place = self.layout.quarantined_item(&item.path, check);
        let from = &item.path;
        match reading(|| self.publisher.move_away(from, &place, || is_wrong(from))) {
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
            path: self.layout.shown(path),
            detail: detail.to_owned(),
            quarantine: place.map(|place| self.layout.shown(&place)),
        }
    }

    /// The folders in a folder that belong there; whatever else is there is a stray.
    fn folders(
        &self,
        folder: PathBuf,
        belongs: impl Fn(&Item) -> bool,
        report: &mut Report,
    ) -> Result<Vec<PathBuf>, Interruption> {
        let mut folders = Vec::new();
        for item in self.items_below(folder, report)? {
            if belongs(&item) {
                self.check_mode(&item, OWNER_LISTS, FOLDER_MODE, report);
                folders.push(item.path);
            } else {
                self.stray(&item, report);
            }
        }
        Ok(folders)
    }

    /// As [`Self::items`], but nothing of what is behind a link, which is a stray of its own.
    fn items_below(&self, folder: PathBuf, report: &mut Report) -> Result<Vec<Item>, Interruption> {
        match reading(|| scan::status(&folder)) {
            Ok(Some(found)) if found.is_dir() => self.items(folder, report),
            Ok(_) => Ok(Vec::new()),
            Err(error) => {
                self.unreadable(&folder, &error, report);
                Ok(Vec::new())
            }
        }
    }

    /// What is in a folder, in the order of names; nothing if it is no folder. One that cannot be
    /// listed is a finding, and the check goes on beside it.
    fn items(&self, folder: PathBuf, report: &mut Report) -> Result<Vec<Item>, Interruption> {
        match reading(|| list(&folder)) {
            Err(StoreError::Closed) => Err(StoreError::Closed.into()),
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

/// Whether a key's tombstones may be in a folder of this path. Nothing says which long key it is.
fn is_key_name(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let fan_out = path.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    match KeyFileName::decode(name) {
        Some(key) => Some(key.file_name().fan_out()) == fan_out,
        None => fan_out.is_some() && fan_out == KeyFileName::fan_out_of_digest(name),
    }
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
const OWNER_LISTS: u32 = 0o500;
const FOLDER_MODE: u32 = 0o750;
/// More than a tombstone of ours has, whoever gave the reason.
const TOMBSTONE_LIMIT_BYTES: u64 = 16 << 20;
