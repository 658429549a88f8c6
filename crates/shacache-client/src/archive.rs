//! Folders as `.tar.gz`, the form in which the command line and SlapOS put them into the cache.
//! Taking one apart again, which trusts nothing in it, is `archive/unpack.rs`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Seek};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

pub use self::bounded::Limits;
pub use self::unpack::{UnpackError, unpack, unpack_only};

mod bounded;
mod unpack;

/// Packs a folder into a temporary file beside it, which has room for what the folder has; `/tmp`
/// may not. The archive's paths start with the folder's own name.
///
/// # Errors
/// When the folder cannot be read or the archive cannot be written.
pub fn pack(folder: &Path) -> io::Result<File> {
    let name = folder.file_name().unwrap_or_else(|| OsStr::new("."));
    pack_as(folder, Path::new(name))
}

/// As [`pack`], with paths that start with `name`.
///
/// # Errors
/// As [`pack`].
pub fn pack_as(folder: &Path, name: &Path) -> io::Result<File> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let spool = tempfile::tempfile_in(parent.unwrap_or_else(|| Path::new(".")))?;
    let gzip = GzEncoder::new(BufWriter::new(spool), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    tar.follow_symlinks(false);
    tar.append_dir_all(name, folder)?;
    let buffered = tar.into_inner()?.finish()?;
    let mut file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}
