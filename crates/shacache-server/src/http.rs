//! HTTP in front of the store: what every request passes on its way to its route and every answer
//! on its way back. Must not know which routes there are, nor how anything is stored.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;

pub(crate) use self::blob::BlobHeaders;
use self::call::{Call, Mount, OpenRead, keep_private};
use self::dispatch::Dispatch;
use self::error::Failure;
use self::host::Host;
use self::routes::{Place, Resource};
use crate::access::{Right, UploadPolicy};
use crate::access_log::{Report, Watched};
use crate::app::App;
use crate::listen::Peer;
use crate::mount::{HostName, MountPath};

mod administration;
mod blob;
mod browser;
mod call;
mod condition;
mod directory;
mod dispatch;
#[cfg(test)]
mod either_way;
mod error;
mod host;
mod narrowing;
mod openapi;
mod ops;
mod range;
mod routes;
mod signers;
mod target;
#[cfg(test)]
mod timing;
mod web_page;
mod write;

/// Answers requests for one server. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    by_path: Dispatch,
    by_host: HashMap<HostName, Dispatch>,
}

impl Answers {
    /// The routes of `app`, of a server where `upload` says who may upload.
    pub(crate) fn new(app: App, upload: UploadPolicy) -> Self {
        Self::of(app, upload, routes::table)
    }

    fn of(app: App, upload: UploadPolicy, table: fn() -> Vec<Resource>) -> Self {
        let root = MountPath::root();
        let at = |all: Dispatch, place: Place, path: &MountPath| {
            all.with(table(), place, Mount::new(&app, upload, path))
        };
        let mounts = app.mounts();
        let blobs = mounts.shacache().iter().map(|path| (Place::Shacache, path));
        let keys = mounts.shadir().iter().map(|path| (Place::Shadir, path));
        let places = blobs.chain(keys).chain([(Place::Server, &root)]);
        let by_path = places.fold(Dispatch::default(), |all, (place, path)| at(all, place, path));
        // On a host of its own a service is at the root, and nothing else is there.
        let alone = |place: Place| at(Dispatch::default(), place, &root);
        let blobs = mounts.shacache_host().iter().map(|host| (host, Place::Shacache));
        let keys = mounts.shadir_host().iter().map(|host| (host, Place::Shadir));
        let by_host = blobs.chain(keys).map(|(host, place)| (host.clone(), alone(place))).collect();
        Self(Arc::new(Inner { by_path, by_host, app }))
    }

    /// Answers one request of `peer`: at once if what is asked for is at hand.
    pub(crate) fn answer<B>(&self, request: http::Request<B>, peer: Option<Peer>) -> Answering
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        // First of all: from here on the request is reported even if the future is dropped.
        let mut report = Report::begin(&request, peer, self.0.app.metrics().clone());
        let at_hand = AssertUnwindSafe(|| self.0.at_hand(&request, &mut report));
        match panic::catch_unwind(at_hand).transpose() {
            Some(answered) => {
                let asked = match &answered {
                    Ok(_) => Asked::of_get(),
                    Err(_) => Asked::by(&request),
                };
                let answered = answered.map_err(|panic| self.0.panicked(&*panic));
                Either::Left(Prepared(Some((asked, answered, report))))
            }
            None => Either::Right(self.clone().ask(request, report).boxed()),
        }
    }

    /// Everything that happens to a request whose answer is not at hand stands here, in order.
    async fn ask<B>(self, request: http::Request<B>, mut report: Report) -> Response<Watched>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let asked = Asked::by(&request);
        // Most requests have no body: nothing is to be kept for one.
        let request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(body),
        });
        let answered = AssertUnwindSafe(self.0.route(request, &mut report)).catch_unwind().await;
        let answered = answered.unwrap_or_else(|panic| Err(self.0.panicked(&*panic)));
        asked.complete(answered, report)
    }
}

/// An answer on its way.
pub(crate) type Answering = Either<Prepared, BoxFuture<'static, Response<Watched>>>;

/// An answer that is there, and begins when it is asked for: a client may be gone before that.
pub(crate) struct Prepared(Option<(Asked, Result<Response, Failure>, Report)>);

impl Future for Prepared {
    type Output = Response<Watched>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response<Watched>> {
        let (asked, answered, report) =
            self.0.take().expect("a future is not polled once it is ready");
        Poll::Ready(asked.complete(answered, report))
    }
}

/// What matters of a request once it is answered.
struct Asked {
    accept: Option<HeaderValue>,
    is_head: bool,
}

impl Asked {
    fn by<B>(request: &http::Request<B>) -> Self {
        let accept = request.headers().get(ACCEPT).cloned();
        Self { accept, is_head: *request.method() == Method::HEAD }
    }

    /// What matters where a GET succeeds.
    fn of_get() -> Self {
        Self { accept: None, is_head: false }
    }

    /// What happens to every answer.
    fn complete(self, answered: Result<Response, Failure>, report: Report) -> Response<Watched> {
        let response = answered.unwrap_or_else(Failure::into_response);
        let mut response = error::finish(response, self.accept.as_ref(), report.exchange());
        if self.is_head {
            announce_length(&mut response);
            *response.body_mut() = Body::empty();
        }
        browser::protect(response.headers_mut());
        report.exchange().echo_id(response.headers_mut());
        report.watch(response)
    }
}

impl Inner {
    /// What [`Inner::route`] would answer, if nothing has to be decided or waited for. Whatever it
    /// would refuse is left to it.
    fn at_hand<B>(&self, request: &http::Request<B>, report: &mut Report) -> Option<Response> {
        // Nothing else can be, so that nothing is looked for in vain.
        if *request.method() != Method::GET {
            return None;
        }
        let host = host::requested(request).ok()?;
        let (mount, resource) = self.on(host).find(request.uri().path())?;
        let operation = resource.operation(request.method())?;
        let answer = operation.at_hand?;
        report.route(resource.label);
        answer(OpenRead::admit(mount, operation.right, request)?)
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Failure {
        self.app.metrics().panicked();
        Failure::panicked(panic)
    }

    fn on(&self, host: Option<Host<'_>>) -> &Dispatch {
        match host {
            Some(host) if !self.by_host.is_empty() => {
                self.by_host.get(&host.name()).unwrap_or(&self.by_path)
            }
            Some(_) | None => &self.by_path,
        }
    }

    /// Finds what the request is for, asks whether it may, and has it answered.
    async fn route(&self, mut request: Request, report: &mut Report) -> Result<Response, Failure> {
        let host = host::requested(&request)?;
        let Some((mount, resource)) = self.on(host).find(request.uri().path()) else {
            return elsewhere(&request);
        };
        report.route(resource.label);
        let Some(operation) = resource.operation(request.method()) else {
            return other_method(resource, request.method());
        };
        let peer = report.exchange().peer();
        let call = Call::admit(mount.clone(), operation.right, &mut request, peer).await?;
        if let Some(name) = call.name() {
            report.name(name.clone());
        }
        let mut response = operation.handler.answer(call, request).await;
        if operation.right == Right::Read && self.app.access().is_private() {
            keep_private(&mut response);
        }
        Ok(response)
    }
}

/// Paths that are none of ours. `*` is no path: it asks for the server as a whole (RFC 9110
/// §9.3.7).
fn elsewhere(request: &Request) -> Result<Response, Failure> {
    if *request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Ok(possible(HeaderValue::from_static(routes::METHODS_ANYWHERE)));
    }
    Err(Failure::NoRoute)
}

/// Neither changes nor fails when asked what is possible.
fn other_method(resource: &Resource, method: &Method) -> Result<Response, Failure> {
    let allowed = resource.allowed();
    match *method {
        Method::OPTIONS => Ok(possible(allowed)),
        _ => Err(Failure::Method { method: method.clone(), allowed }),
    }
}

fn possible(methods: HeaderValue) -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, methods)]).into_response()
}

/// To be done before the body of an answer to a HEAD is taken away. A 204 has no length, and that of
/// a 304 would be of what is not sent (RFC 9110 §8.6).
fn announce_length(response: &mut Response) {
    let has_none = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(bytes) = response.body().size_hint().exact()
        && !has_none
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::config::{self, Overrides};
    use crate::metrics::Route;

    async fn stuck(_: Call, _: Request) -> StatusCode {
        std::future::pending().await
    }

    async fn panicking(_: Call, _: Request) -> StatusCode {
        panic!("secret")
    }

    fn panicking_at_once(_: OpenRead<'_>) -> Option<Response> {
        panic!("secret")
    }

    /// Resources that no server has: nothing ever comes of one, the others panic.
    fn troubles() -> Vec<Resource> {
        let at = |path| Resource::new(Place::Server, path, Route::Blobs);
        vec![
            at(&["/stuck"]).get(Right::Nothing, "", "", &[], stuck),
            at(&["/panic"]).get(Right::Nothing, "", "", &[], panicking),
            at(&["/at-once"]).get(Right::Read, "", "", &[], stuck).at_hand(panicking_at_once),
        ]
    }

    fn answers_on(folder: &tempfile::TempDir) -> Answers {
        let data = Some(folder.path().join("data").display().to_string());
        let config = config::load(&Overrides { data, ..Overrides::default() }).unwrap();
        Answers::of(App::open(&config).unwrap(), UploadPolicy::Open, troubles)
    }

    #[tokio::test]
    async fn a_request_dropped_in_its_handler_is_counted_once_with_its_route() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers_on(&folder);
        let request = http::Request::get("/stuck").header("Host", "a").body(Body::empty()).unwrap();
        assert!(answers.clone().answer(request, None).now_or_never().is_none());
        let labels = "{method=\"GET\",route=\"blobs\",code=\"499\"}";
        let text = answers.0.app.metrics().to_text();
        assert!(text.contains(&format!("shacache_requests_total{labels} 1\n")), "{text}");
    }

    #[tokio::test]
    async fn head_has_the_length_of_what_get_would_say() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers_on(&folder);
        let request = http::Request::head("/nowhere").header("Host", "a").body(Body::empty());
        let (parts, body) = answers.answer(request.unwrap(), None).await.into_parts();
        let said = Failure::NoRoute.to_string() + "\n";
        assert_eq!(parts.headers[CONTENT_LENGTH], said.len().to_string());
        assert!(body.collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers_on(&folder);
        for (path, panics) in [("/panic", 1), ("/at-once", 2)] {
            let request = http::Request::get(path).header("Host", "a").body(Body::empty()).unwrap();
            let response = answers.clone().answer(request, None).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "Internal Server Error\n");
            let text = answers.0.app.metrics().to_text();
            assert!(text.contains(&format!("shacache_panics_total {panics}\n")), "{text}");
        }
    }
}
