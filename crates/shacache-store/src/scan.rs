//! Looking at what lies on disk without being held up by it: the names in a folder, the content of a
//! small file. Owns what may happen meanwhile: nothing is there, a signal comes, or something else
//! than a file is there, a pipe perhaps. Must not know what names and contents mean.

use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::error::Fault;

/// Everything in a folder, in no order; nothing if there is no folder. Blocking.
pub(crate) fn entries(
    folder: &Path,
) -> Result<impl Iterator<Item = Result<DirEntry, Fault>>, Fault> {
    let entries = loop {
        match fs::read_dir(folder) {
            Ok(entries) => break Some(entries),
            // Unlike `File::open`, this does not go on by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_absent(&error) => break None,
            Err(error) => return Err(Fault::new("list", folder, error)),
        }
    };
    Ok(entries.into_iter().flatten().map(|entry| entry.map_err(Fault::at("list", folder))))
}

/// The names in an open folder, in no order. One that is not UTF-8 is none of ours. `path` is for the
/// error. Blocking.
pub(crate) fn names(folder: &File, path: &Path) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); NAMES_BUFFER_BYTES];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            // A signal came; nothing was skipped.
            Err(Errno::INTR) => continue,
            entry => entry.map_err(Fault::at("list", path))?,
        };
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

/// Whether this is a folder, and no link to one. Blocking.
pub(crate) fn is_folder(entry: &DirEntry) -> Result<bool, Fault> {
    match entry.file_type() {
        Ok(kind) => Ok(kind.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Fault::new("stat", &entry.path(), error)),
    }
}

/// What is under a name itself, link or not; `None` for nothing. Blocking.
pub(crate) fn status(path: &Path) -> Result<Option<Metadata>, Fault> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Fault::new("stat", path, error)),
    }
}

/// What is under a name, as far as it is a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Missing,
    /// A folder, a link, a pipe or the like.
    NotAFile,
    Bytes(Vec<u8>),
}

/// Opens a file; `None` when nothing is there, or something else. Blocking, but never for long.
pub(crate) fn file(path: &Path) -> Result<Option<File>, Fault> {
    match open(CWD, path, path)? {
        Opened::File { file, .. } => Ok(Some(file)),
        Opened::Missing | Opened::NotAFile => Ok(None),
    }
}

/// Reads a file, at most so many bytes of it. Blocking, but never for long.
pub(crate) fn content(path: &Path, limit_bytes: u64) -> Result<Content, Fault> {
    content_of(open(CWD, path, path)?, path, limit_bytes)
}

/// As [`content`], of some names in an open folder; `path` is for errors. All of them are open at
/// once, and the disk is asked for all before the first is waited for.
pub(crate) fn contents_in(
    folder: &File,
    names: &[String],
    path: &Path,
    limit_bytes: u64,
) -> Result<Vec<Content>, Fault> {
    let mut opened = Vec::with_capacity(names.len());
    for name in names {
        opened.push(open(folder, Path::new(name), &path.join(name))?);
    }
    for file in &opened {
        if let (Opened::File { file, .. }, 2..) = (file, names.len()) {
            // Who does not take the advice reads one after the other.
            let _ = rustix::fs::fadvise(file, 0, None, Advice::WillNeed);
        }
    }
    let contents = opened.into_iter().zip(names);
    contents.map(|(opened, name)| content_of(opened, &path.join(name), limit_bytes)).collect()
}

fn content_of(opened: Opened, path: &Path, limit_bytes: u64) -> Result<Content, Fault> {
    let (file, size) = match opened {
        Opened::Missing => return Ok(Content::Missing),
        Opened::NotAFile => return Ok(Content::NotAFile),
        Opened::File { file, size } => (file, size),
    };
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    read(&file, size, limit).map(Content::Bytes).map_err(Fault::at("read", path))
}

/// Reads a file that had `size` bytes a moment ago, at most `limit` of them. One call is the rule: the
/// end is known when it is where it was said to be.
fn read(file: &File, size: usize, limit: usize) -> Result<Vec<u8>, Errno> {
    // One more, so that the end is seen.
    let mut bytes = Vec::with_capacity(size.min(limit) + 1);
    loop {
        let room = bytes.capacity() - bytes.len();
        let more =
            rustix::io::retry_on_intr(|| rustix::io::read(file, spare_capacity(&mut bytes)))?;
        if bytes.len() >= limit {
            bytes.truncate(limit);
            return Ok(bytes);
        }
        if more == 0 || (more < room && bytes.len() == size) {
            return Ok(bytes);
        }
        if more == room {
            bytes.reserve(READ_BYTES);
        }
    }
}

/// What is under a name, opened as far as it is a file.
#[derive(Debug)]
enum Opened {
    Missing,
    NotAFile,
    File { file: File, size: u64 },
}

fn open(folder: impl AsFd, name: &Path, path: &Path) -> Result<Opened, Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::io::retry_on_intr(|| {
        rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty())
    });
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Opened::Missing),
        // A link; a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Opened::NotAFile),
        Err(error) => return Err(Fault::new("open", path, error)),
    };
    let found = file.metadata().map_err(Fault::at("stat", path))?;
    Ok(match found.is_file() {
        true => Opened::File { file, size: found.len() },
        false => Opened::NotAFile,
    })
}

/// Whether the error says that nothing is there.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A hundred names of entries.
const NAMES_BUFFER_BYTES: usize = 16 * 1024;
/// For a file that has more than it had.
const READ_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_files_have_content_and_nothing_blocks() {
        let folder = tempfile::tempdir().expect("made");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "12345").expect("written");
        fs::create_dir(at("folder")).expect("made");
        symlink(at("file"), at("link")).expect("linked");
        let _socket = UnixListener::bind(at("socket")).expect("bound");
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RUSR).expect("made");
        assert_eq!(content(&at("file"), 9).expect("read"), Content::Bytes(b"12345".into()));
        assert_eq!(content(&at("file"), 3).expect("read"), Content::Bytes(b"123".into()));
        for name in ["folder", "link", "socket", "pipe"] {
            assert_eq!(content(&at(name), 9).expect(name), Content::NotAFile, "{name}");
        }
        let open = File::open(folder.path()).expect("opened");
        let mut found = names(&open, folder.path()).expect("listed");
        found.sort_unstable();
        assert_eq!(found, ["file", "folder", "link", "pipe", "socket"]);
        for name in ["none", "file/none"] {
            assert_eq!(content(&at(name), 9).expect(name), Content::Missing, "{name}");
            assert_eq!(entries(&at(name)).expect(name).count(), 0, "{name}");
        }
    }
}
