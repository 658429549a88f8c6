//! Walking over an archive that nobody has to have open: the one of a data folder, also while a
//! server writes to it, or the folder of an export. Owns the order of parts and the refusal of
//! another format; follows no link. Changes nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::vec;

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::archive_file::ArchiveFile;
use crate::beneath::Beneath;
use crate::error::{Fault, StoreError};
use crate::layout::FORMAT;
use crate::scan::{self, Content};
use crate::verify::{Code, Finding};

/// An archive as a tree of files.
#[derive(Debug)]
pub struct ArchiveTree {
    root: Beneath,
}

/// A share of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is held.
    Holds,
    /// The operators' diary.
    Audit,
    /// Tombstones of blobs.
    Bans,
    /// Tombstones of entries.
    Tombstones,
    /// Blobs.
    Blobs,
    /// Entries, and the files that name long keys.
    Entries,
}

impl Part {
    /// All of them, in the order in which they go into an archive: what hides before what is hidden,
    /// and what is named before what names it.
    pub const ALL: [Self; 6] =
        [Self::Holds, Self::Audit, Self::Bans, Self::Tombstones, Self::Blobs, Self::Entries];

    fn path(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Audit => "audit",
            Self::Bans => "tombstones/blobs",
            Self::Tombstones => "tombstones/entries",
            Self::Blobs => "blobs",
            Self::Entries => "entries",
        }
    }
}

impl ArchiveTree {
    /// Opens a folder with a VERSION in it. Blocking.
    ///
    /// # Errors
    /// [`StoreError::NoArchive`] when there is none, [`StoreError::Format`] when it is another.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("VERSION");
        let found = match scan::content(&path, 64)? {
            Content::Missing => return Err(StoreError::NoArchive(folder.to_owned())),
            Content::NotAFile => "not a file".to_owned(),
            Content::Bytes(text) => String::from_utf8_lossy(&text).trim_end().to_owned(),
        };
        if found != FORMAT {
            return Err(StoreError::Format { path, found });
        }
        Ok(Self { root: Beneath::open(folder)? })
    }

    /// The files of one part in the order of their names, read as they are asked for, and whatever
    /// else lies there. Blocking.
    #[must_use]
    pub fn walk(&self, part: Part) -> Walk<'_> {
        Walk { tree: self, waiting: vec![vec![self.root.path().join(part.path())].into_iter()] }
    }

    /// Opens a file; `None` when it is gone, or no file. Blocking.
    ///
    /// # Errors
    /// When it cannot be opened, or a link leads there.
    pub fn file(&self, name: &ArchiveFile) -> Result<Option<File>, StoreError> {
        let path = self.path(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match self.root.get(&path, flags, ResolveFlags::empty()) {
            Ok(file) => {
                let found = file.metadata().map_err(Fault::at("stat", &path))?;
                Ok(found.is_file().then_some(file))
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.root.fault("open", &path, error).into()),
        }
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, name: &ArchiveFile) -> PathBuf {
        self.root.path().join(name.path())
    }

    fn look(&self, path: &Path) -> Result<Option<Looked>, Fault> {
        let Some(found) = scan::status(path)? else {
            return Ok(None);
        };
        if found.is_dir() {
            let mut below: Vec<_> = scan::entries(path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, Fault>>()?;
            below.sort_unstable();
            return Ok(Some(Looked::Folder(below)));
        }
        let relative = path.strip_prefix(self.root.path()).ok().and_then(Path::to_str);
        let name = relative.and_then(ArchiveFile::parse);
        Ok(Some(match name {
            Some(name) if found.is_file() => Looked::File(name),
            Some(_) => Looked::Else(Code::NotAFile, "not a file"),
            None => Looked::Else(Code::Stray, "the format knows no such name"),
        }))
    }
}

/// What is under a path.
enum Looked {
    Folder(Vec<PathBuf>),
    File(ArchiveFile),
    Else(Code, &'static str),
}

/// The files of one part.
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a ArchiveTree,
    /// Of each folder on the way, what is still to be looked at.
    waiting: Vec<vec::IntoIter<PathBuf>>,
}

impl Iterator for Walk<'_> {
    type Item = Result<ArchiveFile, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(path) = self.waiting.last_mut()?.next() else {
                self.waiting.pop();
                continue;
            };
            let finding = |code, detail| {
                let path = path.display().to_string();
                Finding { code, path, detail, quarantine: None }
            };
            match self.tree.look(&path) {
                Ok(None) => {}
                Ok(Some(Looked::Folder(below))) => self.waiting.push(below.into_iter()),
                Ok(Some(Looked::File(name))) => return Some(Ok(name)),
                Ok(Some(Looked::Else(code, detail))) => {
                    return Some(Err(finding(code, detail.to_owned())));
                }
                Err(fault) => return Some(Err(finding(Code::Unreadable, fault.to_string()))),
            }
        }
    }
}
