//! HTTP in front of the store: what every request passes on its way to its route and every answer
//! on its way back. Must not know which routes there are, nor how anything is stored.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{ACCEPT, ALLOW};
use http::{Method, StatusCode, Uri};
use tower::util::ServiceExt;

use self::call::Mount;
use self::error::Failure;
use self::routes::Place;
use crate::access::UploadPolicy;
use crate::access_log::{Report, Watched};
use crate::app::App;
use crate::mount::{HostName, MountPath};

mod administration;
mod blob;
mod browser;
mod call;
mod condition;
mod directory;
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
    by_path: Router,
    by_host: HashMap<HostName, Router>,
}

impl Answers {
    /// The routes of `app`, of a server where `upload` says who may upload.
    pub(crate) fn new(app: App, upload: UploadPolicy) -> Self {
        let table = routes::table();
        let at = |place: Place, path: &MountPath| {
            let mount = Mount::new(&app, upload, path);
            let here = table.iter().filter(|resource| resource.place == place);
            here.fold(Router::new(), |all, resource| all.merge(resource.routes(&mount)))
        };
        let root = MountPath::root();
        let mounts = app.mounts();
        let blobs = mounts.shacache().iter().map(|path| at(Place::Shacache, path));
        let keys = mounts.shadir().iter().map(|path| at(Place::Shadir, path));
        let by_path = blobs.chain(keys).fold(at(Place::Server, &root), Router::merge);
        // On a host of its own a service is at the root, and nothing else is there.
        let blobs = |host: &HostName| (host.clone(), closed(at(Place::Shacache, &root)));
        let keys = |host: &HostName| (host.clone(), closed(at(Place::Shadir, &root)));
        let blobs = mounts.shacache_host().iter().map(blobs);
        let by_host = blobs.chain(mounts.shadir_host().iter().map(keys)).collect();
        Self(Arc::new(Inner { by_path: closed(by_path), by_host, app }))
    }

    /// Answers one request. Everything that happens to any request stands here, in order.
    pub(crate) async fn answer<B>(self, request: http::Request<B>) -> Response<Watched>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut request = request.map(Body::new);
        let metrics = self.0.app.metrics();
        // First of all: from here on the request is reported even if this future is dropped.
        let report = Report::begin(&mut request, metrics.clone());
        let accept = request.headers().get(ACCEPT).cloned();
        let response = match self.routes_for(&request) {
            Ok(routes) => {
                let routed = AssertUnwindSafe(routes.clone().oneshot(request)).catch_unwind();
                match routed.await {
                    Ok(Ok(response)) => response,
                    Err(panic) => {
                        metrics.panicked();
                        Failure::panicked(&*panic).into_response()
                    }
                }
            }
            Err(failure) => failure.into_response(),
        };
        let mut response = error::finish(response, accept.as_ref(), report.exchange());
        browser::protect(response.headers_mut());
        report.exchange().echo_id(response.headers_mut());
        report.watch(response)
    }

    fn routes_for(&self, request: &Request) -> Result<&Router, Failure> {
        let host = host::requested(request)?;
        let own = host.and_then(|host| self.0.by_host.get(&host));
        Ok(own.unwrap_or(&self.0.by_path))
    }
}

fn closed(routes: Router) -> Router {
    routes.fallback(elsewhere)
}

/// Paths that are none of ours. `*` is no path: it asks for the server as a whole (RFC 9110
/// §9.3.7).
async fn elsewhere(method: Method, uri: Uri) -> Result<Response, Failure> {
    if method == Method::OPTIONS && uri.path() == "*" {
        return Ok((StatusCode::NO_CONTENT, [(ALLOW, routes::methods_anywhere())]).into_response());
    }
    Err(Failure::NoRoute)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::config::{self, Overrides};
    use crate::metrics::Route;

    async fn panicking() -> StatusCode {
        panic!("secret")
    }

    fn answers_on(folder: &tempfile::TempDir, routes: Router) -> Answers {
        let data = Some(folder.path().join("data").display().to_string());
        let config = config::load(&Overrides { data, ..Overrides::default() }).unwrap();
        let app = App::open(&config).unwrap();
        Answers(Arc::new(Inner { app, by_path: closed(routes), by_host: HashMap::new() }))
    }

    #[tokio::test]
    async fn a_request_dropped_in_its_handler_is_counted_once_with_its_route() {
        let folder = tempfile::tempdir().unwrap();
        let routes = Router::new().route("/", get(std::future::pending::<StatusCode>));
        let answers = answers_on(&folder, routes::labelled(Route::Blobs, routes));
        let request = Request::get("/").header("Host", "a").body(Body::empty()).unwrap();
        assert!(answers.clone().answer(request).now_or_never().is_none());
        let labels = "{method=\"GET\",route=\"blobs\",code=\"499\"}";
        let text = answers.0.app.metrics().to_text();
        assert!(text.contains(&format!("shacache_requests_total{labels} 1\n")), "{text}");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let answers = answers_on(&folder, Router::new().route("/", get(panicking)));
        let request = Request::get("/").header("Host", "a").body(Body::empty()).unwrap();
        let response = answers.clone().answer(request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "Internal Server Error\n");
        assert!(answers.0.app.metrics().to_text().contains("shacache_panics_total 1\n"));
    }
}
