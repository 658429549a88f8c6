//! The client itself: the verbs of the library, over one transport for each service.

use std::sync::Arc;

use shacache_core::digest::Digest;

use crate::blob::{self, Download, Payload, Prefix, Uploaded};
use crate::config::Config;
use crate::error::ClientError;
use crate::transport::{Options, Transport};

/// A client of one ShaCache and one ShaDir. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    cache: Arc<Transport>,
}

impl Client {
    /// A client of the configured services. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Config`] when a certificate or key cannot be used.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let (timeouts, retries) = (config.timeouts, config.retries);
        let cache = Transport::new(&config.cache, CACHE, timeouts, retries)?;
        Ok(Self { cache: Arc::new(cache) })
    }

    /// Sees to it that the server has these bytes; sends them only when it has not.
    ///
    /// # Errors
    /// [`ClientError::Transport`] when the server cannot be reached, refuses the bytes or stores
    /// other ones; [`ClientError::Local`] when the file changes on the way.
    pub async fn upload(&self, payload: &Payload) -> Result<Uploaded, ClientError> {
        blob::upload(&self.cache, payload).await
    }

    /// Starts to download a blob. The pieces end in an error unless every byte is right.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not have it, [`ClientError::Transport`] when
    /// it cannot be asked.
    pub async fn download(&self, digest: &Digest) -> Result<Download, ClientError> {
        self.resume(digest, Prefix::default()).await
    }

    /// As [`Client::download`], for a caller that has the first bytes already. The pieces are those
    /// after `prefix`.
    ///
    /// # Errors
    /// As [`Client::download`]; [`ClientError::Corrupt`] when `prefix` is not the blob's start, as
    /// soon as that shows.
    pub async fn resume(&self, digest: &Digest, prefix: Prefix) -> Result<Download, ClientError> {
        Download::start(Arc::clone(&self.cache), *digest, prefix).await
    }
}

const CACHE: Options = Options { download: "download-cache-url", upload: "upload-cache-url" };
