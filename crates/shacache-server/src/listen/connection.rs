//! One connection from its first byte to its close, over any byte stream: hyper's HTTP/1 with the
//! deadlines hyper lacks, an orderly end when the server stops, and a close that lets the client
//! read the last answer. It must not know sockets or TLS.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::alarm::Alarm;
use super::exchange::{Exchange, Overdue};
use super::refusal::Refusal;
use super::request_stream::RequestStream;
use super::service::ConnectionService;
use super::{Counters, Limits, Peer, RequestBody};

/// What all connections of one server have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
}

/// Serves one connection until it is closed; `stopping` changes once when the server stops.
pub(super) async fn run<IO, S, B>(
    io: IO,
    peer: Peer,
    service: S,
    shared: Arc<Shared>,
    stopping: watch::Receiver<()>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = &shared.limits;
    let exchange = Arc::new(Exchange::new(Arc::clone(&shared), peer));
    let stream = RequestStream::new(io, Arc::clone(&exchange));
    let service = ConnectionService::new(service, Arc::clone(&exchange));
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_buf_size(limits.buffer_bytes.max(SMALLEST_BUFFER_BYTES))
        .max_header_size(limits.header_bytes);
    if limits.headers > FIELDS_AT_NO_COST {
        http.max_headers(limits.headers);
    }
    let mut http = http.serve_connection(TokioIo::new(stream), service);

    let news = stopping.clone();
    let mut stop = pin!(stopped(stopping));
    let mut woken_by_stop = Waker::noop().clone();
    let mut stopping = false;
    let mut told = false;
    let mut alarm = Alarm::default();
    let end = poll_fn(|cx| {
        loop {
            // Before hyper, so that an answer made from here on says that it is the last one.
            // The channel costs less to ask than the future, which has to know the waker.
            let may_have_stopped =
                !woken_by_stop.will_wake(cx.waker()) || news.has_changed().unwrap_or(true);
            if !stopping && may_have_stopped {
                woken_by_stop.clone_from(cx.waker());
                if stop.as_mut().poll(cx).is_ready() {
                    stopping = true;
                    exchange.stop();
                }
            }
            if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(Ok(result));
            }
            // A request of which a part has come is still answered; hyper would drop it.
            if stopping && !told && !exchange.has_partial_request() {
                told = true;
                Pin::new(&mut http).graceful_shutdown();
                continue;
            }
            let Some((deadline, overdue)) = exchange.deadline() else { return Poll::Pending };
            ready!(alarm.poll_passed(cx, deadline));
            return Poll::Ready(Err(overdue));
        }
    });

    let mut refusal = Refusal::Malformed;
    match end.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_parse() => {
            tracing::debug!(error = &error as &dyn Error, "refused a malformed request");
            if error.is_parse_too_large() {
                refusal = Refusal::HeadTooLarge;
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn Error, "connection broken off");
            return;
        }
        Err(overdue) => {
            count(&shared.counters, overdue);
            tracing::debug!(?overdue, "connection closed for being too slow");
            return;
        }
    }
    let parts = http.into_parts();
    let stream = parts.io.into_inner();
    // A client that was too slow with its body is not waited for again.
    let linger = !exchange.is_body_overdue() && (stream.has_unread() || !parts.read_buf.is_empty());
    let refusal = if stream.line_too_long() {
        shared.counters.lines_too_long.add();
        Some(Refusal::LineTooLong)
    } else {
        if stream.has_too_many_fields() {
            refusal = Refusal::HeadTooLarge;
        }
        stream.head_refused().then_some(refusal)
    };
    let answer = refusal.map(|refusal| {
        refusal.log(stream.line(), exchange.peer());
        refusal.answer(stream.line())
    });
    let closing = close(stream.into_io(), answer, linger, limits);
    // An error here means that the client is gone, which is what a close is for.
    let _ = timeout(limits.drain, closing).await;
}

async fn stopped(mut stopping: watch::Receiver<()>) {
    // An error means that the sender is gone, and the server with it.
    let _ = stopping.changed().await;
}

fn count(counters: &Counters, overdue: Overdue) {
    match overdue {
        Overdue::FirstByte => counters.first_byte_timeouts.add(),
        Overdue::Header => counters.header_timeouts.add(),
        Overdue::Idle => counters.idle_timeouts.add(),
        Overdue::Response => counters.response_timeouts.add(),
    }
}

/// Ends a connection whose answers are all written but `answer`. A socket closed with unread bytes in it is
/// reset by the kernel, and the client may lose the answer that told it to stop sending; so what
/// it still sends is read and thrown away for a while (hyper reads once and gives up).
async fn close<IO>(
    mut io: IO,
    answer: Option<Vec<u8>>,
    linger: bool,
    limits: &Limits,
) -> Result<(), std::io::Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(answer) = answer {
        io.write_all(&answer).await?;
    }
    io.shutdown().await?;
    if !linger {
        return Ok(());
    }
    let mut scratch = vec![0; 16 * 1024];
    let mut left = limits.drain_bytes;
    while left > 0 {
        let deadline = Instant::now() + limits.drain_idle;
        let Ok(read) = timeout_at(deadline, io.read(&mut scratch)).await else { break };
        match read? {
            0 => break,
            bytes => left = left.saturating_sub(bytes as u64),
        }
    }
    Ok(())
}

/// hyper has room for so many header fields, or trailer fields; for a number that it is told, fewer
/// too, it makes room for each request. The stream counts the ones, and the body the others.
const FIELDS_AT_NO_COST: usize = 100;

/// hyper refuses to run with less.
const SMALLEST_BUFFER_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
