//! What can go wrong in the store. Causes are kept; what they mean to a client is decided by the
//! server. [`Fault`] is the inner form: a failed file operation, not yet judged.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use shacache_core::digest::Digest;

use crate::hold::HoldName;

/// A failure of the store. A miss is not one.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bytes are not those that were announced.
    #[error("the bytes have digest {found}, not {expected}")]
    WrongDigest {
        /// What was announced.
        expected: Box<Digest>,
        /// What the bytes have.
        found: Box<Digest>,
    },
    /// There are more or fewer bytes than were announced.
    #[error("{found} bytes came where {expected} were announced")]
    WrongLength {
        /// What was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The free space would fall below the floor, or the disk said so itself.
    #[error("no space left for this write")]
    NoSpace,
    /// The blob is banned.
    #[error("blob {0} is banned")]
    Banned(Box<Digest>),
    /// The key has as many entries, or as many bytes of them, as it may have.
    #[error("the key is full: {entries} entries of {bytes} bytes together")]
    KeyFull {
        /// Entries under it.
        entries: usize,
        /// Bytes of these.
        bytes: u64,
    },
    /// The blob is larger than what is taken without credentials.
    #[error(
        "the body is larger than {limit_bytes} bytes, the most that is taken without credentials"
    )]
    UnclaimedTooLarge {
        /// The most that is taken.
        limit_bytes: u64,
    },
    /// Too much of this kind of work is under way, or file descriptors ran out.
    #[error("busy; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// An earlier failure made the store refuse writes until restart.
    #[error("writes are refused since an earlier failure: {reason}")]
    ReadOnly {
        /// What failed.
        reason: String,
    },
    /// The stored bytes are not what they were when published.
    #[error("blob {0} is damaged")]
    Damaged(Box<Digest>),
    /// A file operation failed.
    #[error("{op} {}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The index failed.
    #[error("index")]
    Index(#[from] rusqlite::Error),
    /// Another process has the data folder open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The archive's format is not one that this version reads.
    #[error("{}: archive format {found:?}, this version reads 1", path.display())]
    Format {
        /// The VERSION file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// There is no archive in the folder.
    #[error("{} is no data folder: there is no archive in it", .0.display())]
    NoArchive(PathBuf),
    /// A file is no export, or not a complete one.
    #[error("{} is no complete export", path.display())]
    NoExport {
        /// The file.
        path: PathBuf,
        /// Where it fails.
        source: io::Error,
    },
    /// Two folders of the data folder are on different file systems, so that nothing can be
    /// renamed from one to the other.
    #[error("{} is on another file system than {}", .0.display(), .1.display())]
    TwoFileSystems(PathBuf, PathBuf),
    /// A folder of the data folder is a link. The data folder itself may be one.
    #[error("{} is a link, and none is followed below the data folder", .0.display())]
    Link(PathBuf),
    /// A hold keeps it from being deleted or banned.
    #[error("{held} is held by {hold}")]
    Held {
        /// What was to go.
        held: String,
        /// The hold that keeps it.
        hold: HoldName,
    },
    /// Most entries that are old enough to be collected if their blob is missing lack it.
    #[error(
        "nothing is collected: {missing} of {entries} entries name blobs that are not here, as if \
         they were kept elsewhere or a part of the archive were away (--most-entries collects such \
         entries all the same)"
    )]
    MostBlobsMissing {
        /// How many lack it.
        missing: u64,
        /// How many there are.
        entries: u64,
    },
    /// Something in the archive cannot be read, and as long as it is not known what it says nothing
    /// is deleted.
    #[error(
        "{0} cannot be read, and it may say that something is needed: nothing is deleted before \
         `shacached verify` has seen to it"
    )]
    Unsure(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Shows an error with everything that caused it, in one line.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A failed file operation. Cloneable, because one failure can fail a whole group.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    op: &'static str,
    path: PathBuf,
    source: Arc<io::Error>,
}

impl Fault {
    pub(crate) fn new(op: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { op, path: path.to_owned(), source: Arc::new(source.into()) }
    }

    /// For `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(op: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |source| Self::new(op, path, source)
    }

    /// That what failed so could not be undone either.
    pub(crate) fn not_undone(
        &self,
        op: &'static str,
        path: &Path,
        error: &impl fmt::Display,
    ) -> Self {
        // Without the number of an error: it is none of those that pass.
        Self::new(op, path, io::Error::other(format!("{error}; to be done because of: {self}")))
    }

    /// Whether the disk can no longer be trusted: a sync failed for another reason than a full
    /// disk, the device or its file system said so itself, or something is left that was to be
    /// undone.
    pub(crate) fn condemns_the_disk(&self) -> bool {
        match Errno::from_io_error(&self.source) {
            _ if UNDOING.contains(&self.op) => true,
            Some(errno) if SPACE.contains(&errno) => false,
            // Also one for want of memory: what was to be written may be lost.
            _ if SYNCS.contains(&self.op) => true,
            Some(errno) => DISK.contains(&errno),
            None => false,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match Errno::from_io_error(&fault.source) {
            Some(errno) if SPACE.contains(&errno) => Self::NoSpace,
            Some(errno) if DESCRIPTORS.contains(&errno) => {
                Self::Busy { retry_after: Duration::from_secs(1) }
            }
            _ => Self::Io { op: fault.op, path: fault.path, source: fault.source },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.op, self.path.display(), self.source)
    }
}

const SPACE: [Errno; 2] = [Errno::NOSPC, Errno::DQUOT];
const DESCRIPTORS: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
const DISK: [Errno; 4] = [Errno::IO, Errno::ROFS, Errno::NXIO, Errno::NODEV];
const SYNCS: [&str; 2] = ["fsync", "syncfs"];
/// To remove what was not published.
pub(crate) const TAKE_BACK: &str = "take back";
/// To give a file that was not published its old name.
pub(crate) const MOVE_BACK: &str = "move back";
const UNDOING: [&str; 2] = [TAKE_BACK, MOVE_BACK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_that_failed_condemns_the_disk_unless_that_is_full() {
        let condemns =
            |op, errno: Errno| Fault::new(op, Path::new("file"), errno).condemns_the_disk();
        for op in SYNCS {
            assert!(condemns(op, Errno::IO) && condemns(op, Errno::NOMEM), "{op}");
            assert!(!condemns(op, Errno::NOSPC) && !condemns(op, Errno::DQUOT), "{op}");
        }
        assert!(condemns("write", Errno::IO));
        assert!(!condemns("open", Errno::NOMEM) && !condemns("open", Errno::MFILE));
    }

    #[test]
    fn what_could_not_be_undone_condemns_the_disk_whatever_the_reason() {
        let path = Path::new("file");
        let full = Fault::new("fsync", path, Errno::NOSPC);
        for op in UNDOING {
            let fault = full.not_undone(op, path, &Errno::MFILE);
            assert!(fault.condemns_the_disk());
            let text = fault.to_string();
            assert!(text.starts_with(op) && text.contains(&full.to_string()), "{text}");
            assert!(matches!(StoreError::from(fault), StoreError::Io { .. }));
        }
    }

    #[test]
    fn a_refusal_to_collect_is_one_plain_line() {
        let text = StoreError::MostBlobsMissing { missing: 2, entries: 3 }.to_string();
        assert!(text.contains("2 of 3 entries"), "{text}");
        assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
    }
}
