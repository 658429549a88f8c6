//! `shacached`: HTTP in front of the archive.
//!
//! A request goes through the files in this order: [`listen`] (connection, deadlines) → `http`
//! (what every request passes) → `http/routes` (which handler, and the right it asks for) →
//! `http/target` (path to digest or key) →
//! `http/blob` or `http/directory` (the handler) → the store crate → `http/range` and
//! `http/condition` (what to send) → `http/error` (a failure's status) → `access_log`.
//! [`config`] comes before all of that, and [`app`] holds what is opened before the socket listens.

pub mod access;
pub mod admin;
pub mod app;
pub mod config;
pub mod intake;
pub mod listen;
pub mod log;
pub mod mount;
pub mod reload;
pub mod scrub;
pub mod signers;
pub mod upstream;

mod access_log;
mod defence;
mod http;
mod metrics;

use std::convert::Infallible;
use std::sync::Arc;

use ::http::Request;
use futures_util::FutureExt as _;
use hyper::service::service_fn;

use crate::app::App;
use crate::http::Answers;
use crate::listen::{Drain, Limits, Listener, RequestBody};

/// Answers requests on `listeners` until `shutdown` resolves, then lets those in flight finish.
/// The app stays open; close its store afterwards.
pub async fn serve(
    app: &App,
    listeners: Vec<Listener>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Drain {
    let addresses = listeners.iter().map(Listener::local_addr);
    let answers = Answers::new(app.clone(), app.access().upload_policy(addresses));
    let service = service_fn(move |request: Request<RequestBody>| {
        let peer = request.body().peer().clone();
        answers.answer(request, Some(peer)).map(Ok::<_, Infallible>)
    });
    listen::serve(listeners, service, limits, Arc::clone(app.connections()), shutdown).await
}
