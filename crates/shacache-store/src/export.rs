//! Copying an archive out while it is in use, each file checked against its name on the way. Owns
//! what makes the copy consistent. Where it goes to is the matter of [`folder`] and of
//! [`tar_file`](crate::tar_file); what an earlier copy has is told by [`earlier`].
//!
//! It reads files and asks nobody: a backup must not depend on a server that is in trouble. Files of
//! an archive never change, so all there is to see to is that an entry does not go without its blob.
//! Blobs are copied before entries, and so a blob may be published after the walk has passed its
//! place, and its entry before the walk comes to that. Whatever changed since the walk began is
//! therefore looked at again when an entry names it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use shacache_core::digest::{Digest, Hasher};
use shacache_core::entry::SignedEntry;

pub use self::earlier::Earlier;
pub use self::folder::ExportFolder;
use crate::archive_file::{ArchiveFile, Kind};
use crate::archive_tree::{ArchiveTree, Part};
use crate::crc32c;
use crate::error::{Fault, StoreError};
use crate::layout::Layout;
use crate::moved::Moved;
use crate::verify::{Code, Finding};

mod earlier;
mod folder;

/// Where an export goes to. What is put comes in the order of [`Part::ALL`].
pub trait Sink {
    /// Whether the file is there already.
    ///
    /// # Errors
    /// When that cannot be told.
    fn has(&self, name: &ArchiveFile, bytes: u64) -> Result<bool, StoreError>;

    /// Adds a file of so many bytes.
    ///
    /// # Errors
    /// When it cannot be written, or read.
    fn put(&mut self, name: &ArchiveFile, file: Content<'_>) -> Result<(), StoreError>;

    /// Ends the export. When this returns it survives a power cut.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(&mut self) -> Result<(), StoreError>;
}

/// A file on its way out.
pub struct Content<'a> {
    pub(crate) bytes: u64,
    pub(crate) modified: SystemTime,
    pub(crate) reader: &'a mut dyn Read,
    pub(crate) from: &'a Path,
}

impl<'a> Content<'a> {
    /// So many bytes of `reader`, which messages call `from`.
    pub fn new(bytes: u64, modified: SystemTime, reader: &'a mut dyn Read, from: &'a Path) -> Self {
        Self { bytes, modified, reader, from }
    }
}

/// The archive of a data folder. Blocking.
///
/// # Errors
/// When there is none, or it is of another format.
pub fn source(data: &Path) -> Result<ArchiveTree, StoreError> {
    ArchiveTree::open(&Layout::new(data.to_owned()).archive())
}

/// Copies `archive` into `sink`, but not what `earlier` has. Every entry that was answered 201
/// before the call is in the copy, and every blob that an entry in the copy names, if the archive
/// has it. `progress` is told what was moved so far. Blocking.
///
/// # Errors
/// When the copy cannot be written. What cannot be read is a finding.
pub fn export(
    archive: &ArchiveTree,
    earlier: &Earlier,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(&Moved),
) -> Result<Moved, StoreError> {
    // The clock that file systems use may be a little behind.
    let began = SystemTime::now() - CLOCK_STEP;
    let moved = Moved::default();
    let mut export =
        Export { tree: archive, earlier, sink, progress, moved, began, looked_at: HashSet::new() };
    export.run()?;
    Ok(export.moved)
}

struct Export<'a> {
    tree: &'a ArchiveTree,
    earlier: &'a Earlier,
    sink: &'a mut dyn Sink,
    progress: &'a mut dyn FnMut(&Moved),
    moved: Moved,
    began: SystemTime,
    /// Blobs that need not be looked at again when an entry names them: those that cannot be opened,
    /// and those that were published since the export began.
    looked_at: HashSet<Digest>,
}

impl Export<'_> {
    fn run(&mut self) -> Result<(), StoreError> {
        // Also when an earlier one has it: every export is an archive of its own.
        self.copy_text(&ArchiveFile::version())?;
        for part in Part::ALL {
            for found in self.tree.walk(part) {
                match found {
                    Ok(name) => self.copy(&name)?,
                    Err(finding) => self.moved.add(finding),
                }
                (self.progress)(&self.moved);
            }
        }
        self.sink.finish()
    }

    fn copy(&mut self, name: &ArchiveFile) -> Result<(), StoreError> {
        match name.kind() {
            Kind::Blob(digest) => self.copy_blob(name, &digest),
            Kind::Entry => self.copy_entry(name),
            _ if self.earlier.has(name)? => {
                self.moved.already += 1;
                Ok(())
            }
            _ => self.copy_text(name).map(drop),
        }
    }

    fn copy_entry(&mut self, name: &ArchiveFile) -> Result<(), StoreError> {
        if self.earlier.has(name)? {
            self.moved.already += 1;
            return Ok(());
        }
        let Some(text) = self.text(name)? else { return Ok(()) };
        if let Ok(entry) = SignedEntry::from_body(&text.bytes) {
            self.bring_blob(entry.digest())?;
        }
        self.put_text(name, &text)
    }

    /// Copies a blob that the walk over the blobs may have missed.
    fn bring_blob(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let blob = ArchiveFile::blob(digest);
        if self.looked_at.contains(digest) {
            return Ok(());
        }
        match self.open(&blob) {
            Ok(None) => Ok(()),
            Ok(Some(file)) if changed(&file, &self.tree.path(&blob))? < self.began => Ok(()),
            Ok(Some(_)) | Err(_) => self.copy_blob(&blob, digest),
        }
    }

    fn copy_blob(&mut self, name: &ArchiveFile, digest: &Digest) -> Result<(), StoreError> {
        if self.earlier.has(name)? {
            self.moved.already += 1;
            return Ok(());
        }
        let path = self.tree.path(name);
        let mut file = match self.open(name) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            Err(finding) => {
                self.looked_at.insert(*digest);
                self.moved.add(finding);
                return Ok(());
            }
        };
        let found = file.metadata().map_err(Fault::at("stat", &path))?;
        if changed(&file, &path)? >= self.began {
            self.looked_at.insert(*digest);
        }
        if self.sink.has(name, found.len())? {
            self.moved.already += 1;
            return Ok(());
        }
        // Read twice, the second time from memory mostly: a file may be removed from a folder again,
        // but not from a stream.
        let crc = match checked(&mut file, digest) {
            Ok(Some(crc)) => crc,
            Ok(None) => {
                let detail = "the bytes have another digest".to_owned();
                self.moved.add(self.finding(Code::BlobDamaged, name, detail));
                return Ok(());
            }
            Err(error) => {
                self.moved.add(self.finding(Code::Unreadable, name, error.to_string()));
                return Ok(());
            }
        };
        std::io::Seek::rewind(&mut file).map_err(Fault::at("seek", &path))?;
        let mut reader = Same { file, crc: 0, expected: crc };
        let modified = found.modified().map_err(Fault::at("stat", &path))?;
        let content = Content::new(found.len(), modified, &mut reader, &path);
        self.sink.put(name, content)?;
        self.moved.count(name.kind(), found.len());
        Ok(())
    }

    /// Copies a small file, if it is whole.
    fn copy_text(&mut self, name: &ArchiveFile) -> Result<(), StoreError> {
        match self.text(name)? {
            Some(text) => self.put_text(name, &text),
            None => Ok(()),
        }
    }

    /// The content of a small file; `None` when it is left behind.
    fn text(&mut self, name: &ArchiveFile) -> Result<Option<Text>, StoreError> {
        let file = match self.open(name) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(finding) => {
                self.moved.add(finding);
                return Ok(None);
            }
        };
        let found = file.metadata().map_err(Fault::at("stat", &self.tree.path(name)))?;
        let mut bytes = Vec::new();
        if let Err(error) = file.take(ArchiveFile::MAX_TEXT_BYTES + 1).read_to_end(&mut bytes) {
            self.moved.add(self.finding(Code::Unreadable, name, error.to_string()));
            return Ok(None);
        }
        if let Some((code, detail)) = name.damage(&bytes) {
            self.moved.add(self.finding(code, name, detail));
            return Ok(None);
        }
        let modified = found.modified().map_err(Fault::at("stat", &self.tree.path(name)))?;
        Ok(Some(Text { bytes, modified }))
    }

    fn put_text(&mut self, name: &ArchiveFile, text: &Text) -> Result<(), StoreError> {
        let bytes = text.bytes.len() as u64;
        if self.sink.has(name, bytes)? {
            self.moved.already += 1;
            return Ok(());
        }
        let mut reader = Cursor::new(&text.bytes);
        let from = self.tree.path(name);
        let content = Content::new(bytes, text.modified, &mut reader, &from);
        self.sink.put(name, content)?;
        self.moved.count(name.kind(), bytes);
        Ok(())
    }

    /// A file of the archive; `None` when it is gone meanwhile.
    fn open(&self, name: &ArchiveFile) -> Result<Option<File>, Finding> {
        let unreadable = |error: StoreError| self.finding(Code::Unreadable, name, one_line(&error));
        self.tree.file(name).map_err(unreadable)
    }

    fn finding(&self, code: Code, name: &ArchiveFile, detail: String) -> Finding {
        let path = self.tree.path(name).display().to_string();
        Finding { code, path, detail, quarantine: None }
    }
}

/// A small file that was read.
struct Text {
    bytes: Vec<u8>,
    modified: SystemTime,
}

/// Reads a file that was checked before, and fails at its end if it is not the same any more.
struct Same {
    file: File,
    crc: u32,
    expected: u32,
}

impl Read for Same {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.crc = crc32c::append(self.crc, &buffer[..length]);
        if length == 0 && !buffer.is_empty() && self.crc != self.expected {
            return Err(std::io::Error::other("the disk gave other bytes the second time"));
        }
        Ok(length)
    }
}

/// The CRC-32C of a file with this digest; `None` when it has another.
fn checked(file: &mut File, digest: &Digest) -> std::io::Result<Option<u32>> {
    let (mut hasher, mut crc) = (Hasher::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                hasher.update(&buffer[..length]);
                crc = crc32c::append(crc, &buffer[..length]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((hasher.finish() == *digest).then_some(crc))
}

/// When anything about a file changed: written, or moved to where it is.
fn changed(file: &File, path: &Path) -> Result<SystemTime, Fault> {
    use std::os::unix::fs::MetadataExt;
    let found = file.metadata().map_err(Fault::at("stat", path))?;
    let seconds = u64::try_from(found.ctime()).unwrap_or(0);
    let nanoseconds = u32::try_from(found.ctime_nsec()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}

fn one_line(error: &StoreError) -> String {
    crate::error::Chain(error).to_string()
}

const CLOCK_STEP: Duration = Duration::from_secs(2);
const BUFFER_BYTES: usize = 256 << 10;
