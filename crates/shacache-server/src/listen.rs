//! The accept loop: from bound sockets to requests handed to a service.
//!
//! `axum::serve` sets no header timeout and no limit on connections, and hyper has no timeout for
//! a client that stops reading. This module owns those defences, the request-line rule that lets
//! raw keys in, and orderly shutdown. It knows nothing of routes, blobs or configuration. TLS
//! stands between `socket` and `connection`, which takes any byte stream with a [`Peer`].

mod address;
mod admission;
mod alarm;
mod body;
mod certificate;
mod connection;
mod counters;
mod exchange;
mod inherited;
mod limits;
mod pace;
mod peer;
mod refusal;
pub mod request_line;
mod request_stream;
mod service;
mod socket;
mod tls;

pub use address::{Address, AddressError};
pub use body::{BodyError, RequestBody};
pub use certificate::ClientCertificate;
pub use counters::Counters;
pub use inherited::Inherited;
pub use limits::{Limits, MinimumFlow};
pub use peer::Peer;
pub use socket::Listener;
pub use tls::{KeyPair, KeyPairError, Tls};

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::service::Service;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

pub(crate) use admission::network;

use admission::Admission;
use connection::Shared;
use refusal::Refusal;
use socket::{Accepted, Acceptor, Stream};
use tls::Handshakes;

/// How a call of [`serve`] ended; the program's exit code is made of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Drain {
    /// Every request in flight was answered in full.
    Complete,
    /// The grace ran out and this many connections were cut off.
    Aborted {
        /// Connections that were still open when the grace ended.
        connections: usize,
    },
}

/// Accepts connections on `listeners` and answers their requests with `service` until `shutdown`
/// resolves; then stops accepting, lets requests in flight finish within
/// [`Limits::shutdown_grace`] and aborts what is left.
///
/// - Every request has a [`RequestBody`], which knows its [`Peer`] and keeps the body limits.
/// - No accept error ends the loop: out of descriptors it pauses, and goes on by itself.
/// - A client's certificate never decides whether it is answered; see [`Peer::certificate`].
/// - At [`Limits::connections`] it stops accepting until a connection ends; clients wait in the
///   kernel's queue and lose nothing. An address that holds
///   [`Limits::connections_per_address`] has its further connections closed at once.
/// - A response body that needs `!Unpin` state is passed as `Pin<Box<_>>`.
///
/// Call it inside a task of a multi-threaded runtime with time and I/O enabled.
pub async fn serve<S, B>(
    listeners: Vec<Listener>,
    service: S,
    limits: Limits,
    counters: Arc<Counters>,
    shutdown: impl Future<Output = ()>,
) -> Drain
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let admission = Arc::new(Admission::new(&limits, Arc::clone(&counters)));
    let most_connections = limits.connections;
    let grace = limits.shutdown_grace;
    let handshakes = Arc::new(Handshakes::new(limits.handshakes));
    let shared = Arc::new(Shared { limits, counters });
    let (stop, stopping) = watch::channel(());

    let mut acceptor =
        Acceptor::new(listeners, shared.limits.response.stall, Arc::clone(&shared.counters));
    let mut tasks = JoinSet::new();
    let begin = move |tasks: &mut JoinSet<()>, accepted: Accepted| {
        let Some(slot) = admission.admit(accepted.peer.ip()) else { return };
        let Accepted { stream, peer } = accepted;
        let (service, shared, stopping) = (service.clone(), Arc::clone(&shared), stopping.clone());
        let handshakes = Arc::clone(&handshakes);
        tasks.spawn(async move {
            match stream {
                Stream::Tcp(io) => connection::run(io, peer, service, shared, stopping).await,
                // Boxed: the others would carry the room for it along.
                Stream::Tls(io, tls) => {
                    // Boxed, so that tasks without TLS are not as large as those with it.
                    let secured = secure(&tls, io, peer, &handshakes, &shared, stopping.clone());
                    if let Some((io, peer)) = Box::pin(secured).await {
                        Box::pin(connection::run(io, peer, service, shared, stopping)).await;
                    }
                }
                Stream::Unix(io) => connection::run(io, peer, service, shared, stopping).await,
            }
            drop(slot);
        });
    };

    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = tasks.join_next() => report_panic(ended),
            accepted = acceptor.accept(), if tasks.len() < most_connections => {
                begin(&mut tasks, accepted);
            }
        }
    }

    // Closing the sockets resets what the kernel has already taken for us: a last look.
    let last = Instant::now() + LAST_LOOK;
    while tasks.len() < most_connections
        && let Ok(accepted) = timeout_at(last, acceptor.accept()).await
    {
        begin(&mut tasks, accepted);
    }
    drop(acceptor);
    stop.send_replace(());

    let drained = timeout(grace, async {
        while let Some(ended) = tasks.join_next().await {
            report_panic(ended);
        }
    });
    if drained.await.is_ok() {
        return Drain::Complete;
    }
    let connections = tasks.len();
    tasks.shutdown().await;
    Drain::Aborted { connections }
}

/// Carries out a handshake within its limits. A client that has not finished its own when the
/// server stops has not asked for anything yet.
async fn secure(
    tls: &Tls,
    io: TcpStream,
    peer: Peer,
    handshakes: &Handshakes,
    shared: &Shared,
    mut stopping: watch::Receiver<()>,
) -> Option<(TlsStream<TcpStream>, Peer)> {
    let counters = &shared.counters;
    let handshake = handshakes.run(tls.accept(io, peer));
    let ended = tokio::select! {
        ended = timeout(shared.limits.handshake, handshake) => ended,
        _ = stopping.changed() => return None,
    };
    match ended {
        Ok(Some(Ok(secured))) => {
            counters.handshakes.add();
            return Some(secured);
        }
        Ok(Some(Err(error))) => {
            counters.handshakes_failed.add();
            tracing::debug!(error = &error as &dyn Error, "no TLS handshake");
        }
        Ok(None) => counters.handshakes_given_up.add(),
        Err(_elapsed) => counters.handshake_timeouts.add(),
    }
    None
}

/// What a request is answered with whose head is refused before the service sees it.
pub(crate) fn refusal_statuses() -> impl Iterator<Item = StatusCode> {
    Refusal::ALL.into_iter().map(Refusal::status)
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// For how long connections are still accepted once shutdown has begun.
const LAST_LOOK: Duration = Duration::from_millis(20);
