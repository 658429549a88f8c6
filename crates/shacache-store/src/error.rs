//! What can go wrong in the store. Causes are kept; what they mean to a client is decided elsewhere.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use shacache_core::digest::Digest;

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
    /// Too much of this kind of work is under way.
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
    #[error("{op} {}: {source}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index failed.
    #[error("index: {0}")]
    Index(#[from] rusqlite::Error),
    /// Another process has the data folder open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The archive's format is not one that this version reads.
    #[error("{}: archive format {found}, this version reads 1", path.display())]
    Format {
        /// The VERSION file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
