//! An export as one file or stream, in the format that tar(1) reads. Owns what tells a complete one
//! from one that was cut off. Nothing is ever unpacked to where a member's name leads.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tar::{Archive, Builder, EntryType, Header};

use crate::archive_file::{ArchiveFile, Kind};
use crate::durable::{sync_file, sync_folder};
use crate::error::{Fault, StoreError};
use crate::export::{Content, Sink};

/// Writes an export. Dropped without [`Sink::finish`], it leaves no file, and a stream without an
/// end.
pub struct TarWriter {
    builder: Builder<Stream>,
    /// Whether the stream takes any more.
    open: Rc<Cell<bool>>,
    /// What messages call it.
    path: PathBuf,
    /// A file that gets its name once it is complete.
    part: Option<(File, PathBuf)>,
}

/// A member of an export that is being read.
pub struct Member<'a> {
    path: String,
    is_file: bool,
    bytes: u64,
    reader: &'a mut dyn Read,
}

impl TarWriter {
    /// Writes to a file, which replaces an older one of this name when it is complete.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(Fault::at("create", &part))?;
        let writer = file.try_clone().map_err(Fault::at("create", &part))?;
        let writer = io::BufWriter::with_capacity(BUFFER, writer);
        let mut writer = Self::to_stream(path, Box::new(writer));
        writer.part = Some((file, part));
        Ok(writer)
    }

    /// Writes to a stream that messages call `name`.
    #[must_use]
    pub fn to_stream(name: &Path, stream: Box<dyn Write>) -> Self {
        let open = Rc::new(Cell::new(true));
        let stream = Stream { stream, open: Rc::clone(&open) };
        Self { builder: Builder::new(stream), open, path: name.to_owned(), part: None }
    }
}

impl Sink for TarWriter {
    fn has(&self, _: &ArchiveFile, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn put(&mut self, name: &ArchiveFile, content: Content<'_>) -> Result<(), StoreError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.bytes);
        header.set_mode(MODE);
        header.set_mtime(seconds(content.modified));
        self.builder
            .append_data(&mut header, name.path(), content.reader)
            .map_err(Fault::at("copy", content.from))
            .map_err(StoreError::from)
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.builder.finish().map_err(Fault::at("write", &self.path))?;
        self.builder.get_mut().flush().map_err(Fault::at("write", &self.path))?;
        if let Some((file, part)) = self.part.take() {
            sync_file(&file, &part)?;
            fs::rename(&part, &self.path).map_err(Fault::at("rename", &self.path))?;
            let folder = match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                Some(_) | None => Path::new("."),
            };
            sync_folder(folder)?;
        }
        Ok(())
    }
}

impl Drop for TarWriter {
    fn drop(&mut self) {
        // The builder writes the end of an archive when it is dropped, whatever went wrong before.
        self.open.set(false);
        if let Some((_, part)) = self.part.take()
            && let Err(error) = fs::remove_file(&part)
        {
            tracing::warn!(path = %part.display(), %error, "an incomplete export stays");
        }
    }
}

/// A stream that can be told to take no more.
struct Stream {
    stream: Box<dyn Write>,
    open: Rc<Cell<bool>>,
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.get() { self.stream.write(bytes) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Member<'_> {
    /// Its name as it stands in the file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is a file, and no folder, link or the like.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// The name as one of the archive format, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<ArchiveFile> {
        ArchiveFile::parse(self.path.strip_prefix("./").unwrap_or(&self.path))
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its content.
    pub fn reader(&mut self) -> &mut dyn Read {
        self.reader
    }
}

/// Reads an export from `stream`, which messages call `path`, and gives each member but folders to
/// `take`. Blocking.
///
/// # Errors
/// [`StoreError::NoExport`] when it is none or was cut off, what [`ArchiveTree`] says of another
/// format, and whatever `take` says.
///
/// [`ArchiveTree`]: crate::archive_tree::ArchiveTree
pub fn read<E: From<StoreError>>(
    path: &Path,
    stream: impl Read,
    mut take: impl FnMut(Member<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let no_export = |source: io::Error| StoreError::NoExport { path: path.to_owned(), source };
    let ended = Rc::<Cell<bool>>::default();
    let mut archive = Archive::new(Ending { stream, ended: Rc::clone(&ended) });
    let mut version_read = false;
    for entry in archive.entries().map_err(no_export)? {
        let mut entry = entry.map_err(no_export)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let bytes = entry.size();
        let path_bytes = entry.path_bytes().into_owned();
        let mut whole = Whole { left: bytes, reader: &mut entry };
        let member = Member {
            path: String::from_utf8_lossy(&path_bytes).into_owned(),
            is_file: kind.is_file(),
            bytes,
            reader: &mut whole,
        };
        if version_read {
            take(member)?;
        } else {
            check_version(path, member)?;
            version_read = true;
        }
    }
    // An archive's end is two blocks of zeros. Where the file ends before them, something is missing.
    if ended.get() || !version_read {
        Err(no_export(ErrorKind::UnexpectedEof.into()))?;
    }
    Ok(())
}

/// An export begins with the version of its format, so that nothing of another is ever taken.
fn check_version(path: &Path, mut member: Member<'_>) -> Result<(), StoreError> {
    let is_version = member.name().is_some_and(|name| name.kind() == Kind::Version);
    if !is_version || !member.is_file {
        let source = io::Error::other("its first file is not VERSION");
        return Err(StoreError::NoExport { path: path.to_owned(), source });
    }
    let mut text = Vec::new();
    let read = member.reader().take(64).read_to_end(&mut text);
    read.map_err(|source| StoreError::NoExport { path: path.to_owned(), source })?;
    let found = String::from_utf8_lossy(&text).trim_end().to_owned();
    if found != crate::layout::FORMAT {
        return Err(StoreError::Format { path: path.join("VERSION"), found });
    }
    Ok(())
}

/// A stream that remembers whether its end was met.
struct Ending<R> {
    stream: R,
    ended: Rc<Cell<bool>>,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(length)
    }
}

/// The content of a member, which may be cut off but never in silence.
struct Whole<R> {
    left: u64,
    reader: R,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.left = self.left.saturating_sub(length as u64);
        if length == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(length)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

const MODE: u32 = 0o640;
const BUFFER: usize = 256 << 10;
