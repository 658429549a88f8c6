//! Takes an archive apart without trusting it. Everything is made in a new folder that nobody else
//! writes to, below which no symbolic link is ever followed; links come last; what is complete is
//! renamed to its place.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT,
    fchmod, futimens, linkat, mkdirat, openat2, renameat_with, symlinkat, syncfs, utimensat,
};
use tar::{Archive, Entry, EntryType};

use super::Limits;
use super::bounded::{Bounded, Counted, Shared};

/// Unpacks a `.tar.gz` into the folder `destination`, whose files it never replaces. Times and
/// permissions are kept, owners and the set-id bits are not. Returns the names made there.
///
/// When this returns, everything is on disk. On an error nothing is left behind.
///
/// # Errors
/// When the archive holds something that is unsafe, more than `limits` allow, or broken; when a
/// name is taken in `destination`; when the disk fails.
pub fn unpack(
    archive: File,
    destination: &Path,
    limits: &Limits,
) -> Result<Vec<PathBuf>, UnpackError> {
    unpack_into(archive, destination, None, limits)
}

/// As [`unpack`], of an archive that makes nothing but the folder or file `name`.
///
/// # Errors
/// As [`unpack`]; [`UnpackError::Foreign`] when the archive would make anything else.
pub fn unpack_only(
    archive: File,
    destination: &Path,
    name: &OsStr,
    limits: &Limits,
) -> Result<(), UnpackError> {
    unpack_into(archive, destination, Some(name), limits).map(drop)
}

fn unpack_into(
    archive: File,
    destination: &Path,
    only: Option<&OsStr>,
    limits: &Limits,
) -> Result<Vec<PathBuf>, UnpackError> {
    let place = |source| UnpackError::Place { path: destination.into(), source };
    let folder =
        tempfile::Builder::new().prefix(".unpacking-").tempdir_in(destination).map_err(place)?;
    let root: OwnedFd = File::open(folder.path()).map_err(place)?.into();
    let mut tree = Tree::new(root);
    read_all(archive, only, limits, &mut tree)?;
    let names: Vec<PathBuf> = tree.names().into_iter().collect();
    for path in names.iter().map(|name| destination.join(name)) {
        // Told now: a folder that has its final permissions may not let itself be removed.
        if path.symlink_metadata().is_ok() {
            return Err(UnpackError::Place { path, source: io::ErrorKind::AlreadyExists.into() });
        }
    }
    tree.finish()?;
    syncfs(&tree.root).map_err(|error| place(error.into()))?;
    for (at, name) in names.iter().enumerate() {
        let path = destination.join(name);
        if let Err(error) = renameat_with(&tree.root, name, CWD, &path, RenameFlags::NOREPLACE) {
            // Back to where they are removed with the rest.
            for placed in &names[..at] {
                let _ = renameat_with(
                    CWD,
                    destination.join(placed),
                    &tree.root,
                    placed,
                    RenameFlags::NOREPLACE,
                );
            }
            return Err(UnpackError::Place { path, source: error.into() });
        }
    }
    File::open(destination).and_then(|folder| folder.sync_all()).map_err(place)?;
    Ok(names)
}

fn read_all(
    archive: File,
    only: Option<&OsStr>,
    limits: &Limits,
    tree: &mut Tree,
) -> Result<(), UnpackError> {
    let (packed, allowance) = (Shared::default(), Shared::default());
    let counted = Counted { inner: BufReader::new(archive), count: packed.clone() };
    let mut archive = Archive::new(Bounded {
        inner: GzDecoder::new(counted),
        limits: *limits,
        packed,
        unpacked: 0,
        allowance: allowance.clone(),
    });
    allowance.set(HEADER_BYTES);
    let mut count = 0;
    for entry in archive.entries().map_err(UnpackError::Broken)? {
        let mut entry = entry.map_err(UnpackError::Broken)?;
        count += 1;
        if count > limits.entries {
            return Err(UnpackError::TooMany { limit: limits.entries });
        }
        let path = safe_path(&entry.path_bytes())?;
        // The top itself, as `./`, is nobody's name.
        if let (Some(only), Some(first)) = (only, path.iter().next())
            && first != only
        {
            return Err(UnpackError::Foreign { path, only: only.into() });
        }
        if entry.size() > limits.file_bytes {
            return Err(UnpackError::TooLong { path });
        }
        allowance.set(entry.size().saturating_add(HEADER_BYTES));
        tree.add(path, &mut entry)?;
        allowance.set(HEADER_BYTES);
    }
    Ok(())
}

/// What has been made so far.
struct Tree {
    root: OwnedFd,
    /// Folders, with what they become once nothing is written into them any more.
    folders: BTreeMap<PathBuf, Option<Attributes>>,
    files: HashSet<PathBuf>,
    symlinks: Vec<(PathBuf, Vec<u8>, Attributes)>,
}

struct Attributes {
    mode: Mode,
    times: Timestamps,
}

impl Tree {
    fn new(root: OwnedFd) -> Self {
        let (folders, files) = (BTreeMap::new(), HashSet::new());
        Self { root, folders, files, symlinks: Vec::new() }
    }

    fn add(&mut self, path: PathBuf, entry: &mut Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let attributes = Attributes::of(entry)?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.folder(&path)?;
                if !path.as_os_str().is_empty() {
                    self.folders.insert(path, Some(attributes));
                }
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous => self.file(path, entry, attributes),
            EntryType::Symlink => {
                let target = link_target(entry, &path)?;
                self.symlinks.push((path, target, attributes));
                Ok(())
            }
            EntryType::Link => self.hard_link(path, entry),
            EntryType::XGlobalHeader => Ok(()),
            kind => Err(UnpackError::Kind { path, kind: char::from(kind.as_byte()) }),
        }
    }

    fn file(
        &mut self,
        path: PathBuf,
        entry: &mut impl Read,
        attributes: Attributes,
    ) -> Result<(), UnpackError> {
        let (parent, name) = self.parent(&path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let at = |source: io::Error| UnpackError::Write { path: path.clone(), source };
        let made = openat2(&parent, name, flags, Mode::RUSR | Mode::WUSR, BENEATH)
            .map_err(|error| at(error.into()))?;
        let mut file = File::from(made);
        // Reading is what fails when the archive is broken; writing, when the disk is full.
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let read = entry.read(&mut buffer).map_err(UnpackError::Broken)?;
            if read == 0 {
                break;
            }
            io::Write::write_all(&mut file, &buffer[..read]).map_err(at)?;
        }
        attributes.apply(&file).map_err(at)?;
        self.files.insert(path);
        Ok(())
    }

    fn hard_link(
        &mut self,
        path: PathBuf,
        entry: &Entry<'_, impl Read>,
    ) -> Result<(), UnpackError> {
        let target = safe_path(&link_target(entry, &path)?)?;
        if !self.files.contains(&target) {
            return Err(UnpackError::HardLink { path, target });
        }
        let (from, from_name) = self.parent(&target)?;
        let (to, to_name) = self.parent(&path)?;
        linkat(&from, from_name, &to, to_name, AtFlags::empty())
            .map_err(|error| UnpackError::Write { path: path.clone(), source: error.into() })?;
        self.files.insert(path);
        Ok(())
    }

    /// What has been made at the top.
    fn names(&self) -> BTreeSet<PathBuf> {
        let symlinks = self.symlinks.iter().map(|(path, ..)| path);
        let all = self.folders.keys().chain(&self.files).chain(symlinks);
        all.filter(|path| path.iter().count() == 1).cloned().collect()
    }

    /// Makes the symbolic links, which by now nothing is written through, then gives the folders
    /// their permissions and times, the deepest first.
    fn finish(&mut self) -> Result<(), UnpackError> {
        for (path, target, attributes) in std::mem::take(&mut self.symlinks) {
            let (parent, name) = self.parent(&path)?;
            symlinkat(OsStr::from_bytes(&target), &parent, name)
                .and_then(|()| {
                    utimensat(&parent, name, &attributes.times, AtFlags::SYMLINK_NOFOLLOW)
                })
                .map_err(|error| UnpackError::Write { path: path.clone(), source: error.into() })?;
        }
        for (path, attributes) in self.folders.iter().rev() {
            let Some(attributes) = attributes else { continue };
            let folder = self.open(path)?;
            attributes
                .apply(&folder)
                .map_err(|source| UnpackError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// The folder that `path` is made in, and the name it gets there.
    fn parent<'p>(&mut self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), UnpackError> {
        let name = path.file_name().ok_or_else(|| UnpackError::Path { path: path.into() })?;
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        self.folder(parent)?;
        Ok((self.open(parent)?, name))
    }

    /// Makes a folder and those above it, as far as they are missing.
    fn folder(&mut self, path: &Path) -> Result<(), UnpackError> {
        if path.as_os_str().is_empty() || self.folders.contains_key(path) {
            return Ok(());
        }
        let above = path.parent().unwrap_or_else(|| Path::new(""));
        self.folder(above)?;
        let name = path.file_name().ok_or_else(|| UnpackError::Path { path: path.into() })?;
        mkdirat(self.open(above)?, name, Mode::RWXU)
            .map_err(|error| UnpackError::Write { path: path.into(), source: error.into() })?;
        self.folders.insert(path.into(), None);
        Ok(())
    }

    fn open(&self, path: &Path) -> Result<OwnedFd, UnpackError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        openat2(
            &self.root,
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            BENEATH,
        )
        .map_err(|error| UnpackError::Write { path: path.into(), source: error.into() })
    }
}

impl Attributes {
    fn of(entry: &Entry<'_, impl Read>) -> Result<Self, UnpackError> {
        let header = entry.header();
        let mode = header.mode().map_err(UnpackError::Broken)?;
        let seconds = header.mtime().map_err(UnpackError::Broken)?;
        let modified = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX), tv_nsec: 0 };
        let accessed = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Ok(Self {
            mode: Mode::from_raw_mode(mode & 0o777),
            times: Timestamps { last_access: accessed, last_modification: modified },
        })
    }

    fn apply(&self, file: impl AsFd) -> io::Result<()> {
        fchmod(&file, self.mode)?;
        futimens(&file, &self.times)?;
        Ok(())
    }
}

/// A path that stays below where it is used; empty for the top itself.
fn safe_path(bytes: &[u8]) -> Result<PathBuf, UnpackError> {
    let path = Path::new(OsStr::from_bytes(bytes));
    let refused = || UnpackError::Path { path: path.into() };
    if bytes.len() > MAX_PATH_BYTES || bytes.contains(&0) {
        return Err(refused());
    }
    let mut safe = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => safe.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(refused());
            }
        }
    }
    Ok(safe)
}

fn link_target(entry: &Entry<'_, impl Read>, path: &Path) -> Result<Vec<u8>, UnpackError> {
    let target = entry.link_name_bytes().map(|target| target.into_owned());
    target
        .filter(|target| !target.is_empty() && target.len() <= MAX_PATH_BYTES)
        .ok_or_else(|| UnpackError::Path { path: path.into() })
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is no `.tar.gz`, damaged, or larger than allowed.
    #[error("the archive cannot be read")]
    Broken(#[source] io::Error),
    /// A path is absolute, climbs out with `..`, or is too long.
    #[error("{} is not a path inside the archive", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// Something would be made beside the one name that was asked for.
    #[error("{} is not below {}", path.display(), only.display())]
    Foreign {
        /// Its path.
        path: PathBuf,
        /// The name asked for.
        only: OsString,
    },
    /// Something is neither a file nor a folder nor a link.
    #[error("{} is of the kind `{kind}`, which is not unpacked", path.display())]
    Kind {
        /// Its path.
        path: PathBuf,
        /// The letter of its kind in the archive.
        kind: char,
    },
    /// A hard link leads to something that the archive did not bring.
    #[error("{} is a hard link to {}, which is not in the archive", path.display(), target.display())]
    HardLink {
        /// Its path.
        path: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// A file is longer than allowed.
    #[error("{} is too long", path.display())]
    TooLong {
        /// Its path.
        path: PathBuf,
    },
    /// There are more entries than allowed.
    #[error("more than {limit} files")]
    TooMany {
        /// How many are allowed.
        limit: u64,
    },
    /// Something cannot be made, often because the archive has its path twice.
    #[error("cannot make {}", path.display())]
    Write {
        /// Its path in the archive.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The destination cannot be used, or has a file of that name.
    #[error("cannot unpack to {}", path.display())]
    Place {
        /// The destination.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const MAX_PATH_BYTES: usize = 4096;
/// Room for the headers of one entry, its long names included.
const HEADER_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests;
