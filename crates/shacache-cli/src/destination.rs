//! Where bytes are wanted, as `--output` says it: what each place needs is the matter of the commands.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::Context as _;

/// A place for the bytes of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    /// `-`.
    Stdout,
    /// A device or pipe, which is written as it is: a rename would put a file in its place.
    Device(&'a Path),
    /// A file, which gets its name when it is complete.
    File(&'a Path),
}

impl<'a> Destination<'a> {
    /// Tells them apart by what is there now.
    pub(crate) fn of(path: &'a Path) -> Self {
        if path == Path::new("-") {
            Self::Stdout
        } else if path.exists() && !path.is_file() {
            Self::Device(path)
        } else {
            Self::File(path)
        }
    }

    /// Whether the bytes take the place of a report.
    pub(crate) fn is_stdout(self) -> bool {
        self == Self::Stdout
    }
}

/// Opens a device to be written.
pub(crate) fn open_device(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}
