//! Taking things of other archives in, as commands to a running server. Small ones are one JSON
//! document each; a blob is the body of a request of its own, which need not know its length.

use axum::body::{Body, HttpBody as _};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use shacache_core::digest::{Digest, DigestError};
use shacache_core::entry::{EntryError, SignedEntry};
use shacache_core::key::KeyError;
use shacache_store::Store;
use shacache_store::archive_file::ArchiveFile;
use shacache_store::blob::Incoming;
use shacache_store::error::StoreError;
use shacache_store::import::{self, Lacking, Taken};

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportCommand {
    /// Takes a small file of an archive.
    Text {
        /// Its name there.
        path: String,
        /// What it holds.
        text: String,
    },
    /// Takes an entry.
    Entry {
        /// The key it is under.
        key: String,
        /// The JSON text of the entry.
        body: String,
    },
    /// Tells what has to be had before an entry can be taken.
    Lacks {
        /// The key that it is to be under.
        key: String,
        /// The JSON text of the entry.
        body: String,
    },
    /// Tells whether there is such a blob.
    Has {
        /// Which.
        digest: String,
    },
    /// Tells whether there is such a blob and all of it is whole. A damaged one moves to quarantine.
    HasWhole {
        /// Which.
        digest: String,
    },
    /// Tells whether there is room for a blob.
    HasRoom {
        /// How large it is.
        bytes: u64,
    },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportAnswer {
    /// Of a file or entry.
    Taken(Taken),
    /// Whether there is such a blob, or room.
    There(bool),
    /// What has to be had first.
    Lacks(Lacking),
}

/// Why something cannot be taken. What is only damaged is [`Taken::Left`].
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the archive format knows no such name")]
    NoName,
    #[error("not a key")]
    Key(#[from] KeyError),
    #[error("not an entry")]
    Entry(#[from] EntryError),
    #[error("not a digest")]
    Digest(#[from] DigestError),
    #[error("the bytes stopped coming")]
    BrokenOff(#[from] axum::Error),
}

impl ImportCommand {
    pub(super) async fn run(self, store: &Store) -> Result<ImportAnswer, ImportError> {
        Ok(match self {
            Self::Text { path, text } => {
                let name = ArchiveFile::parse(&path).ok_or(ImportError::NoName)?;
                ImportAnswer::Taken(store.import_text(&name, text.into()).await?)
            }
            Self::Entry { key, body } => {
                let entry = SignedEntry::from_body(body.as_bytes())?;
                ImportAnswer::Taken(store.import_entry(&key.parse()?, entry).await?)
            }
            Self::Lacks { key, body } => {
                let entry = SignedEntry::from_body(body.as_bytes())?;
                ImportAnswer::Lacks(store.import_lacks(&key.parse()?, &entry).await?)
            }
            Self::Has { digest } => ImportAnswer::There(store.blobs().has(&digest.parse()?).await?),
            Self::HasWhole { digest } => {
                ImportAnswer::There(store.blobs().has_whole(&digest.parse()?).await?)
            }
            Self::HasRoom { bytes } => match store.import_blob(Some(bytes), false) {
                Ok(_) => ImportAnswer::There(true),
                Err(StoreError::NoSpace) => ImportAnswer::There(false),
                Err(error) => return Err(error.into()),
            },
        })
    }
}

/// Takes a blob, if all of it comes.
pub(super) async fn take_blob(
    store: &Store,
    digest: &str,
    banned_there: bool,
    mut body: Body,
) -> Result<Taken, ImportError> {
    let digest: Digest = digest.parse()?;
    let taken = match store.import_blob(body.size_hint().exact(), banned_there) {
        Ok(incoming) => write(incoming, &digest, &mut body).await?,
        Err(error) => import::without(error)?,
    };
    // Whoever is still sending may not hear an answer that comes before the end.
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(taken)
}

async fn write(
    mut incoming: Incoming,
    digest: &Digest,
    body: &mut Body,
) -> Result<Taken, ImportError> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data()
            && let Err(error) = incoming.write(bytes).await
        {
            return Ok(import::without(error)?);
        }
    }
    Ok(import::finish(incoming, digest).await?)
}
