//! What operators and their tools ask: is it alive, is it ready, what does it count, what is it.
//! Must not know the two services.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use crate::app::App;
use crate::metrics::Metrics;

/// `/healthz`: the process answers.
pub(crate) async fn healthy() -> Response {
    text(StatusCode::OK, PLAIN, "ok\n".to_owned())
}

/// `/readyz`: uploads are taken. 503 while the store refuses writes; downloads go on then.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.is_read_only() {
        let line = "writes are refused until the server is restarted; its log says why\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, line.to_owned());
    }
    text(StatusCode::OK, PLAIN, "ready\n".to_owned())
}

/// `/metrics`: for Prometheus.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let metrics = app.metrics().to_text(app.is_read_only());
    text(StatusCode::OK, Metrics::MEDIA_TYPE, metrics)
}

/// `/version`: the name and version of this program.
pub(crate) async fn version() -> Response {
    let version = json!({ "name": "shacached", "version": env!("CARGO_PKG_VERSION") });
    text(StatusCode::OK, "application/json", format!("{version}\n"))
}

fn text(status: StatusCode, media_type: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store")], body).into_response()
}

const PLAIN: &str = "text/plain; charset=utf-8";
