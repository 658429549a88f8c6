//! The same verbs for programs without async: each call runs the async one to its end on a small
//! runtime of its own. Not to be used from inside an async runtime.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::json::Object;
use shacache_core::key::Key;
use tokio::runtime::{Builder, Runtime};

use crate::blob::{self, Payload, Prefix, Uploaded};
use crate::client::Subject;
use crate::config::Config;
use crate::error::ClientError;
use crate::selection::{Selected, Selection};

/// A client whose calls block. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    runtime: Arc<Runtime>,
    client: crate::Client,
}

impl Client {
    /// As [`crate::Client::new`].
    ///
    /// # Errors
    /// As there; [`ClientError::Local`] when the system refuses to make the runtime.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::local("cannot start the runtime", error))?;
        Ok(Self { client: crate::Client::new(config)?, runtime: Arc::new(runtime) })
    }

    /// As [`crate::Client::upload`].
    ///
    /// # Errors
    /// As there.
    pub fn upload(&self, payload: &Payload) -> Result<Uploaded, ClientError> {
        self.runtime.block_on(self.client.upload(payload))
    }

    /// As [`crate::Client::download`].
    ///
    /// # Errors
    /// As there.
    pub fn download(&self, digest: &Digest) -> Result<Download, ClientError> {
        self.resume(digest, Prefix::default())
    }

    /// As [`crate::Client::resume`].
    ///
    /// # Errors
    /// As there.
    pub fn resume(&self, digest: &Digest, prefix: Prefix) -> Result<Download, ClientError> {
        let download = self.runtime.block_on(self.client.resume(digest, prefix))?;
        Ok(Download { runtime: Arc::clone(&self.runtime), download, piece: Bytes::new() })
    }

    /// As [`crate::Client::index`].
    ///
    /// # Errors
    /// As there.
    pub fn index(
        &self,
        key: &Key,
        digest: &Digest,
        metadata: &Object,
    ) -> Result<SignedEntry, ClientError> {
        self.runtime.block_on(self.client.index(key, digest, metadata))
    }

    /// As [`crate::Client::entries`].
    ///
    /// # Errors
    /// As there.
    pub fn entries(&self, key: &Key) -> Result<Vec<SignedEntry>, ClientError> {
        self.runtime.block_on(self.client.entries(key))
    }

    /// As [`crate::Client::select`].
    ///
    /// # Errors
    /// As there.
    pub fn select(&self, key: &Key, selection: &Selection) -> Result<Vec<Selected>, ClientError> {
        self.runtime.block_on(self.client.select(key, selection))
    }

    /// As [`crate::Client::lookup`].
    ///
    /// # Errors
    /// As there.
    pub fn lookup(
        &self,
        subject: &Subject,
        selection: &Selection,
    ) -> Result<Selected, ClientError> {
        self.runtime.block_on(self.client.lookup(subject, selection))
    }
}

/// A blob being downloaded, as a reader. The last read fails when the digest is wrong; the
/// [`ClientError`] is the source of the [`io::Error`].
#[derive(Debug)]
pub struct Download {
    runtime: Arc<Runtime>,
    download: blob::Download,
    piece: Bytes,
}

impl Download {
    /// As [`blob::Download::size_bytes`].
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.download.size_bytes()
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.piece.is_empty() {
            let piece = self.runtime.block_on(self.download.piece()).map_err(io_error)?;
            let Some(piece) = piece else { return Ok(0) };
            self.piece = piece;
        }
        let taken = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

fn io_error(error: ClientError) -> io::Error {
    let kind = match error {
        ClientError::Corrupt { .. } => io::ErrorKind::InvalidData,
        ClientError::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
