//! Every route, once: where it is, what can be done there, who may, which handler does it and how
//! it is described. What is found for a path, the Allow answers and the rule that each request is
//! held to are made of this table and of nothing else.
//!
//! To add a route, add a [`Resource`], or one more method to one, in [`table`]. A handler takes a
//! [`Call`], which is made only by asking for a [`Right`], and the request; so a route without a rule
//! does not compile. Then run the tests: one of them holds the list of who may do what, and fails
//! until the new route is in it. Must not know how a right is decided upon, nor how a path is found.

use std::fmt;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};

use super::call::{Call, OpenRead};
use super::{administration, blob, directory, ops, signers};
use crate::access::Right;
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
            .at_hand(blob::at_hand)
            .put(Right::Upload, "putBlob", "Store bytes of this SHA-512", &[201], blob::put),
        // The empty key has a route too, so that it is refused in words.
        Resource::new(Place::Shadir, &["/", "/{*key}"], Route::Key)
            .get(Right::Read, "getEntries", "All entries of a key", &[200, 304], directory::get)
            .at_hand(directory::at_hand)
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
    /// Below the place: `/{digest}` has one more segment, `/{*key}` all that is left.
    pub(crate) paths: &'static [&'static str],
    /// What the metrics call it.
    pub(crate) label: Route,
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
    pub(crate) handler: Handling,
    /// What answers before the handler is asked, if it can do so at once: the same as that would,
    /// or nothing.
    pub(crate) at_hand: Option<AtHand>,
}

/// A function that answers with what is at hand.
pub(crate) type AtHand = fn(OpenRead<'_>) -> Option<Response>;

/// A handler as the table has it.
pub(crate) struct Handling(
    Box<dyn Fn(Call, Request) -> BoxFuture<'static, Response> + Send + Sync>,
);

/// An async function that answers a request.
pub(super) trait Handler: Send + Sync + 'static {
    fn handling(self) -> Handling;
}

impl<H, A> Handler for H
where
    H: Fn(Call, Request) -> A + Send + Sync + 'static,
    A: Future<Output: IntoResponse> + Send + 'static,
{
    fn handling(self) -> Handling {
        // An async block that waits for it would have room for it twice.
        Handling(Box::new(move |call, request| {
            self(call, request).map(IntoResponse::into_response).boxed()
        }))
    }
}

impl Handling {
    /// Answers a request that was granted what its route asks for.
    pub(crate) fn answer(&self, call: Call, request: Request) -> BoxFuture<'static, Response> {
        (self.0)(call, request)
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handling")
    }
}

impl Resource {
    pub(super) fn new(place: Place, paths: &'static [&'static str], label: Route) -> Self {
        Self { place, paths, label, operations: Vec::new() }
    }

    pub(super) fn get(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: impl Handler,
    ) -> Self {
        self.with(Method::GET, right, name, summary, statuses, handler.handling())
    }

    pub(super) fn post(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: impl Handler,
    ) -> Self {
        self.with(Method::POST, right, name, summary, statuses, handler.handling())
    }

    fn put(
        self,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: impl Handler,
    ) -> Self {
        self.with(Method::PUT, right, name, summary, statuses, handler.handling())
    }

    fn with(
        mut self,
        method: Method,
        right: Right,
        name: &'static str,
        summary: &'static str,
        statuses: &'static [u16],
        handler: Handling,
    ) -> Self {
        let at_hand = None;
        let operation = Operation { method, right, name, summary, statuses, handler, at_hand };
        self.operations.push(operation);
        self
    }

    /// GET is answered by `answer` where that can.
    pub(super) fn at_hand(mut self, answer: AtHand) -> Self {
        for operation in self.operations.iter_mut().filter(|it| it.method == Method::GET) {
            operation.at_hand = Some(answer);
        }
        self
    }

    /// What a method asks for here.
    pub(crate) fn operation(&self, method: &Method) -> Option<&Operation> {
        // A GET answers HEAD too.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.operations.iter().find(|operation| operation.method == *method)
    }

    /// What can be asked for here, as an Allow header lists it.
    pub(crate) fn allowed(&self) -> HeaderValue {
        let mut methods = Vec::new();
        for Operation { method, .. } in &self.operations {
            methods.push(method.as_str());
            if *method == Method::GET {
                methods.push(Method::HEAD.as_str());
            }
        }
        HeaderValue::try_from(methods.join(",")).expect("names of methods are printable ASCII")
    }
}

/// The methods that some resource has, as an Allow header lists them.
pub(crate) const METHODS_ANYWHERE: &str = "GET, HEAD, POST, PUT, OPTIONS";

#[cfg(test)]
mod matrix;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::mount::{MountPath, MountPathError};

    #[test]
    fn no_two_operations_share_a_name() {
        let table = table();
        let names = table.iter().flat_map(|resource| &resource.operations).map(|one| one.name);
        let mut seen = HashSet::new();
        let repeated: Vec<&str> = names.filter(|name| !seen.insert(*name)).collect();
        assert!(repeated.is_empty(), "{repeated:?}");
    }

    #[test]
    fn no_service_can_be_where_the_server_itself_answers() {
        for path in table().iter().filter(|it| it.place == Place::Server).flat_map(|it| it.paths) {
            assert!(
                matches!(path.parse::<MountPath>(), Err(MountPathError::Reserved(_))),
                "{path}"
            );
        }
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
        let table = table();
        let operations = table.iter().flat_map(|resource| &resource.operations);
        let mut methods: HashSet<&str> = operations.map(|one| one.method.as_str()).collect();
        methods.extend([Method::HEAD.as_str(), Method::OPTIONS.as_str()]);
        let listed: Vec<&str> = METHODS_ANYWHERE.split(", ").collect();
        assert_eq!(listed.len(), methods.len());
        assert_eq!(HashSet::from_iter(listed), methods);
    }
}
