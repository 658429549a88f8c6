//! One request and its answer as seen from outside: one line in the access log and one observation
//! in the metrics, made when the last byte of the answer left or the client went away, before or
//! after its answer began. Must not know what the request meant.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::access::Name;
use crate::listen::Peer;
use crate::metrics::{Metrics, Route};

/// The side of a request that logs and metrics show. Its path is the raw one; the query is left
/// out, since clients exist that put a token there.
#[derive(Debug)]
pub(crate) struct Exchange {
    method: Method,
    /// In ASCII whatever the client sent: what else may be in it turns lines around or starts escape
    /// sequences in some terminal.
    path: Box<str>,
    peer: Option<Peer>,
    request_id: Option<Box<str>>,
    user_agent: Option<Box<str>>,
    started: Instant,
}

impl Exchange {
    /// Notes what is to be said about `request`.
    pub(crate) fn begin<B>(request: &Request<B>, peer: Option<Peer>) -> Self {
        let headers = request.headers();
        // Copies: what is cloned from a request keeps the buffer that it was read into.
        let text = |value: &HeaderValue| value.to_str().ok().map(Box::from);
        Self {
            method: request.method().clone(),
            path: in_ascii(request.uri().path()),
            peer,
            request_id: headers.get(&REQUEST_ID).filter(|id| is_request_id(id)).and_then(text),
            user_agent: headers.get(USER_AGENT).and_then(text).map(shortened),
            started: Instant::now(),
        }
    }

    /// Who asks; `None` where nobody is connected.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The raw path, in printable ASCII.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The client's own name for the request, if it sent a well-formed one.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Gives the client its name for the request back.
    pub(crate) fn echo_id(&self, headers: &mut HeaderMap) {
        if let Some(id) = self.request_id().and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(REQUEST_ID, id);
        }
    }

    /// The client's address without its port; of a Unix socket there is none.
    fn client(&self) -> String {
        match self.peer.as_ref().map(Peer::ip) {
            Some(Some(ip)) => ip.to_string(),
            Some(None) | None => "unix".to_owned(),
        }
    }
}

/// A request that is owed its line and its observation; both are made when this is dropped, so
/// nothing that can end a request loses them.
#[derive(Debug)]
pub(crate) struct Report {
    exchange: Exchange,
    metrics: Metrics,
    route: Route,
    /// Who sent it, as far as that was asked and found out.
    name: Option<Name>,
    /// `None` while nothing has been answered.
    status: Option<StatusCode>,
    sent_bytes: u64,
    whole: bool,
}

impl Report {
    /// Begins to report `request`.
    pub(crate) fn begin<B>(request: &Request<B>, peer: Option<Peer>, metrics: Metrics) -> Self {
        Self {
            exchange: Exchange::begin(request, peer),
            metrics,
            route: Route::None,
            name: None,
            status: None,
            sent_bytes: 0,
            whole: false,
        }
    }

    /// Notes which way the request took.
    pub(crate) fn route(&mut self, route: Route) {
        self.route = route;
    }

    /// Notes who sent it.
    pub(crate) fn name(&mut self, name: Name) {
        self.name = Some(name);
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The same answer, reported once it is over.
    pub(crate) fn watch(mut self, response: Response) -> Response<Watched> {
        self.status = Some(response.status());
        response.map(|body| {
            self.whole = body.is_end_stream();
            Watched { body, report: self }
        })
    }
}

/// The body of an answer, reported when it is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    body: Body,
    report: Report,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.report.sent_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        self.report.whole = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let Self { exchange, metrics, route, name, status, sent_bytes, whole } = self;
        let elapsed = exchange.started.elapsed();
        let (status, outcome) = match status {
            Some(status) => (status.as_u16(), "answered"),
            None => (CLIENT_CLOSED_REQUEST, "abandoned"),
        };
        metrics.answered(&exchange.method, *route, status, *sent_bytes, elapsed);
        // Texts from the client go out as string values, which both log formats escape.
        tracing::info!(
            target: "shacached::access",
            client = exchange.client(),
            identity = name.as_ref().map(Name::as_str),
            method = exchange.method.as_str(),
            path = exchange.path(),
            status,
            sent_bytes,
            whole,
            ms = elapsed.as_micros() as f64 / 1000.0,
            request_id = exchange.request_id(),
            user_agent = exchange.user_agent.as_deref(),
            "{outcome}"
        );
    }
}

/// Enough to tell programs apart. A line is kept as long as its answer is read, and logs for ever.
fn shortened(user_agent: Box<str>) -> Box<str> {
    user_agent.get(..USER_AGENT_BYTES).map(Box::from).unwrap_or(user_agent)
}

fn in_ascii(path: &str) -> Box<str> {
    if path.is_ascii() {
        return path.into();
    }
    let mut ascii = String::with_capacity(2 * path.len());
    for byte in path.bytes() {
        if byte.is_ascii() {
            ascii.push(byte.into());
        } else {
            ascii += &format!("%{byte:02X}");
        }
    }
    ascii.into()
}

/// Printable, without spaces and quotes, and not longer than any tool makes them.
fn is_request_id(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_.:=+/~@".contains(&byte))
}

/// What logs and metrics have long shown for a request whose client went away before its answer
/// began. It is never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

const USER_AGENT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_no_more_about_itself_than_is_worth_a_line() {
        let noted = |user_agent: &str| {
            let request = Request::get("/").header(USER_AGENT, user_agent).body(()).unwrap();
            Exchange::begin(&request, None).user_agent.unwrap().into_string()
        };
        assert_eq!(noted("buildout/1.0"), "buildout/1.0");
        assert_eq!(noted(&"a".repeat(30_000)), "a".repeat(256));
    }
}
