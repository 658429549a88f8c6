//! What came of moving an archive's files out or in: how many there were, and what was left behind
//! because it is not what its name says. Must not know where they came from or went to.

use serde::{Deserialize, Serialize};

use crate::archive_file::Kind;
use crate::verify::Finding;

/// The result of an export or import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moved {
    /// Blobs moved.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Entries moved.
    pub entries: u64,
    /// Tombstones and other small files moved.
    pub others: u64,
    /// Files that were there before.
    pub already: u64,
    /// How many files are damaged or out of place, and left behind.
    pub damage: u64,
    /// How often something else is worth knowing.
    pub notes: u64,
    /// What was found, as far as [`Moved::LISTED`] goes.
    pub findings: Vec<Finding>,
}

impl Moved {
    /// How many findings are listed; the counts go on.
    pub const LISTED: usize = 10_000;

    /// Counts a file that was moved.
    pub fn count(&mut self, kind: Kind, bytes: u64) {
        match kind {
            Kind::Blob(_) => {
                self.blobs += 1;
                self.bytes += bytes;
            }
            Kind::Entry => self.entries += 1,
            Kind::Version => {}
            Kind::Ban(_) | Kind::Tombstone | Kind::KeyFile | Kind::Hold | Kind::Audit => {
                self.others += 1;
            }
        }
    }

    /// Adds what was found.
    pub fn add(&mut self, finding: Finding) {
        if finding.code.is_damage() {
            self.damage += 1;
        } else {
            self.notes += 1;
        }
        if self.findings.len() < Self::LISTED {
            self.findings.push(finding);
        }
    }
}
