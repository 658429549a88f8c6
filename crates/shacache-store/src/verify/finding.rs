//! What a check can find: a closed set of codes, stable for scripts, and what was done about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Where, relative to the data folder.
    pub path: String,
    /// More about it, in one line.
    pub detail: String,
    /// Where it was moved to, relative to the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A blob's bytes are not those that its name says.
    BlobDamaged,
    /// An entry's file holds no entry, or another one than its name says.
    EntryDamaged,
    /// A tombstone cannot be read.
    TombstoneDamaged,
    /// Something among the holds is none, or one that cannot be read.
    HoldDamaged,
    /// A folder or file has a name that belongs elsewhere.
    Misplaced,
    /// A link, a folder or the like stands where a file should.
    NotAFile,
    /// The file cannot be read.
    Unreadable,
    /// The owner of a file may not read it, or that of a folder not use it.
    WrongMode,
    /// Something that the format does not know.
    Stray,
    /// A blob is gone that was here: the index lists it.
    BlobLost,
    /// The file that says which long key a folder is of is missing or wrong.
    KeyDamaged,
    /// The archive's VERSION is missing or says something else.
    VersionWrong,
    /// An entry names a blob that is not there. Not damage: entries may come first.
    BlobMissing,
    /// The index had wrong checksums for a blob, or is damaged. Not damage: it is made anew.
    IndexWrong,
    /// An import leaves it out, because it is banned or was deleted here. Not damage.
    Unwanted,
    /// An import leaves it out, because the key has as much as it may have.
    KeyFull,
    /// An import leaves it out, because there is no room for it.
    NoSpace,
    /// An import was told of a key that has no entries where it comes from. Not damage.
    KeyMissing,
}

impl Code {
    /// The code's spelling in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobDamaged => "blob-damaged",
            Self::EntryDamaged => "entry-damaged",
            Self::TombstoneDamaged => "tombstone-damaged",
            Self::HoldDamaged => "hold-damaged",
            Self::Misplaced => "misplaced",
            Self::NotAFile => "not-a-file",
            Self::Unreadable => "unreadable",
            Self::WrongMode => "wrong-mode",
            Self::Stray => "stray",
            Self::BlobLost => "blob-lost",
            Self::KeyDamaged => "key-damaged",
            Self::VersionWrong => "version-wrong",
            Self::BlobMissing => "blob-missing",
            Self::IndexWrong => "index-wrong",
            Self::Unwanted => "unwanted",
            Self::KeyFull => "key-full",
            Self::NoSpace => "no-space",
            Self::KeyMissing => "key-missing",
        }
    }

    /// Whether something of the archive is damaged or out of place.
    #[must_use]
    pub fn is_damage(self) -> bool {
        match self {
            Self::BlobMissing | Self::IndexWrong | Self::Unwanted | Self::KeyMissing => false,
            Self::BlobDamaged
            | Self::EntryDamaged
            | Self::TombstoneDamaged
            | Self::HoldDamaged
            | Self::Misplaced
            | Self::NotAFile
            | Self::Unreadable
            | Self::WrongMode
            | Self::Stray
            | Self::BlobLost
            | Self::KeyDamaged
            | Self::VersionWrong
            | Self::KeyFull
            | Self::NoSpace => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code.as_str(), self.path, self.detail)?;
        match &self.quarantine {
            Some(place) => write!(f, "; moved to {place}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_spelled_the_same_for_people_and_for_scripts() {
        for code in [Code::BlobDamaged, Code::NotAFile, Code::VersionWrong, Code::IndexWrong] {
            let json = serde_json::to_string(&code).expect("a name");
            assert_eq!(json, format!("\"{}\"", code.as_str()));
        }
    }
}
