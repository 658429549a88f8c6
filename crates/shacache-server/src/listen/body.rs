//! A request's body under the limits: [`RequestBody`] fails when the client stalls or trickles,
//! which no timeout of hyper or tower-http catches (one byte every 29 seconds passes theirs), and
//! lets the connection know when a handler leaves it unread.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::Instant;

use super::Peer;
use super::alarm::Alarm;
use super::exchange::Exchange;
use super::pace::{Missed, Pace};

/// The body of every request that [`serve`](super::serve) hands to its service.
///
/// Nothing is read from the client before the first poll; with `Expect: 100-continue` that poll is
/// what sends the 100. A handler that refuses a request just drops its body and answers: the
/// answer says `Connection: close`, and what the client still sends is drained within bounds after
/// it, so that the client gets to read it.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    exchange: Arc<Exchange>,
    /// Made when the client is first waited for: most requests have no body.
    watch: Option<Box<Watch>>,
    state: State,
}

/// How fast it comes, and how long that may take.
#[derive(Debug)]
struct Watch {
    pace: Pace,
    alarm: Alarm,
}

#[derive(Debug, Eq, PartialEq)]
enum State {
    Open,
    Complete,
    Failed,
}

/// Why a request's body ended early. [`BodyError::within`] finds it inside a framework's error.
#[derive(Debug, Error)]
pub enum BodyError {
    /// Nothing came for [`MinimumFlow::stall`](super::MinimumFlow::stall): 408.
    #[error("the client stopped sending the request's body")]
    Stalled,
    /// Too little came in [`MinimumFlow::window`](super::MinimumFlow::window): 408.
    #[error("the client sends the request's body too slowly")]
    TooSlow,
    /// More fields follow it than a request may have in its head: 400. hyper, which reads them, ends
    /// them at a limit of its own where that is higher.
    #[error("too many trailer fields follow the request's body")]
    TooManyTrailers,
    /// The client went away or broke the framing: there is nobody to answer and nothing to log
    /// above debug.
    #[error("the client broke off the request's body")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    /// The `BodyError` that `error` is or was caused by.
    #[must_use]
    pub fn within<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// Whether the client was too slow; then 408 is the answer.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Stalled | Self::TooSlow => true,
            Self::TooManyTrailers | Self::Broken(_) => false,
        }
    }
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, exchange: Arc<Exchange>) -> Self {
        let state = if incoming.is_end_stream() { State::Complete } else { State::Open };
        Self { incoming, exchange, watch: None, state }
    }

    /// Who sends it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.exchange.peer()
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Watch { pace, alarm } = &mut **self.watch.get_or_insert_with(|| {
            let pace = Pace::new(&self.exchange.shared().limits.body);
            Box::new(Watch { pace, alarm: Alarm::default() })
        });
        pace.wait(Instant::now());
        let Some((deadline, missed)) = pace.deadline() else { return Poll::Pending };
        ready!(alarm.poll_passed(cx, deadline));
        self.state = State::Failed;
        self.exchange.body_timed_out();
        Poll::Ready(match missed {
            Missed::Stalled => BodyError::Stalled,
            Missed::TooSlow => BodyError::TooSlow,
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.state == State::Failed {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_overdue(cx).map(|error| Some(Err(error)));
        };
        if let Some(Watch { pace, .. }) = this.watch.as_deref_mut()
            && pace.is_waiting()
        {
            let bytes = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref());
            pace.progress(Instant::now(), bytes.map_or(0, |bytes| bytes.len() as u64));
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) if trailers(&frame) > this.exchange.shared().limits.headers => {
                this.state = State::Failed;
                Some(Err(BodyError::TooManyTrailers))
            }
            Some(Ok(frame)) => {
                if this.incoming.is_end_stream() {
                    this.state = State::Complete;
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                this.state = State::Failed;
                Some(Err(BodyError::Broken(error)))
            }
            None => {
                this.state = State::Complete;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.state != State::Open
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn trailers(frame: &Frame<Bytes>) -> usize {
    frame.trailers_ref().map_or(0, HeaderMap::len)
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.exchange.body_abandoned();
        }
    }
}
