//! Exports as a source: a folder or a tar stream, in the order in which an archive takes them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use shacache_store::archive_file::{ArchiveFile, Kind};
use shacache_store::archive_tree::{ArchiveTree, Part};
use shacache_store::error::{Chain, StoreError};
use shacache_store::tar_file;
use shacache_store::verify::Code;

use super::source::{Sender, SourceEnd};
use super::{Intake, IntakeError};

/// Opens the export in a folder, or the archive of a data folder that nobody writes to.
///
/// # Errors
/// When it is none, or is of another format.
pub fn open_folder(folder: &Path) -> Result<ArchiveTree, StoreError> {
    let archive = folder.join("archive");
    ArchiveTree::open(if archive.join("VERSION").exists() { &archive } else { folder })
}

/// Opens the export in a file.
///
/// # Errors
/// When it cannot be opened.
pub fn open_file(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|source| StoreError::NoExport { path: path.to_owned(), source })
}

/// Takes in an export in a folder.
///
/// # Errors
/// When what is taken cannot be written.
pub async fn take_folder(intake: &Intake, export: ArchiveTree) -> Result<(), IntakeError> {
    intake.run(move |sender| send_tree(&export, sender)).await
}

/// Takes in an export from a stream that messages call `name`.
///
/// # Errors
/// When it is none or was cut off, is of another format, or what is taken cannot be written.
pub async fn take_tar(
    intake: &Intake,
    name: &Path,
    stream: impl Read + Send + 'static,
) -> Result<(), IntakeError> {
    let name = name.to_owned();
    intake.run(move |sender| send_tar(&name, stream, sender)).await
}

fn send_tree(tree: &ArchiveTree, sender: &Sender) -> Result<(), SourceEnd> {
    for part in Part::ALL {
        for found in tree.walk(part) {
            let name = match found {
                Ok(name) => name,
                Err(finding) => {
                    sender.found(finding.code, finding.path, &finding.detail)?;
                    continue;
                }
            };
            let from = tree.path(&name).display().to_string();
            match tree.file(&name) {
                // Gone since it was listed.
                Ok(None) => {}
                Ok(Some(mut file)) => match file.metadata() {
                    Ok(found) => {
                        // What cannot be read was told, and says nothing about the next file.
                        let _told = send_file(sender, name, found.len(), &mut file, from)?;
                    }
                    Err(error) => sender.found(Code::Unreadable, from, &error.to_string())?,
                },
                Err(error) => {
                    sender.found(Code::Unreadable, from, &Chain(&error).to_string())?;
                }
            }
        }
    }
    Ok(())
}

fn send_tar(path: &Path, stream: impl Read, sender: &Sender) -> Result<(), SourceEnd> {
    tar_file::read(path, BufReader::with_capacity(BUFFER_BYTES, stream), |mut member| {
        let from = format!("{}: {}", path.display(), member.path());
        if !member.is_file() {
            return sender.found(Code::NotAFile, from, "not a file");
        }
        let Some(name) = member.name() else {
            return sender.found(Code::Stray, from, "the format knows no such name");
        };
        let bytes = member.bytes();
        match send_file(sender, name, bytes, member.reader(), from)? {
            Ok(()) => Ok(()),
            Err(source) => Err(StoreError::NoExport { path: path.to_owned(), source }.into()),
        }
    })
}

fn send_file(
    sender: &Sender,
    name: ArchiveFile,
    bytes: u64,
    reader: &mut dyn Read,
    from: String,
) -> Result<std::io::Result<()>, SourceEnd> {
    match name.kind() {
        Kind::Blob(digest) => sender.blob(digest, bytes, reader, from),
        _ => sender.text(name, reader, from),
    }
}

const BUFFER_BYTES: usize = 256 << 10;
