//! What belongs to no unit of the archive: the file of the index, the folders above the fan-outs, and
//! the names of unclaimed blobs.

use std::path::Path;

use shacache_core::digest::Digest;

use super::super::finding::Code;
use super::super::{Interruption, Report, reading};
use super::{Item, Tree, is_fan_out};
use crate::error::{Chain, Fault, StoreError};
use crate::hold;
use crate::layout::FORMAT;
use crate::scan::{self, Content};

impl Tree<'_> {
    /// Checks all of it.
    pub(in crate::verify) async fn check_outside_units(
        &self,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        self.check_index(report).await?;
        self.check_top(report).await?;
        self.check_unclaimed(report)
    }

    /// Checks the index's file; what is in it is compared with the archive as that is read.
    async fn check_index(&self, report: &mut Report) -> Result<(), Interruption> {
        let damage = match self.index.damage(self.quarantine.is_some()).await {
            Err(StoreError::Closed) => return Err(StoreError::Closed.into()),
            Err(error) => Some(Chain(&error).to_string()),
            Ok(damage) => damage,
        };
        if let Some(damage) = damage {
            let path = self.layout.database();
            report.add(self.finding(Code::IndexWrong, &path, &damage, None));
        }
        Ok(())
    }

    /// Checks the folders above the fan-out.
    async fn check_top(&self, report: &mut Report) -> Result<(), Interruption> {
        let mut has_version = None;
        for item in self.items(self.layout.archive(), report)? {
            match (item.name.as_str(), item.metadata.is_dir()) {
                ("VERSION", _) => has_version = Some(self.check_version(&item, report)),
                ("blobs" | "entries", true) => self.check_fan_outs(&item, report)?,
                ("tombstones", true) => {
                    for item in self.items(item.path, report)? {
                        match (item.name.as_str(), item.metadata.is_dir()) {
                            ("blobs" | "entries", true) => {
                                self.check_fan_outs(&item, report)?;
                            }
                            _ => self.stray(&item, report),
                        }
                    }
                }
                ("holds", true) => self.check_holds(&item, report),
                ("audit", true) => {}
                _ => self.stray(&item, report),
            }
        }
        if has_version.is_none() {
            let path = self.layout.version();
            report.add(self.finding(Code::VersionWrong, &path, "missing", None));
        }
        if has_version != Some(true) && self.quarantine.is_some() {
            self.restore_version(report).await;
        }
        Ok(())
    }

    /// Checks the names of unclaimed blobs. Their bytes are hashed when they are claimed.
    fn check_unclaimed(&self, report: &mut Report) -> Result<(), Interruption> {
        for item in self.items(self.layout.unclaimed(), report)? {
            let digest: Option<Digest> = item.name.parse().ok();
            let is_named_right = digest.is_some_and(|digest| digest.to_string() == item.name);
            if !is_named_right || !item.metadata.is_file() {
                self.stray(&item, report);
            }
        }
        Ok(())
    }

    /// What cannot be read stays where it is: as long as it does, nothing is deleted.
    fn check_holds(&self, folder: &Item, report: &mut Report) {
        match reading(|| hold::unreadable(self.layout)) {
            Ok(paths) => {
                for path in paths {
                    let detail = "nobody can tell what it holds, so nothing is deleted";
                    report.add(self.finding(Code::HoldDamaged, &path, detail, None));
                }
            }
            Err(error) => self.unreadable(&folder.path, &error, report),
        }
    }

    fn check_fan_outs(&self, folder: &Item, report: &mut Report) -> Result<(), Interruption> {
        self.folders(folder.path.clone(), is_fan_out, report).map(drop)
    }

    /// Whether the file says what it has to; moves it away otherwise.
    fn check_version(&self, item: &Item, report: &mut Report) -> bool {
        match reading(|| is_version(&item.path)) {
            Ok(true) => true,
            Ok(false) => {
                let is_wrong = |path: &Path| is_version(path).map(|is_right| !is_right);
                self.displace(Code::VersionWrong, item, "not 1", is_wrong, report);
                false
            }
            Err(error) => {
                self.unreadable(&item.path, &error, report);
                true
            }
        }
    }

    /// The store was opened as one of this format: another process took the file away since.
    async fn restore_version(&self, report: &mut Report) {
        let path = self.layout.version();
        let made = self.publisher.publish(format!("{FORMAT}\n").into(), path.clone()).await;
        if let Err(error) = made {
            self.unreadable(&path, &error, report);
        }
    }
}

/// Whether the file says which format this is.
fn is_version(path: &Path) -> Result<bool, Fault> {
    let right = format!("{FORMAT}\n");
    Ok(scan::content(path, right.len() as u64 + 1)? == Content::Bytes(right.into()))
}
