//! The archive that things go into: open in this process, or in a server that is asked. The result is
//! the same. Must not know where things come from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures_util::stream::StreamExt as _;
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;
use shacache_store::archive_file::ArchiveFile;
use shacache_store::error::StoreError;
use shacache_store::import::{self, Lacking, Taken};
use shacache_store::{Store, StoreOptions};

use super::{PieceError, Pieces};
use crate::admin::client::{self, AskError};
use crate::admin::import::{ImportAnswer, ImportCommand};

/// Where things go.
#[derive(Debug)]
pub struct Target(Place);

#[derive(Debug)]
enum Place {
    Here(Store),
    /// Of the server that has this data folder open.
    Server(PathBuf),
}

/// Why something cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// This process cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server cannot.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The server answers something else.
    #[error("the server is of another version")]
    AnotherVersion,
}

impl Target {
    /// Opens a data folder, making it if it is missing, or finds the server that has it open. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be opened for another reason.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        match Store::open(options) {
            Ok(store) => Ok(Self(Place::Here(store))),
            Err(StoreError::Locked(_)) => Ok(Self(Place::Server(options.data.clone()))),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn close(&self) -> Result<(), TargetError> {
        match &self.0 {
            Place::Here(store) => Ok(store.close().await?),
            Place::Server(_) => Ok(()),
        }
    }

    /// Whether there is such a blob.
    pub(super) async fn has(&self, digest: &Digest) -> Result<bool, TargetError> {
        match &self.0 {
            Place::Here(store) => Ok(store.blobs().has(digest).await?),
            Place::Server(data) => {
                there(data, &ImportCommand::Has { digest: digest.to_string() }).await
            }
        }
    }

    /// Whether there is such a blob and all of it is whole. A damaged one makes way.
    pub(super) async fn has_whole(&self, digest: &Digest) -> Result<bool, TargetError> {
        match &self.0 {
            Place::Here(store) => Ok(store.blobs().has_whole(digest).await?),
            Place::Server(data) => {
                there(data, &ImportCommand::HasWhole { digest: digest.to_string() }).await
            }
        }
    }

    /// What has to be had before an entry can be taken.
    pub(super) async fn lacks(
        &self,
        key: &Key,
        entry: &SignedEntry,
    ) -> Result<Lacking, TargetError> {
        let data = match &self.0 {
            Place::Here(store) => return Ok(store.import_lacks(key, entry).await?),
            Place::Server(data) => data,
        };
        let (key, body) = (key.to_string(), entry.body().to_owned());
        match client::import(data, &ImportCommand::Lacks { key, body }).await? {
            ImportAnswer::Lacks(lacking) => Ok(lacking),
            ImportAnswer::Taken(_) | ImportAnswer::There(_) => Err(TargetError::AnotherVersion),
        }
    }

    pub(super) async fn text(
        &self,
        name: &ArchiveFile,
        text: String,
    ) -> Result<Taken, TargetError> {
        match &self.0 {
            Place::Here(store) => Ok(store.import_text(name, text.into()).await?),
            Place::Server(data) => {
                taken(data, &ImportCommand::Text { path: name.path().to_owned(), text }).await
            }
        }
    }

    pub(super) async fn entry(&self, key: &Key, entry: SignedEntry) -> Result<Taken, TargetError> {
        match &self.0 {
            Place::Here(store) => Ok(store.import_entry(key, entry).await?),
            Place::Server(data) => {
                let (key, body) = (key.to_string(), entry.body().to_owned());
                taken(data, &ImportCommand::Entry { key, body }).await
            }
        }
    }

    /// Takes a blob of so many `bytes`, if that is known: then none comes that there is no room for.
    /// The inner error is the source's: the bytes stopped coming.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        bytes: Option<u64>,
        banned_there: bool,
        mut pieces: Pieces,
    ) -> Result<Result<Taken, PieceError>, TargetError> {
        let store = match &self.0 {
            Place::Here(store) => store,
            Place::Server(data) => {
                return send_blob(data, digest, bytes, banned_there, pieces).await;
            }
        };
        let mut incoming = match store.import_blob(bytes, banned_there) {
            Ok(incoming) => incoming,
            Err(error) => return Ok(Ok(import::without(error)?)),
        };
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(error) = incoming.write(piece).await {
                return Ok(Ok(import::without(error)?));
            }
        }
        Ok(Ok(import::finish(incoming, digest).await?))
    }
}

async fn taken(data: &Path, command: &ImportCommand) -> Result<Taken, TargetError> {
    match client::import(data, command).await? {
        ImportAnswer::Taken(taken) => Ok(taken),
        ImportAnswer::There(_) | ImportAnswer::Lacks(_) => Err(TargetError::AnotherVersion),
    }
}

async fn there(data: &Path, command: &ImportCommand) -> Result<bool, TargetError> {
    match client::import(data, command).await? {
        ImportAnswer::There(there) => Ok(there),
        ImportAnswer::Taken(_) | ImportAnswer::Lacks(_) => Err(TargetError::AnotherVersion),
    }
}

async fn send_blob(
    data: &Path,
    digest: &Digest,
    bytes: Option<u64>,
    banned_there: bool,
    pieces: Pieces,
) -> Result<Result<Taken, PieceError>, TargetError> {
    if let Some(bytes) = bytes
        && !there(data, &ImportCommand::HasRoom { bytes }).await?
    {
        return Ok(Ok(import::without(StoreError::NoSpace)?));
    }
    // What the body fails with comes back as no more than a broken connection.
    let failed = Arc::<Mutex<Option<PieceError>>>::default();
    let told = Arc::clone(&failed);
    let body = pieces.map(move |piece| {
        piece.map_err(|error| -> PieceError {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            "the source broke off".into()
        })
    });
    let body = Body::from_stream(body);
    let answer = client::import_blob(data, digest, bytes, banned_there, body).await;
    if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Ok(Err(error));
    }
    Ok(Ok(answer?))
}
