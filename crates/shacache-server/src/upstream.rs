//! The two services of another server, to take things from. The one file of this crate that uses the
//! client crate. Owns what a failure means for a long run: that one thing cannot be had, or that the
//! other server is not there at all. Must not know what is done with what it gives.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::StatusCode;
use shacache_client::blob::Download;
use shacache_client::config::{
    Config, ConfigError, Endpoint, Networkcache, Purpose, Retries, Service, Timeouts,
};
use shacache_client::{Client, ClientError, TransportError};
use shacache_core::digest::Digest;
use shacache_core::key::Key;
use tokio::time::timeout;

/// Where the two services are.
#[derive(Clone)]
pub enum Location {
    /// Of one server at its usual mounts: `URL/shacache` and `URL/shadir`.
    Server(String),
    /// Each at a URL of its own.
    Apart {
        /// The blob service, ShaCache.
        cache: String,
        /// The directory service, ShaDir.
        directory: String,
    },
    /// Where the `[networkcache]` of a slapos.cfg downloads from, with the certificates that it names.
    Networkcache(PathBuf),
}

/// How much is put up with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long to wait for an answer, and for the next bytes of one.
    pub wait: Duration,
    /// How often to ask for the same before it is left out.
    pub tries: NonZeroUsize,
}

/// A server that things are taken from.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    wait: Duration,
    cache: Arc<Reach>,
    directory: Arc<Reach>,
}

impl Upstream {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`UpstreamError::Config`] when an address or a file that it needs cannot be used.
    pub fn open(location: &Location, patience: Patience) -> Result<Self, UpstreamError> {
        let Patience { wait, tries } = patience;
        let mut config = location.config()?;
        config.timeouts =
            Timeouts { connect: wait, answer: wait, stall: wait, upload_answer: wait };
        config.retries = Retries { fruitless: tries.get() - 1, ..Retries::default() };
        let reach = |service: &Service, option| match &service.download {
            Some(endpoint) => Ok(Arc::new(Reach::new(endpoint))),
            None => Err(ConfigError::Missing { option }),
        };
        let cache = reach(&config.cache, "download-cache-url")?;
        let directory = reach(&config.directory, "download-dir-url")?;
        Ok(Self { client: Client::new(&config)?, wait, cache, directory })
    }

    /// The list of a key, unread; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be had, or is longer than `max_bytes`.
    pub async fn listing(
        &self,
        key: &Key,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, UpstreamError> {
        let waited = self.wait * MOST_WAITS;
        match timeout(waited, self.client.listing(key, max_bytes)).await {
            Ok(answer) => self.directory.answer(answer),
            Err(_) => Err(self.directory.failed(Slow { waited }.into())),
        }
    }

    /// A blob, whose bytes end in an error unless every one is right; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be had, or is longer than `max_bytes`.
    pub async fn blob(
        &self,
        digest: &Digest,
        max_bytes: u64,
    ) -> Result<Option<Arriving>, UpstreamError> {
        let download = match self.client.download(digest).await {
            // Whether it ends a row of failures is seen at its own end.
            Ok(download) => download,
            Err(error) => return self.cache.answer(Err(error)),
        };
        self.cache.has_answered.store(true, Ordering::Relaxed);
        let bytes = download.size_bytes();
        if bytes.is_some_and(|bytes| bytes > max_bytes) {
            self.cache.answered();
            return Err(UpstreamError::TooLong { max_bytes });
        }
        let receiving = Receiving {
            download,
            reach: Arc::clone(&self.cache),
            max_bytes,
            received_bytes: 0,
            waited: Duration::ZERO,
            wait: self.wait,
        };
        let pieces = stream::try_unfold(receiving, |mut receiving| async move {
            Ok(receiving.piece().await?.map(|piece| (piece, receiving)))
        });
        Ok(Some(Arriving { bytes, pieces: pieces.boxed() }))
    }

    /// The error to end with when not one key had a list.
    #[must_use]
    pub fn has_no_list(&self) -> UpstreamError {
        UpstreamError::HasNothing { url: self.directory.url.clone(), what: "of these keys" }
    }

    /// The error to end with when not one blob was there.
    #[must_use]
    pub fn has_no_blob(&self) -> UpstreamError {
        UpstreamError::HasNothing { url: self.cache.url.clone(), what: "of the blobs" }
    }

    /// Where a key's list is read, without credentials.
    #[must_use]
    pub fn key_url(&self, key: &Key) -> String {
        format!("{}/{}", self.directory.url, key.to_path())
    }

    /// Where a blob is read, without credentials.
    #[must_use]
    pub fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/{digest}", self.cache.url)
    }
}

impl Location {
    fn config(&self) -> Result<Config, ConfigError> {
        let at = |url: &str| Ok::<_, ConfigError>(Service::at(url.parse()?));
        match self {
            Self::Server(url) => Config::for_server(url),
            Self::Apart { cache, directory } => {
                Ok(Config { cache: at(cache)?, directory: at(directory)?, ..Config::default() })
            }
            Self::Networkcache(path) => Networkcache::from_file(path)?.services(Purpose::Sources),
        }
    }
}

/// A blob on its way.
pub struct Arriving {
    /// How long it is, when the other server told.
    pub bytes: Option<u64>,
    /// Its bytes.
    pub pieces: BoxStream<'static, Result<Bytes, UpstreamError>>,
}

/// Why something cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// What says where it is cannot be used.
    #[error(transparent)]
    Config(#[from] ClientError),
    /// The service did not answer at all.
    #[error("{url} cannot be reached")]
    Gone {
        /// The service, without credentials.
        url: Box<str>,
        /// The last failure.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service brought nothing of what was asked for many times in a row.
    #[error("{url} failed {times} times in a row")]
    Failing {
        /// The service, without credentials.
        url: Box<str>,
        /// How often.
        times: u64,
        /// The last failure.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service says of everything that it is not there.
    #[error("{url} has none {what}: it may be the wrong address")]
    HasNothing {
        /// The service, without credentials.
        url: Box<str>,
        /// Of what.
        what: &'static str,
    },
    /// The service wants other credentials.
    #[error("{url} wants a user and password, or others than these")]
    Denied {
        /// The service, without credentials.
        url: Box<str>,
    },
    /// This one thing failed.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
    /// What came is not what was asked for.
    #[error("{what}")]
    Wrong {
        /// What does not fit.
        what: Box<str>,
    },
    /// It does not end.
    #[error("it is longer than {max_bytes} bytes")]
    TooLong {
        /// The most that is taken.
        max_bytes: u64,
    },
}

/// It comes so slowly that its end is not waited for.
#[derive(Debug, thiserror::Error)]
#[error("it is not there after {} s", waited.as_secs_f32())]
pub struct Slow {
    /// How long was waited.
    pub waited: Duration,
}

impl From<ConfigError> for UpstreamError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.into())
    }
}

/// What is known of how one service answers.
#[derive(Debug)]
struct Reach {
    url: Box<str>,
    has_answered: AtomicBool,
    failures_in_a_row: AtomicU64,
}

impl Reach {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            url: endpoint.as_str().into(),
            has_answered: AtomicBool::new(false),
            failures_in_a_row: AtomicU64::new(0),
        }
    }

    fn answer<T>(&self, answer: Result<T, ClientError>) -> Result<Option<T>, UpstreamError> {
        match answer {
            Ok(answer) => {
                self.answered();
                Ok(Some(answer))
            }
            Err(ClientError::NotFound { .. }) => {
                self.answered();
                Ok(None)
            }
            Err(error) => Err(self.failure(error)),
        }
    }

    fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
        self.failures_in_a_row.store(0, Ordering::Relaxed);
    }

    /// What a failure means, after those before it.
    fn failure(&self, error: ClientError) -> UpstreamError {
        let source = match error {
            ClientError::Transport { source, .. } => source,
            ClientError::Corrupt { reason: what } => {
                self.answered();
                return UpstreamError::Wrong { what };
            }
            other => return UpstreamError::Failed(other.into()),
        };
        let last = last_try(&source);
        let wants_credentials =
            matches!(last, TransportError::Status { status: StatusCode::UNAUTHORIZED, .. });
        if wants_credentials && !self.has_answered.load(Ordering::Relaxed) {
            return UpstreamError::Denied { url: self.url.clone() };
        }
        if !matches!(last, TransportError::Send(_) | TransportError::NoAnswer { .. }) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
        self.failed(source.into())
    }

    /// One failure more.
    fn failed(&self, source: Box<dyn Error + Send + Sync>) -> UpstreamError {
        let url = self.url.clone();
        if !self.has_answered.load(Ordering::Relaxed) {
            return UpstreamError::Gone { url, source };
        }
        let times = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if times >= MOST_FAILURES_IN_A_ROW {
            return UpstreamError::Failing { url, times, source };
        }
        UpstreamError::Failed(source)
    }
}

fn last_try(mut error: &TransportError) -> &TransportError {
    while let TransportError::GaveUp { source, .. } = error {
        error = source;
    }
    error
}

/// A blob while it comes.
struct Receiving {
    download: Download,
    reach: Arc<Reach>,
    max_bytes: u64,
    received_bytes: u64,
    /// How much of the time was spent on waiting for it, and not for whoever takes it.
    waited: Duration,
    wait: Duration,
}

impl Receiving {
    async fn piece(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let granted = self.received_bytes / BYTES_FOR_A_WAIT + u64::from(MOST_WAITS);
        let granted = self.wait.saturating_mul(u32::try_from(granted).unwrap_or(u32::MAX));
        let began = Instant::now();
        let piece = timeout(granted.saturating_sub(self.waited), self.download.piece()).await;
        self.waited += began.elapsed();
        let piece = match piece {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Err(self.reach.failure(error)),
            Err(_) => return Err(self.reach.failed(Slow { waited: self.waited }.into())),
        };
        let Some(piece) = piece else {
            self.reach.answered();
            return Ok(None);
        };
        self.received_bytes += piece.len() as u64;
        if self.received_bytes > self.max_bytes {
            self.reach.answered();
            return Err(UpstreamError::TooLong { max_bytes: self.max_bytes });
        }
        Ok(Some(piece))
    }
}

/// How many times the wait for an answer a whole list may take, and any blob.
const MOST_WAITS: u32 = 10;
/// What a blob has to bring for each wait that it takes beyond those.
const BYTES_FOR_A_WAIT: u64 = 64 << 10;
/// More would take days before somebody sees that the other server is down.
const MOST_FAILURES_IN_A_ROW: u64 = 10;
