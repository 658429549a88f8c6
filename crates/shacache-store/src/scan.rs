//! Reading the names in a folder. Owns what may happen meanwhile: there is no such folder, or a
//! signal comes. Must not know what the names mean.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::Fault;

/// The paths of everything in a folder, in no order; none if there is no folder. Blocking.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = loop {
        match fs::read_dir(folder) {
            Ok(entries) => break entries,
            // Unlike `File::open`, this does not go on by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Fault::new("list", folder, error)),
        }
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(Fault::at("list", folder)))
        .collect()
}
