//! HTTP as the two services speak it: connections, TLS, time limits, which failures pass and which
//! do not. Knows nothing of blobs and entries. Redirects are never followed, so that credentials
//! and certificates reach only the configured host.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};
use tokio::time::timeout;

use crate::config::{ConfigError, Endpoint, Retries, Service, Timeouts};
use crate::error::ClientError;

pub(crate) use self::answer::Answer;
pub(crate) use self::pause::Pauses;

mod answer;
mod pause;
mod tls;

/// One service as this client reaches it.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    download: Option<Endpoint>,
    upload: Option<Endpoint>,
    options: Options,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
}

/// What the addresses of a service are called in a configuration, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) download: &'static str,
    pub(crate) upload: &'static str,
}

impl Transport {
    pub(crate) fn new(
        service: &Service,
        options: Options,
        timeouts: Timeouts,
        retries: Retries,
    ) -> Result<Self, ConfigError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let builder = reqwest::Client::builder()
            .user_agent(concat!("shacache/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            // A kept connection may have been closed by the server meanwhile. An upload that learns so
            // cannot be told from one that broke, and would be sent again.
            .pool_max_idle_per_host(0)
            .connect_timeout(timeouts.connect);
        let secure = [&service.download, &service.upload]
            .into_iter()
            .flatten()
            .any(|endpoint| endpoint.as_str().starts_with("https:"));
        let files = secure.then_some(&service.tls);
        Ok(Self {
            http: tls::build(builder, files)?,
            download: service.download.clone(),
            upload: service.upload.clone(),
            options,
            timeouts,
            retries,
        })
    }

    /// Where `path`, encoded for the wire, is read.
    pub(crate) fn download_url(&self, path: &str) -> Result<Url, ConfigError> {
        self.reading()?.join(path)
    }

    /// Where `path` is written; the service itself when `None`.
    pub(crate) fn upload_url(&self, path: Option<&str>) -> Result<Url, ConfigError> {
        let endpoint =
            self.upload.as_ref().ok_or(ConfigError::Missing { option: self.options.upload })?;
        path.map_or_else(|| endpoint.url(), |path| endpoint.join(path))
    }

    /// Sends a GET and waits for the answer to begin. One try; `headers` are added.
    pub(crate) async fn get(
        &self,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Answer, TransportError> {
        let endpoint = self.download.as_ref().or(self.upload.as_ref());
        let request = self.request(Method::GET, url, endpoint).headers(headers);
        let limit = self.timeouts.connect + self.timeouts.answer;
        let response = timeout(limit, request.send())
            .await
            .map_err(|_| TransportError::NoAnswer { waited: limit })?
            .map_err(|error| TransportError::Send(error.without_url()))?;
        self.checked(response).await
    }

    /// A request that carries a body; [`Transport::checked`] reads its answer.
    pub(crate) fn upload_request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.request(method, url, self.upload.as_ref())
    }

    /// Turns every status other than 2xx into an error.
    pub(crate) async fn checked(&self, response: Response) -> Result<Answer, TransportError> {
        Answer::checked(response, self.timeouts.stall).await
    }

    fn reading(&self) -> Result<&Endpoint, ConfigError> {
        self.download.as_ref().ok_or(ConfigError::Missing { option: self.options.download })
    }

    fn request(&self, method: Method, url: &Url, endpoint: Option<&Endpoint>) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match endpoint.and_then(Endpoint::credentials) {
            Some(known) => request.basic_auth(&known.user, Some(&known.password)),
            None => request,
        }
    }
}

/// Why a request did not bring what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, or it broke before the answer began.
    #[error("the request failed")]
    Send(#[source] reqwest::Error),
    /// The connection broke while the body was on its way.
    #[error("the connection broke off")]
    Body(#[source] reqwest::Error),
    /// The body ended before its announced length.
    #[error("the body ended after {received_bytes} of {announced_bytes} bytes")]
    Short {
        /// Bytes that came.
        received_bytes: u64,
        /// What Content-Length said.
        announced_bytes: u64,
    },
    /// The answer did not begin in time.
    #[error("no answer within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// How long was waited.
        waited: Duration,
    },
    /// No byte moved for too long.
    #[error("nothing moved for {} s", waited.as_secs_f32())]
    Stalled {
        /// How long was waited.
        waited: Duration,
    },
    /// So little moved for so long that the end will not come.
    #[error("only {bytes} bytes came in {} s", waited.as_secs_f32())]
    Crawled {
        /// Bytes that came.
        bytes: u64,
        /// How long was waited for them.
        waited: Duration,
    },
    /// The server answered with something other than success. Redirects are not followed.
    #[error("the server answered {status}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Status {
        /// The status.
        status: StatusCode,
        /// The first line of the body, when it is text.
        reason: Box<str>,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is a success that makes no sense.
    #[error("the server's answer makes no sense: {what}")]
    Nonsense {
        /// What does not fit.
        what: Box<str>,
    },
    /// It failed more often than is worth following.
    #[error("gave up after {tries} tries")]
    GaveUp {
        /// How often it failed.
        tries: usize,
        /// The last failure.
        source: Box<Self>,
    },
}

impl TransportError {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Send(error) => !error.is_builder() && !is_certificate_failure(error),
            Self::Body(_)
            | Self::Short { .. }
            | Self::NoAnswer { .. }
            | Self::Stalled { .. }
            | Self::Crawled { .. } => true,
            Self::Status { status, .. } => {
                // 507 is for an operator to mend, 501 and 505 will not change.
                matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Nonsense { .. } | Self::GaveUp { .. } => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Send(_)
            | Self::Body(_)
            | Self::Short { .. }
            | Self::NoAnswer { .. }
            | Self::Stalled { .. }
            | Self::Crawled { .. }
            | Self::Nonsense { .. }
            | Self::GaveUp { .. } => None,
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Send(_)
            | Self::Body(_)
            | Self::Short { .. }
            | Self::NoAnswer { .. }
            | Self::Stalled { .. }
            | Self::Crawled { .. }
            | Self::Nonsense { .. }
            | Self::GaveUp { .. } => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self.status(), Some(StatusCode::NOT_FOUND | StatusCode::GONE))
    }

    pub(crate) fn at(self, url: &Url) -> ClientError {
        ClientError::Transport { url: shown(url), source: self }
    }
}

/// An address as messages show it: without the credentials that may be in it.
pub(crate) fn shown(url: &Url) -> Box<str> {
    let mut url = url.clone();
    // Neither fails: an http URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().into()
}

/// What a server has to send, at the least, to count as one that sends: within the limit on a stall,
/// and between two breaks of a connection. A line that is slower was slow in the days of modems.
pub(crate) const MOVED_BYTES: u64 = 4096;

/// A certificate that does not verify will not verify a second later either.
fn is_certificate_failure(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.to_string().contains("invalid peer certificate") {
            return true;
        }
        cause = error.source();
    }
    false
}
