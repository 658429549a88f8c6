//! Where everything lies below the data folder, and how names are spelled there. Owns paths only:
//! it opens nothing. The format is described in `docs/archive-format.md`.

use std::path::{Path, PathBuf};

use shacache_core::digest::Digest;
use shacache_core::entry::EntryId;
use shacache_core::key::KeyFileName;

use crate::timestamp::Timestamp;

/// The archive format that this version reads and writes.
pub(crate) const FORMAT: &str = "1";

/// The paths below one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

impl Layout {
    pub(crate) fn new(data: PathBuf) -> Self {
        Self { data }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.data.join("archive")
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.archive().join("VERSION")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.archive().join("blobs")
    }

    pub(crate) fn entries(&self) -> PathBuf {
        self.archive().join("entries")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.data.join("index")
    }

    /// There exactly while no process has the data folder open and the last one closed it orderly:
    /// the seal of that stop.
    pub(crate) fn clean_marker(&self) -> PathBuf {
        self.index().join("clean")
    }

    /// The same seal, and what it is of.
    pub(crate) fn state_seal(&self) -> PathBuf {
        self.data.join("state/clean")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.index().join("index.sqlite")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.data.join("tmp")
    }

    /// Blobs that no accepted entry names yet.
    pub(crate) fn unclaimed(&self) -> PathBuf {
        self.data.join("unclaimed")
    }

    pub(crate) fn unclaimed_blob(&self, digest: &Digest) -> PathBuf {
        self.unclaimed().join(digest.to_string())
    }

    /// Every folder that exists whenever the data folder is open.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let archive = self.archive();
        vec![
            archive.clone(),
            self.blobs(),
            self.entries(),
            archive.join("tombstones"),
            self.holds(),
            self.audit(),
            self.index(),
            self.data.join("state"),
            self.temporary(),
            self.unclaimed(),
            self.data.join("quarantine"),
        ]
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(fanned_out(digest))
    }

    /// Of a blob, relative to the archive.
    pub(crate) fn blob_path(digest: &Digest) -> String {
        format!("blobs/{}", fanned_out(digest))
    }

    pub(crate) fn blob_tombstones(&self) -> PathBuf {
        self.archive().join("tombstones/blobs")
    }

    pub(crate) fn entry_tombstones(&self) -> PathBuf {
        self.archive().join("tombstones/entries")
    }

    pub(crate) fn blob_tombstone(&self, digest: &Digest) -> PathBuf {
        let mut path = self.blob_tombstones().join(fanned_out(digest));
        path.set_extension("json");
        path
    }

    pub(crate) fn quarantined_blob(&self, digest: &Digest, at: Timestamp) -> PathBuf {
        self.data.join("quarantine/damaged").join(format!("{at}-{digest}"))
    }

    /// Where a check or an import moves something that does not belong into the archive.
    pub(crate) fn quarantined_item(&self, path: &Path, check: Timestamp) -> PathBuf {
        let path = path.strip_prefix(&self.data).unwrap_or(path);
        self.data.join("quarantine/verify").join(check.to_string()).join(path)
    }

    /// Where a publish moves what is no file and stands in a file's place.
    pub(crate) fn displaced(&self, path: &Path, at: Timestamp) -> PathBuf {
        let path = path.strip_prefix(&self.data).unwrap_or(path);
        self.data.join("quarantine/displaced").join(at.to_string()).join(path)
    }

    pub(crate) fn holds(&self) -> PathBuf {
        self.archive().join("holds")
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.archive().join("audit")
    }

    /// The audit log's record of this text, made at this time.
    pub(crate) fn audit_record(&self, at: Timestamp, text: &str) -> PathBuf {
        let name = format!("{at}-{}.json", Digest::of(text.as_bytes()));
        self.audit().join(&name[..4]).join(name)
    }

    /// A path of the archive as the archive's documents spell it.
    pub(crate) fn in_archive(&self, path: &Path) -> String {
        path.strip_prefix(self.archive()).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// A path as reports show it: relative to the data folder.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.data).unwrap_or(path).display().to_string()
    }

    /// Where something is moved to that is taken out of the archive on purpose: copying what is
    /// there back into the archive undoes that.
    pub(crate) fn collected(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix(self.archive()).unwrap_or(path);
        self.data.join("quarantine/collected").join(path)
    }

    /// The progress of checks.
    pub(crate) fn verification(&self) -> PathBuf {
        self.data.join("state/verify.json")
    }

    pub(crate) fn key_entries(&self, key: &KeyFileName) -> PathBuf {
        self.entries().join(key.fan_out()).join(key.name())
    }

    pub(crate) fn key_tombstones(&self, key: &KeyFileName) -> PathBuf {
        self.entry_tombstones().join(key.fan_out()).join(key.name())
    }
}

/// The file in a key's folder that holds the key's bytes when the folder's name is only a digest
/// of them.
pub(crate) const KEY_FILE: &str = "%key";

/// The name of an entry's file, and of an entry's tombstone: a time and an entry. Names sort by
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordName {
    pub(crate) time: Timestamp,
    pub(crate) id: EntryId,
}

impl RecordName {
    /// Reads a file's name; `None` when it is not of this form.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (time, id) = name.strip_suffix(".json")?.split_once('-')?;
        let read = Self { time: time.parse().ok()?, id: id.parse().ok()? };
        (read.file_name() == name).then_some(read)
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}.json", self.time, self.id)
    }
}

/// `<aa>/<bb>/<sha512>`.
fn fanned_out(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("{}/{}/{hex}", &hex[..2], &hex[2..4])
}

/// The digest that a file at `<aa>/<bb>/<name>` claims to hold; `None` when the three do not fit
/// together.
pub(crate) fn digest_of_path(path: &Path) -> Option<Digest> {
    let digest: Digest = path.file_name()?.to_str()?.parse().ok()?;
    path.ends_with(fanned_out(&digest)).then_some(digest)
}
