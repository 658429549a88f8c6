//! The client itself: the verbs of the library, over one transport for each service.

use std::sync::Arc;

use bytes::Bytes;
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::json::Object;
use shacache_core::key::Key;
use shacache_core::trust::Trust;

use crate::binding::url_key;
use crate::blob::{self, Download, Payload, Prefix, Uploaded};
use crate::config::Config;
use crate::directory;
use crate::error::ClientError;
use crate::selection::{Selected, Selection, newest};
use crate::signer::Signer;
use crate::transport::{Options, Transport};

/// A client of one ShaCache and one ShaDir. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    cache: Arc<Transport>,
    directory: Arc<Transport>,
    trust: Arc<Trust>,
    signer: Option<Signer>,
}

impl Client {
    /// A client of the configured services. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Config`] when a certificate or key cannot be used.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let open = |service, options| {
            Transport::new(service, options, config.timeouts, config.retries).map(Arc::new)
        };
        Ok(Self {
            cache: open(&config.cache, CACHE)?,
            directory: open(&config.directory, DIRECTORY)?,
            trust: Arc::new(config.trust.clone()),
            signer: config.signer.clone(),
        })
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

    /// Puts an entry for a blob under `key`: its digest, then `metadata` in their order, signed
    /// when there is a key to sign with. Returns the entry as it was put.
    ///
    /// # Errors
    /// [`ClientError::Corrupt`] when these metadata make no entry that every client can read;
    /// [`ClientError::Transport`] when the server cannot be reached or refuses the entry.
    pub async fn index(
        &self,
        key: &Key,
        digest: &Digest,
        metadata: &Object,
    ) -> Result<SignedEntry, ClientError> {
        let mut signed = Object::new();
        signed.insert("sha512", digest.to_string());
        for (name, value) in metadata.iter().filter(|(name, _)| *name != "sha512") {
            signed.insert(name.clone(), value.clone());
        }
        let text = signed.to_string();
        let signature = self.signer.as_ref().map(|signer| signer.sign(&text));
        let signature = signature.as_ref().map_or("", |signature| signature.text());
        let entry = SignedEntry::from_texts(&text, signature)
            .map_err(|error| ClientError::corrupt(format!("the metadata: {error}")))?;
        directory::put(&self.directory, key, &entry).await?;
        Ok(entry)
    }

    /// Every entry under `key` as the server lists it. Nothing is verified.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when there is none, [`ClientError::Corrupt`] when the answer is no
    /// list of entries.
    pub async fn entries(&self, key: &Key) -> Result<Vec<SignedEntry>, ClientError> {
        directory::entries(&self.directory, key).await
    }

    /// The list of `key` as the server sends it, for a caller that wants to know what is wrong with
    /// each item: [`Listing`](shacache_core::entry::Listing) reads it.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server has no such list, [`ClientError::Corrupt`] when it
    /// is longer than `max_bytes`, [`ClientError::Transport`] when the server cannot be asked.
    pub async fn listing(&self, key: &Key, max_bytes: usize) -> Result<Bytes, ClientError> {
        directory::listing(&self.directory, key, max_bytes).await
    }

    /// The entries under `key` that pass `selection`, in the server's order; at least one.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when nothing is there or nothing matches the filter,
    /// [`ClientError::Untrusted`] when entries are there and none may be believed.
    pub async fn select(
        &self,
        key: &Key,
        selection: &Selection,
    ) -> Result<Vec<Selected>, ClientError> {
        selection.apply(key, self.entries(key).await?, &self.trust)
    }

    /// The newest entry of a key or URL that passes `selection`.
    ///
    /// # Errors
    /// As [`Client::select`].
    pub async fn lookup(
        &self,
        subject: &Subject,
        selection: &Selection,
    ) -> Result<Selected, ClientError> {
        let key = subject.key();
        let nothing = || ClientError::not_found(format!("no entry under `{key}`"));
        newest(self.select(&key, selection).await?).ok_or_else(nothing)
    }

    /// Whose entries this client believes.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// What is looked up in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A key as it is.
    Key(Key),
    /// The key that a URL has.
    Url(String),
}

impl Subject {
    /// The key in the directory.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Key(key) => key.clone(),
            Self::Url(url) => url_key(url),
        }
    }
}

const CACHE: Options = Options { download: "download-cache-url", upload: "upload-cache-url" };
const DIRECTORY: Options = Options { download: "download-dir-url", upload: "upload-dir-url" };
