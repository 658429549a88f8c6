//! HTTP in front of the store: the route table, and what every request passes on its way to a
//! handler and every answer on its way back. Must not know how anything is stored.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::FutureExt;
use http::header::{ACCEPT, ALLOW, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode, Uri};
use tower::util::{MapRequestLayer, ServiceExt};

use self::error::Failure;
use crate::access_log::{Report, RouteTaken, Watched};
use crate::app::App;
use crate::metrics::Route;
use crate::mount::{HostName, MountPath};

mod blob;
mod condition;
mod directory;
mod error;
mod host;
mod ops;
mod range;
mod target;
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
    /// The route table of `app`.
    pub(crate) fn new(app: App) -> Self {
        let mounts = app.mounts();
        let blobs = |path: &MountPath| blob_routes(&app, path);
        let keys = |path: &MountPath| key_routes(&app, path);

        let mut by_path = ops_routes(&app);
        for service in mounts.shacache().iter().map(blobs) {
            by_path = by_path.merge(service);
        }
        for service in mounts.shadir().iter().map(keys) {
            by_path = by_path.merge(service);
        }
        // On a host of its own a service is at the root, and nothing else is there.
        let root = MountPath::root();
        let of_blobs = mounts.shacache_host().iter().map(|host| (host.clone(), blobs(&root)));
        let of_keys = mounts.shadir_host().iter().map(|host| (host.clone(), keys(&root)));
        let by_host = of_blobs.chain(of_keys).map(|(host, routes)| (host, closed(routes)));
        let by_host = by_host.collect();
        let by_path = closed(by_path);
        Self(Arc::new(Inner { app, by_path, by_host }))
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
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        report.exchange().echo_id(response.headers_mut());
        report.watch(response)
    }

    fn routes_for(&self, request: &Request) -> Result<&Router, Failure> {
        let host = host::requested(request)?;
        let own = host.and_then(|host| self.0.by_host.get(&host));
        Ok(own.unwrap_or(&self.0.by_path))
    }
}

/// A service at one of its paths, as its handlers see it.
#[derive(Debug, Clone)]
struct Mount {
    app: App,
    path: MountPath,
}

fn blob_routes(app: &App, path: &MountPath) -> Router {
    let root: MethodRouter<Mount> = axum::routing::post(blob::post).put(blob::post);
    let one = get(blob::get).put(blob::put);
    let mount = Mount { app: app.clone(), path: path.clone() };
    // A client with `…/shacache` in its configuration posts there, without a final slash.
    let without_slash = if path.as_str().is_empty() { None } else { Some(path.to_string()) };
    let roots = without_slash.into_iter().chain([format!("{path}/")]);
    let roots = roots.fold(Router::new(), |routes, path| routes.route(&path, root.clone()));
    let one = Router::new().route(&format!("{path}/{{digest}}"), one);
    named(Route::Blobs, roots).merge(named(Route::Blob, one)).with_state(mount)
}

fn key_routes(app: &App, path: &MountPath) -> Router {
    let methods = get(directory::get).put(directory::put).post(directory::put);
    let mount = Mount { app: app.clone(), path: path.clone() };
    // The empty key has a route too, so that it is refused in words.
    let routes = Router::new()
        .route(&format!("{path}/"), methods.clone())
        .route(&format!("{path}/{{*key}}"), methods);
    named(Route::Key, routes).with_state(mount)
}

fn ops_routes(app: &App) -> Router {
    let routes = Router::new()
        .route("/healthz", get(ops::healthy))
        .route("/health", get(ops::healthy))
        .route("/readyz", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .route("/version", get(ops::version));
    named(Route::Operations, routes).with_state(app.clone())
}

/// Answers other methods than those listed, and names the routes for the metrics.
fn named<S: Clone + Send + Sync + 'static>(name: Route, routes: Router<S>) -> Router<S> {
    routes.method_not_allowed_fallback(other_method).layer(MapRequestLayer::new(
        move |request: Request| {
            if let Some(taken) = request.extensions().get::<RouteTaken>() {
                taken.note(name);
            }
            request
        },
    ))
}

fn closed(routes: Router) -> Router {
    routes.fallback(elsewhere)
}

/// Paths that are none of ours. `*` is no path: it asks for the server as a whole (RFC 9110
/// §9.3.7).
async fn elsewhere(method: Method, uri: Uri) -> Result<Response, Failure> {
    if method == Method::OPTIONS && uri.path() == "*" {
        return Ok(
            (StatusCode::NO_CONTENT, [(ALLOW, "GET, HEAD, POST, PUT, OPTIONS")]).into_response()
        );
    }
    Err(Failure::NoRoute)
}

/// Neither changes nor fails when asked what is possible; axum adds the Allow header.
async fn other_method(method: Method) -> Result<StatusCode, Failure> {
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Failure::Method(method))
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::config::{self, Overrides};

    async fn panicking() -> StatusCode {
        panic!("secret")
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let data = Some(folder.path().join("data").display().to_string());
        let config = config::load(&Overrides { data, ..Overrides::default() }).unwrap();
        let app = App::open(&config).unwrap();
        let by_path = closed(Router::new().route("/", get(panicking)));
        let answers = Answers(Arc::new(Inner { app, by_path, by_host: HashMap::new() }));
        let request = Request::get("/").header("Host", "a").body(Body::empty()).unwrap();
        let response = answers.clone().answer(request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "Internal Server Error\n");
        assert!(answers.0.app.metrics().to_text().contains("shacache_panics_total 1\n"));
    }
}
