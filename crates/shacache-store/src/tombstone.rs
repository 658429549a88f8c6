//! Tombstones: files that say who took what out of sight, when and why. Owns their text; what a
//! tombstone hides is decided by the blobs and the directory.

use std::path::Path;

use serde::Serialize;

use crate::layout::Layout;
use crate::timestamp::Timestamp;

/// Who deletes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let path = hidden.strip_prefix(layout.archive()).unwrap_or(hidden);
        Self {
            path: path.to_string_lossy().into_owned(),
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
