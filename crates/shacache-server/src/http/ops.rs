//! What operators and their tools ask: is it alive, is it ready, what does it count, what is it.
//! Must not know the two services.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;
use shacache_core::wire::{CACHE_NEVER, TEXT_MEDIA_TYPE};

use super::call::Call;
use super::{openapi, routes};
use crate::metrics::Metrics;

/// `/healthz`: the process answers.
pub(crate) async fn healthy(_: Call, _: Request) -> Response {
    text(StatusCode::OK, TEXT_MEDIA_TYPE, "ok\n".to_owned())
}

/// `/readyz`: uploads are taken. 503 while the store refuses writes; downloads go on then.
pub(crate) async fn ready(call: Call, _: Request) -> Response {
    if call.app().is_read_only() {
        let line = "writes are refused until the server is restarted; its log says why\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, TEXT_MEDIA_TYPE, line.to_owned());
    }
    text(StatusCode::OK, TEXT_MEDIA_TYPE, "ready\n".to_owned())
}

/// `/metrics`: for Prometheus.
pub(crate) async fn metrics(call: Call, _: Request) -> Response {
    text(StatusCode::OK, Metrics::MEDIA_TYPE, call.app().metrics().to_text())
}

/// `/version`: the name and version of this program.
pub(crate) async fn version(_: Call, _: Request) -> Response {
    let version = json!({ "name": "shacached", "version": env!("CARGO_PKG_VERSION") });
    text(StatusCode::OK, "application/json", format!("{version}\n"))
}

/// `/openapi.json`: what can be asked and answered, for people's tools.
pub(crate) async fn openapi(call: Call, _: Request) -> Response {
    let document = openapi::document(&routes::table(), call.app().mounts());
    text(StatusCode::OK, "application/json", format!("{document}\n"))
}

fn text(status: StatusCode, media_type: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, media_type), (CACHE_CONTROL, CACHE_NEVER)], body).into_response()
}
