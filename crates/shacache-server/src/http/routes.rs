//! Every route, once: where it is, what can be done there, who may, which handler does it and how
//! it is described. The router, its Allow answers and the rule that each request is held to are
//! made of this table and of nothing else.
//!
//! To add a route, add a [`Resource`], or one more method to one, in [`table`]. A handler takes
//! `State<Call>`, and a [`Call`] is made only by asking for a [`Right`], so a route without a rule
//! does not compile. Then run the tests: one of them holds the list of who may do what, and fails
//! until the new route is in it. Must not know how a right is decided upon.

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use tower::util::MapRequestLayer;

use super::call::{Call, Mount, keep_private};
use super::error::Failure;
use super::{administration, blob, directory, ops, signers};
use crate::access::Right;
use crate::access_log::Noted;
use crate::metrics::Route;

/// All routes.
pub(crate) fn table() -> Vec<Resource> {
    vec![
        // A client with `…/shacache` in its configuration posts there, without a final slash.
        Resource::new(Place::Shacache, &["", "/"], Route::Blobs)
            .post(Right::Upload, "postBlob", "Store bytes", &[201], blob::post)
            .put(Right::Upload, "putBlobs", "Store bytes, as POST does", &[201], blob::post),
        Resource::new(Place::Shacache, &["/{digest}"], Route::Blob)
            .get(Right::Read, "getBlob", "Bytes by their digest", &[200, 206, 304], blob::get)
            .put(Right::Upload, "putBlob", "Store bytes of this SHA-512", &[201], blob::put),
        // The empty key has a route too, so that it is refused in words.
        Resource::new(Place::Shadir, &["/", "/{*key}"], Route::Key)
            .get(Right::Read, "getEntries", "All entries of a key", &[200, 304], directory::get)
            .put(Right::Put, "putEntry", "One more entry under a key", &[201], directory::put)
            .post(Right::Put, "postEntry", "One more entry, as PUT does", &[201], directory::put),
        Resource::new(Place::Server, &["/healthz", "/health"], Route::Operations).get(
            Right::Nothing,
            "getHealth",
            "Whether the process answers",
            &[200],
            ops::healthy,
        ),
        Resource::new(Place::Server, &["/readyz"], Route::Operations).get(
            Right::Nothing,
            "getReadiness",
            "Whether uploads are taken",
            &[200, 503],
            ops::ready,
        ),
        Resource::new(Place::Server, &["/metrics"], Route::Operations).get(
            Right::Operate,
            "getMetrics",
            "What is counted",
            &[200],
            ops::metrics,
        ),
        Resource::new(Place::Server, &["/version"], Route::Operations).get(
            Right::Nothing,
            "getVersion",
            "Which program this is",
            &[200],
            ops::version,
        ),
        Resource::new(Place::Server, &["/openapi.json"], Route::Operations).get(
            Right::Nothing,
            "getOpenApi",
            "What can be asked, in the form of OpenAPI",
            &[200],
            ops::openapi,
        ),
        Resource::new(Place::Server, &["/signers"], Route::Operations).get(
            Right::Nothing,
            "getSigners",
            "Whose signatures count here",
            &[200],
            signers::json,
        ),
        Resource::new(Place::Server, &["/signers.pem"], Route::Operations).get(
            Right::Nothing,
            "getSignersPem",
            "Their certificates, revoked ones left out",
            &[200],
            signers::pem,
        ),
        Resource::new(Place::Server, &["/signers.cfg"], Route::Operations).get(
            Right::Nothing,
            "getSignersOption",
            "The same as an option for slapos.cfg",
            &[200],
            signers::slapos,
        ),
    ]
    .into_iter()
    .chain(administration::resources())
    .collect()
}

/// Which part of the server has a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Each path and each host of the blob service.
    Shacache,
    /// Each path and each host of the directory service.
    Shadir,
    /// The server as a whole.
    Server,
}

/// One thing that requests are about, under all its paths.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) place: Place,
    /// As the router spells them, below the place: `/{digest}`.
    pub(crate) paths: &'static [&'static str],
    label: Route,
    pub(crate) operations: Vec<Operation>,
}

/// One method on a resource.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What is asked; a GET answers HEAD too.
    pub(crate) method: Method,
    /// What has to be granted first.
    pub(crate) right: Right,
    /// A name that no other operation has.
    pub(crate) name: &'static str,
    /// What it is for, in a few words.
    pub(crate) summary: &'static str,
    /// What it answers unless it fails.
    pub(crate) statuses: &'static [u16],
    handler: MethodRouter<Mount>,
}

impl Resource {
    pub(super) fn new(place: Place, paths: &'static [&'static str], label: Route) -> Self {
        Self { place, paths, label, operations: Vec::new() }
    }

    pub(super) fn get<H: Handler<T, Call>, T: 'static>(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: H,
    ) -> Self {
        let handler = guarded(MethodFilter::GET, right, handler);
        self.with(Operation { method: Method::GET, right, name, summary, statuses, handler })
    }

    pub(super) fn post<H: Handler<T, Call>, T: 'static>(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: H,
    ) -> Self {
        let handler = guarded(MethodFilter::POST, right, handler);
        self.with(Operation { method: Method::POST, right, name, summary, statuses, handler })
    }

    fn put<H: Handler<T, Call>, T: 'static>(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: H,
    ) -> Self {
        let handler = guarded(MethodFilter::PUT, right, handler);
        self.with(Operation { method: Method::PUT, right, name, summary, statuses, handler })
    }

    fn with(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// The routes of this resource at one mount of its place.
    pub(crate) fn routes(&self, mount: &Mount) -> Router {
        let handlers = self.operations.iter().map(|operation| operation.handler.clone());
        let methods = handlers.fold(MethodRouter::new(), MethodRouter::merge);
        let path = mount.path().as_str();
        let paths = self.paths.iter().map(|rest| format!("{path}{rest}"));
        // At the root of a host there is no path without a slash.
        let paths = paths.filter(|path| !path.is_empty());
        let routes = paths.fold(Router::new(), |routes, path| routes.route(&path, methods.clone()));
        labelled(self.label, routes.method_not_allowed_fallback(other_method))
            .with_state(mount.clone())
    }
}

/// The same routes, noting for the metrics that they were taken.
pub(crate) fn labelled<S: Clone + Send + Sync + 'static>(
    label: Route,
    routes: Router<S>,
) -> Router<S> {
    routes.layer(MapRequestLayer::new(move |request: Request| {
        if let Some(noted) = request.extensions().get::<Noted>() {
            noted.route(label);
        }
        request
    }))
}

/// The methods that some resource has, as an Allow header lists them.
pub(crate) fn methods_anywhere() -> String {
    let table = table();
    let has = |method: &Method| {
        let mut operations = table.iter().flat_map(|resource| &resource.operations);
        operations.any(|operation| operation.method == method)
    };
    let mut methods = Vec::new();
    if has(&Method::GET) {
        methods.extend([Method::GET, Method::HEAD]);
    }
    methods.extend([Method::POST, Method::PUT].into_iter().filter(has));
    methods.push(Method::OPTIONS);
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// A handler that is called once its right is granted.
fn guarded<H: Handler<T, Call>, T: 'static>(
    filter: MethodFilter,
    right: Right,
    handler: H,
) -> MethodRouter<Mount> {
    on(filter, async move |State(mount): State<Mount>, mut request: Request| {
        let call = Call::admit(mount, right, &mut request).await?;
        let is_private = right == Right::Read && call.app().access().is_private();
        let mut response = handler.call(request, call).await;
        if is_private {
            keep_private(&mut response);
        }
        Ok::<Response, Failure>(response)
    })
}

/// Neither changes nor fails when asked what is possible; axum adds the Allow header.
async fn other_method(method: Method) -> Result<http::StatusCode, Failure> {
    if method == Method::OPTIONS {
        return Ok(http::StatusCode::NO_CONTENT);
    }
    Err(Failure::Method(method))
}

#[cfg(test)]
mod matrix;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_operations_share_a_name() {
        let table = table();
        let names = table.iter().flat_map(|resource| &resource.operations).map(|one| one.name);
        let mut seen = HashSet::new();
        let repeated: Vec<&str> = names.filter(|name| !seen.insert(*name)).collect();
        assert!(repeated.is_empty(), "{repeated:?}");
    }

    #[test]
    fn every_operation_says_what_it_does_and_how_it_ends() {
        for resource in table() {
            for Operation { method, right, name, summary, statuses, .. } in resource.operations {
                assert!(!summary.is_empty() && !statuses.is_empty(), "{name}: {right:?}");
                // Whatever changes something asks for a right.
                assert!(method == Method::GET || right != Right::Nothing, "{name}");
            }
        }
    }

    #[test]
    fn the_methods_of_all_resources_are_listed_once() {
        assert_eq!(methods_anywhere(), "GET, HEAD, POST, PUT, OPTIONS");
    }
}
