//! What earlier exports have, so that the next one need not. An archive's files never change: to have
//! the name is to have the file.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use shacache_core::digest::Digest;

use crate::archive_file::ArchiveFile;
use crate::archive_tree::ArchiveTree;
use crate::error::{Fault, StoreError};
use crate::scan;
use crate::tar_file;

/// Earlier exports; at first none.
#[derive(Debug, Default)]
pub struct Earlier {
    folders: Vec<ArchiveTree>,
    /// Half of the SHA-512 of each path in a file: as good as the path, and shorter.
    paths: HashSet<[u8; 32]>,
}

impl Earlier {
    /// Adds an export, a folder or a file. Blocking.
    ///
    /// # Errors
    /// When it is none, or not complete.
    pub fn add(&mut self, export: &Path) -> Result<(), StoreError> {
        if export.is_dir() {
            self.folders.push(ArchiveTree::open(export)?);
            return Ok(());
        }
        let file = File::open(export).map_err(Fault::at("open", export))?;
        tar_file::read(export, BufReader::with_capacity(BUFFER_BYTES, file), |member| {
            self.paths.extend(member.name().map(|name| half(name.path())));
            Ok(())
        })
    }

    pub(super) fn has(&self, name: &ArchiveFile) -> Result<bool, Fault> {
        if self.paths.contains(&half(name.path())) {
            return Ok(true);
        }
        for folder in &self.folders {
            if scan::status(&folder.path(name))?.is_some_and(|found| found.is_file()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn half(path: &str) -> [u8; 32] {
    let mut half = [0; 32];
    half.copy_from_slice(&Digest::of(path.as_bytes()).as_bytes()[..32]);
    half
}

const BUFFER_BYTES: usize = 256 << 10;
