//! An export as a folder: the archive's own tree. What is there already stays; what is new gets its
//! name only once its bytes are on disk, many files at the cost of one sync.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Content, Sink};
use crate::archive_file::ArchiveFile;
use crate::archive_tree::ArchiveTree;
use crate::durable::make_folder;
use crate::error::{Fault, StoreError};
use crate::scan;

/// A folder that an export goes to.
#[derive(Debug)]
pub struct ExportFolder {
    root: PathBuf,
    /// Written, and without a name yet.
    waiting: Vec<(PathBuf, PathBuf)>,
    waiting_bytes: u64,
}

impl ExportFolder {
    /// Makes the folder if it is missing. It may hold an export, which is added to.
    ///
    /// # Errors
    /// When there is something else in it, or another format, or it cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(Fault::at("resolve", root))?;
        make_folder(&root)?;
        let parts = root.join(PARTS);
        match fs::remove_dir_all(&parts) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Fault::new("remove", &parts, error).into());
            }
            Ok(()) | Err(_) => {}
        }
        if scan::entries(&root)?.next().is_some() {
            ArchiveTree::open(&root)?;
        }
        make_folder(&parts)?;
        Ok(Self { root, waiting: Vec::new(), waiting_bytes: 0 })
    }

    /// Gives what waits its name.
    fn publish(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.sync()?;
        for (from, to) in self.waiting.drain(..) {
            let folder = to.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder).map_err(Fault::at("mkdir", folder))?;
            fs::rename(&from, &to).map_err(Fault::at("rename", &to))?;
        }
        self.waiting_bytes = 0;
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        let folder = File::open(&self.root).map_err(Fault::at("open", &self.root))?;
        rustix::fs::syncfs(&folder).map_err(Fault::at("syncfs", &self.root))
    }
}

impl Sink for ExportFolder {
    fn has(&self, name: &ArchiveFile, bytes: u64) -> Result<bool, StoreError> {
        let found = scan::status(&self.root.join(name.path()))?;
        Ok(found.is_some_and(|found| found.is_file() && found.len() == bytes))
    }

    fn put(&mut self, name: &ArchiveFile, content: Content<'_>) -> Result<(), StoreError> {
        let to = self.root.join(name.path());
        let from = self.root.join(PARTS).join(self.waiting.len().to_string());
        let mut file = File::create(&from).map_err(Fault::at("create", &from))?;
        io::copy(content.reader, &mut file).map_err(Fault::at("copy", content.from))?;
        file.set_modified(content.modified).map_err(Fault::at("write", &from))?;
        self.waiting.push((from, to));
        self.waiting_bytes += content.bytes;
        if self.waiting.len() >= WAITING_FILES || self.waiting_bytes >= WAITING_BYTES {
            self.publish()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.publish()?;
        let parts = self.root.join(PARTS);
        fs::remove_dir(&parts).map_err(Fault::at("remove", &parts))?;
        Ok(self.sync()?)
    }
}

/// What an interrupted export leaves; the next one removes it.
const PARTS: &str = ".export";
const WAITING_FILES: usize = 1000;
const WAITING_BYTES: u64 = 256 << 20;
