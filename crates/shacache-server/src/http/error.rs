//! From failure to answer: the only place that turns what went wrong into a status, a line for the
//! client and a line in the log. Clients are told what is wrong with what they sent, and nothing
//! about the inside. Must not know which handler failed.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use shacache_core::digest::{AnyDigestError, Digest, DigestError};
use shacache_core::entry::EntryError;
use shacache_core::key::KeyError;
use shacache_core::wire::{CACHE_NEVER, TEXT_MEDIA_TYPE};
use shacache_store::error::{Chain, StoreError};
use tracing::Level;

pub(crate) use self::verdict::{Stage, Verdict};
use super::condition::ConditionError;
use super::host::HostError;
use super::narrowing::NarrowingError;
use super::range::RangeError;
use super::write::WriteError;
use crate::access::Refusal;
use crate::access_log::Exchange;
use crate::admin::command::{CommandError, Malformed};
use crate::metrics::Metrics;
use crate::signers::Refused;

mod verdict;

/// Why a request gets neither a 2xx nor a 304. The text of each says what the client did wrong,
/// or, where it did nothing wrong, what the log is to say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("{method} is not possible here; Allow lists what is")]
    Method { method: Method, allowed: HeaderValue },
    #[error("no such blob")]
    NoBlob,
    #[error("no entry under this key")]
    NoEntry,
    #[error("several blobs share this digest; ask by SHA-512")]
    Ambiguous,
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    BlobName(#[from] AnyDigestError),
    #[error("a blob is put under its SHA-512: {0}")]
    UploadName(#[from] DigestError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a key's ? is written %3F")]
    KeyWithQuery,
    #[error(transparent)]
    Narrowing(#[from] NarrowingError),
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Command(#[from] Malformed),
    #[error(transparent)]
    NotTaken(#[from] Refused),
    #[error(transparent)]
    Condition(#[from] ConditionError),
    #[error("{source}")]
    Range { source: RangeError, size: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("panic: {0}")]
    Panic(String),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Malformed(error) => Self::Command(error),
            CommandError::Store(error) => Self::Store(error),
        }
    }
}

impl Failure {
    /// What a handler's panic is told as.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = literal.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panic(text.unwrap_or_else(|| "no text".to_owned()))
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::NoRoute => Verdict::Nowhere,
            Self::NoBlob | Self::NoEntry => Verdict::Missing,
            Self::Method { .. } => Verdict::WrongMethod,
            Self::Ambiguous => Verdict::Ambiguous,
            Self::Host(_)
            | Self::BlobName(_)
            | Self::UploadName(_)
            | Self::Key(_)
            | Self::KeyWithQuery
            | Self::Narrowing(_)
            | Self::Entry(_)
            | Self::Command(_)
            | Self::Condition(ConditionError::Malformed(_)) => Verdict::Malformed,
            Self::NotTaken(_) => Verdict::Forbidden,
            Self::Condition(ConditionError::Failed) => Verdict::ConditionFailed,
            Self::Range { .. } => Verdict::NoSuchPart,
            Self::Refused(refusal) => refusal_verdict(refusal),
            Self::Write(error) => write_verdict(error),
            Self::Store(error) => store_verdict(error),
            Self::Panic(_) => Verdict::Broken,
        }
    }

    /// The header that goes with the status, where one does.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method { allowed, .. } => Some((ALLOW, allowed.clone())),
            Self::Store(StoreError::Busy { retry_after }) => {
                Some((RETRY_AFTER, retry_after.as_secs().max(1).into()))
            }
            Self::Refused(Refusal::Failures { wait }) => {
                Some((RETRY_AFTER, wait.as_secs().saturating_add(1).into()))
            }
            Self::Refused(Refusal::Busy) => Some((RETRY_AFTER, 1.into())),
            Self::Refused(refusal) if refusal_verdict(refusal) == Verdict::Unknown => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)))
            }
            Self::Write(WriteError::TooMany) => Some((RETRY_AFTER, WRITES_RETRY_SECONDS.into())),
            Self::Range { size, .. } => {
                let unsatisfied = HeaderValue::try_from(format!("bytes */{size}"))
                    .expect("a number and this are printable ASCII");
                Some((CONTENT_RANGE, unsatisfied))
            }
            _ => None,
        }
    }
}

fn refusal_verdict(refusal: &Refusal) -> Verdict {
    match refusal {
        // Other credentials may help.
        Refusal::Nobody | Refusal::Unreadable(_) | Refusal::Wrong | Refusal::NotInQuery => {
            Verdict::Unknown
        }
        Refusal::ReadOnly | Refusal::Stranger | Refusal::Role { .. } | Refusal::Key(_) => {
            Verdict::Forbidden
        }
        Refusal::Failures { .. } => Verdict::TooOften,
        Refusal::Busy => Verdict::Unavailable,
    }
}

fn write_verdict(error: &WriteError) -> Verdict {
    match error {
        WriteError::TooLarge { .. } => Verdict::TooLarge,
        WriteError::Encoded | WriteError::MediaType { .. } => Verdict::WrongForm,
        WriteError::ForeignOrigin | WriteError::UnknownHost => Verdict::Forbidden,
        WriteError::TimedOut => Verdict::TooSlow,
        WriteError::TooMany => Verdict::Unavailable,
        WriteError::Part | WriteError::TooManyTrailers | WriteError::CutShort(_) => {
            Verdict::Malformed
        }
    }
}

fn store_verdict(error: &StoreError) -> Verdict {
    match error {
        StoreError::WrongDigest { .. } | StoreError::WrongLength { .. } => Verdict::Malformed,
        StoreError::UnclaimedTooLarge { .. } => Verdict::TooLarge,
        StoreError::Banned(_) | StoreError::KeyFull { .. } => Verdict::Forbidden,
        StoreError::Held { .. } | StoreError::MostBlobsMissing { .. } | StoreError::Unsure(_) => {
            Verdict::Kept
        }
        StoreError::NoSpace => Verdict::Full,
        // The store logs once why it refuses writes; each refused request says so in the access
        // log only.
        StoreError::Busy { .. } | StoreError::ReadOnly { .. } | StoreError::Closed => {
            Verdict::Unavailable
        }
        StoreError::Io { .. } => Verdict::Failing,
        StoreError::Damaged(_)
        | StoreError::Index(_)
        | StoreError::Locked(_)
        | StoreError::Format { .. }
        | StoreError::NoArchive(_)
        | StoreError::NoExport { .. }
        | StoreError::TwoFileSystems(..)
        | StoreError::Link(_) => Verdict::Broken,
    }
}

/// A failure on its way out, as an extension of its response: [`finish`] needs the request to say
/// it in the form that the client asked for.
#[derive(Debug, Clone)]
struct Failed(Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.verdict().status();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Failed(Arc::new(self)));
        response
    }
}

/// Writes the body of a failed answer and the line in the log. Other answers pass unchanged.
pub(crate) fn finish(
    mut response: Response,
    accept: Option<&HeaderValue>,
    exchange: &Exchange,
) -> Response {
    let Some(Failed(failure)) = response.extensions_mut().remove::<Failed>() else {
        return response;
    };
    let verdict = failure.verdict();
    let status = verdict.status();
    log(verdict.level(), &failure, exchange);
    let reason = status.canonical_reason().unwrap_or_default();
    let detail = if status.is_server_error() { reason.to_owned() } else { failure.to_string() };
    let (media_type, body) = if accept.is_some_and(wants_problem) {
        let problem = json!({ "title": reason, "status": status.as_u16(), "detail": detail });
        (PROBLEM, problem.to_string())
    } else {
        (TEXT_MEDIA_TYPE, detail + "\n")
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_NEVER));
    *response.body_mut() = Body::from(body);
    response
}

/// Notes that an answer was cut short of its Content-Length, which is how a client is told of a
/// failure after the status line.
pub(crate) fn cut_short(metrics: &Metrics, digest: &Digest, cause: &dyn std::error::Error) {
    metrics.answer_cut_short();
    tracing::error!(%digest, error = %Chain(cause), "answer cut short");
}

fn log(level: Option<Level>, failure: &Failure, exchange: &Exchange) {
    let (method, path, request_id) = (exchange.method(), exchange.path(), exchange.request_id());
    match level {
        None => {}
        Some(Level::ERROR) => {
            tracing::error!(%method, %path, request_id, error = %Chain(failure), "request failed");
        }
        Some(_) => {
            let error = Chain(failure);
            tracing::warn!(%method, %path, request_id, %error, "request refused");
        }
    }
}

/// Whether the client asks for problem details (RFC 9457) by name; a wildcard is no such wish.
fn wants_problem(accept: &HeaderValue) -> bool {
    let mut ranges = accept.as_bytes().split(|&byte| byte == b',');
    ranges.any(|range| {
        let media_type = range.split(|&byte| byte == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(PROBLEM.as_bytes())
    })
}

/// What a client that asks can send. Old ones send Basic unasked, from the user in the URL.
const CHALLENGE: &str = "Basic realm=\"shacache\", charset=\"UTF-8\", Bearer realm=\"shacache\"";

/// Long enough for some writes to end.
const WRITES_RETRY_SECONDS: u32 = 5;

/// The media type of problem details.
pub(crate) const PROBLEM: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use http::{Request, StatusCode};
    use http_body_util::BodyExt as _;

    use super::*;

    async fn finished(failure: Failure, method: Method) -> (http::response::Parts, String) {
        let request = Request::builder().method(method).body(()).unwrap();
        let response = finish(failure.into_response(), None, &Exchange::begin(&request, None));
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts, String::from_utf8(body.to_vec()).unwrap())
    }

    fn io() -> StoreError {
        let source = Arc::new(io::Error::other("secret"));
        StoreError::Io { op: "write", path: "/secret".into(), source }
    }

    #[tokio::test]
    async fn failures_of_the_server_say_nothing_but_their_status() {
        for (error, line) in [
            (StoreError::NoSpace, "507 Insufficient Storage"),
            (StoreError::ReadOnly { reason: "secret".into() }, "503 Service Unavailable"),
            (StoreError::Closed, "503 Service Unavailable"),
            (io(), "503 Service Unavailable"),
            (StoreError::Damaged(Box::new(Digest::of(b""))), "500 Internal Server Error"),
        ] {
            let (parts, body) = finished(error.into(), Method::GET).await;
            assert_eq!(format!("{} {body}", parts.status.as_u16()), format!("{line}\n"));
        }
        let (parts, body) = finished(Failure::panicked(&"secret"), Method::GET).await;
        assert_eq!((parts.status.as_u16(), body.as_str()), (500, "Internal Server Error\n"));
    }

    #[tokio::test]
    async fn a_busy_server_says_when_to_come_back() {
        for (wait, header) in [(0, "1"), (7_900, "7")] {
            let busy = StoreError::Busy { retry_after: Duration::from_millis(wait) };
            let (parts, _) = finished(busy.into(), Method::GET).await;
            assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(parts.headers[RETRY_AFTER], header);
        }
    }

    #[tokio::test]
    async fn a_banned_blob_is_forbidden_to_send() {
        let banned = StoreError::Banned(Box::new(Digest::of(b"")));
        assert_eq!(finished(banned.into(), Method::POST).await.0.status, StatusCode::FORBIDDEN);
    }
}
