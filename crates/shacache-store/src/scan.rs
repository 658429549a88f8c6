//! Looking at what lies on disk without being held up by it: the names in a folder, the content of a
//! small file. Owns what may happen meanwhile: nothing is there, a signal comes, or something else
//! than a file is there, a pipe perhaps. Must not know what names and contents mean.

use std::fs::{self, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
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
    match open(path)? {
        Opened::File(file) => Ok(Some(file)),
        Opened::Missing | Opened::NotAFile => Ok(None),
    }
}

/// Reads a file, at most so many bytes of it. Blocking, but never for long.
pub(crate) fn content(path: &Path, limit_bytes: u64) -> Result<Content, Fault> {
    let file = match open(path)? {
        Opened::Missing => return Ok(Content::Missing),
        Opened::NotAFile => return Ok(Content::NotAFile),
        Opened::File(file) => file,
    };
    let mut bytes = Vec::new();
    file.take(limit_bytes).read_to_end(&mut bytes).map_err(Fault::at("read", path))?;
    Ok(Content::Bytes(bytes))
}

/// What is under a name, opened as far as it is a file.
#[derive(Debug)]
enum Opened {
    Missing,
    NotAFile,
    File(File),
}

fn open(path: &Path) -> Result<Opened, Fault> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(Opened::Missing),
        // A link; a socket.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::NXIO)) => {
            return Ok(Opened::NotAFile);
        }
        Err(error) => return Err(Fault::new("open", path, error)),
    };
    let is_file = file.metadata().map_err(Fault::at("stat", path))?.is_file();
    Ok(if is_file { Opened::File(file) } else { Opened::NotAFile })
}

/// Whether the error says that nothing is there.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

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
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).expect("made");
        assert_eq!(content(&at("file"), 9).expect("read"), Content::Bytes(b"12345".into()));
        assert_eq!(content(&at("file"), 3).expect("read"), Content::Bytes(b"123".into()));
        for name in ["folder", "link", "socket", "pipe"] {
            assert_eq!(content(&at(name), 9).expect(name), Content::NotAFile, "{name}");
        }
        for name in ["none", "file/none"] {
            assert_eq!(content(&at(name), 9).expect(name), Content::Missing, "{name}");
            assert_eq!(entries(&at(name)).expect(name).count(), 0, "{name}");
        }
    }
}
