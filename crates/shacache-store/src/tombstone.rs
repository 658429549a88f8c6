//! Tombstones: files that say who took what out of sight, when and why. Owns their text; what a
//! tombstone hides is decided by the blobs and the directory.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::timestamp::Timestamp;

/// Who deletes, or keeps something from being deleted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deletion {
    /// Who asked for it.
    pub who: String,
    /// The reason given.
    pub why: String,
}

/// The text of a tombstone.
#[derive(Debug, Serialize)]
pub(crate) struct Tombstone<'a> {
    /// What is hidden, relative to the archive.
    path: String,
    when: String,
    who: &'a str,
    why: &'a str,
}

impl<'a> Tombstone<'a> {
    pub(crate) fn new(
        layout: &Layout,
        hidden: &Path,
        when: Timestamp,
        deletion: &'a Deletion,
    ) -> Self {
        Self {
            path: layout.in_archive(hidden),
            when: when.to_string(),
            who: &deletion.who,
            why: &deletion.why,
        }
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        // Four strings always serialise.
        let mut json = serde_json::to_string(self).unwrap_or_default();
        json.push('\n');
        json
    }
}
