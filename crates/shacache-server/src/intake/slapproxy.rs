//! The folders of a slapproxy (slapos.core) as a source: one with a file for each blob, named by its
//! digest, one with a file for each key, named by the key, that holds the list which it answers.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use shacache_core::digest::Digest;
use shacache_core::entry::Listing;
use shacache_core::key::Key;
use shacache_store::verify::Code;

use super::source::{Item, Sender, SourceEnd};
use super::{Intake, IntakeError};

/// Where a slapproxy keeps things.
#[derive(Debug, Clone)]
pub struct Slapproxy {
    content: PathBuf,
    metadata: PathBuf,
}

impl Slapproxy {
    /// Looks for its `shacache-content-directory` and `shacache-metadata-directory`.
    ///
    /// # Errors
    /// When one of them is no folder.
    pub fn open(content: PathBuf, metadata: PathBuf) -> Result<Self, NoFolder> {
        for folder in [&content, &metadata] {
            if !folder.is_dir() {
                return Err(NoFolder(folder.clone()));
            }
        }
        Ok(Self { content, metadata })
    }

    /// Takes in all of it.
    ///
    /// # Errors
    /// When what is taken cannot be written.
    pub async fn take(self, intake: &Intake) -> Result<(), IntakeError> {
        intake.run(move |sender| self.send(sender)).await
    }

    fn send(&self, sender: &Sender) -> Result<(), SourceEnd> {
        for path in files(&self.content, sender)? {
            let digest = name(&path).and_then(|name| name.parse::<Digest>().ok());
            match digest {
                Some(digest) => send_blob(digest, &path, sender)?,
                None => sender.found(Code::Stray, shown(&path), "not named by a SHA-512")?,
            }
        }
        for path in files(&self.metadata, sender)? {
            match name(&path).map(str::parse::<Key>) {
                Some(Ok(key)) => send_entries(key, &path, sender)?,
                Some(Err(error)) => {
                    sender.found(Code::Stray, shown(&path), &error.to_string())?;
                }
                None => sender.found(Code::Stray, shown(&path), "a key is UTF-8 text")?,
            }
        }
        Ok(())
    }
}

/// There is nothing to be taken from.
#[derive(Debug, thiserror::Error)]
#[error("{}: not a folder", .0.display())]
pub struct NoFolder(PathBuf);

fn send_blob(digest: Digest, path: &Path, sender: &Sender) -> Result<(), SourceEnd> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((bytes, mut file)) => {
            // What cannot be read is told by whoever takes it.
            let _told = sender.blob(digest, bytes, &mut file, shown(path))?;
            Ok(())
        }
        Err(error) => sender.found(Code::Unreadable, shown(path), &error.to_string()),
    }
}

fn send_entries(key: Key, path: &Path, sender: &Sender) -> Result<(), SourceEnd> {
    let mut text = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(LISTING_BYTES as u64 + 1).read_to_end(&mut text));
    if let Err(error) = read {
        return sender.found(Code::Unreadable, shown(path), &error.to_string());
    }
    let listing = match Listing::read(&text, LISTING_BYTES) {
        Ok(listing) => listing,
        Err(error) => return sender.found(Code::EntryDamaged, shown(path), &error.to_string()),
    };
    let mut entries = Vec::with_capacity(listing.len());
    for (at, entry) in listing.entries().enumerate() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                let from = format!("{}[{at}]", shown(path));
                sender.found(Code::EntryDamaged, from, &error.to_string())?;
            }
        }
    }
    sender.send(Item::Entries { key, entries, from: shown(path) })
}

/// The files in a folder, in the order of their names. What else is there is a finding.
fn files(folder: &Path, sender: &Sender) -> Result<Vec<PathBuf>, SourceEnd> {
    let listed = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) => {
            sender.found(Code::Unreadable, shown(folder), &error.to_string())?;
            Vec::new()
        }
    };
    paths.sort_unstable();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if path.is_file() {
            files.push(path);
        } else {
            sender.found(Code::NotAFile, shown(&path), "not a file")?;
        }
    }
    Ok(files)
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// As much as a client reads of one key.
const LISTING_BYTES: usize = 64 << 20;
