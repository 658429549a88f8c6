//! What one connection is doing right now, shared by the parts that hyper keeps apart: the byte
//! stream below it, the service and the bodies above it, and the task that watches the clock.
//!
//! hyper's only timeout covers a head, counted from the end of the answer before it: it cannot
//! tell a silent connection from a slow head, and nothing watches a client that stops reading.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::Peer;
use super::connection::Shared;
use super::pace::Pace;

/// The state of one connection. Locks are held for a few instructions and never across a call out;
/// what is asked many times for each request is kept beside them. All of it is for the one task
/// that the connection has.
#[derive(Debug)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
    peer: Peer,
    state: Mutex<State>,
    /// This connection takes no request after the one being answered.
    closing: AtomicBool,
    /// From the service's call until the socket has taken the last byte of its answer.
    answer_open: AtomicBool,
    /// The socket has yet to take what it was given: `writing` waits.
    write_blocked: AtomicBool,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Bytes of a request that the service has not seen yet are here.
    next_began: bool,
    /// How the body of the request handed to the service ends, until the stream has learned it.
    framing: Option<Framing>,
    /// The stream's reader, when it waits for something other than the socket.
    reader: Option<Waker>,
    /// The answer's body, when it waits for the socket.
    answerer: Option<Waker>,
    /// The client has stopped sending a body it had announced.
    body_overdue: bool,
    writing: Pace,
}

#[derive(Debug)]
enum Stage {
    /// Since the connection began, and since its first byte.
    FirstLine { since: Instant, began: Option<Instant> },
    /// Since the last answer.
    Idle { since: Instant },
    /// Since the head's first byte.
    Head { since: Instant },
    /// From the service's call to the end of the answer's body.
    Answering,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What took a client too long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Overdue {
    FirstByte,
    Header,
    Idle,
    Response,
}

impl Exchange {
    pub(super) fn new(shared: Arc<Shared>, peer: Peer) -> Self {
        let state = State {
            stage: Stage::FirstLine { since: Instant::now(), began: None },
            next_began: false,
            framing: None,
            reader: None,
            answerer: None,
            body_overdue: false,
            writing: Pace::new(&shared.limits.response),
        };
        Self {
            shared,
            peer,
            state: Mutex::new(state),
            closing: AtomicBool::new(false),
            answer_open: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The first bytes of a request have come.
    pub(super) fn request_began(&self) {
        let mut state = self.lock();
        if state.next_began {
            return;
        }
        state.next_began = true;
        let now = Instant::now();
        match &mut state.stage {
            Stage::FirstLine { began, .. } => *began = Some(now),
            Stage::Idle { .. } => state.stage = Stage::Head { since: now },
            Stage::Head { .. } | Stage::Answering => {}
        }
    }

    /// A whole request line has come.
    pub(super) fn line_complete(&self) {
        let mut state = self.lock();
        if let Stage::FirstLine { since, began } = state.stage {
            state.stage = Stage::Head { since: began.unwrap_or(since) };
        }
    }

    /// A whole head has come at once.
    pub(super) fn head_came(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        state.next_began = true;
        if let Stage::FirstLine { .. } | Stage::Idle { .. } = state.stage {
            state.stage = Stage::Head { since: now };
        }
    }

    /// hyper has understood the head: the service answers it from here on.
    pub(super) fn answering(&self, framing: Framing) {
        self.shared.counters.requests.add();
        let mut state = self.lock();
        state.stage = Stage::Answering;
        state.next_began = false;
        state.framing = Some(framing);
        self.answer_open.store(true, Relaxed);
        // Where a chunked body ends is known to hyper alone, so what follows it is not for us to
        // read line by line: the connection ends with this answer.
        if framing == Framing::Chunked {
            self.closing.store(true, Relaxed);
        }
        let reader = state.reader.take();
        wake(state, reader);
    }

    /// How the current request's body ends, once; wakes the task when it is not known yet.
    pub(super) fn take_framing(&self, cx: &Context<'_>) -> Option<Framing> {
        let mut state = self.lock();
        if state.framing.is_none() {
            state.reader = Some(cx.waker().clone());
        }
        state.framing.take()
    }

    /// Whether a request is being answered; if so, wakes the task when it has been.
    pub(super) fn is_answering(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        let answering = matches!(state.stage, Stage::Answering);
        if answering {
            state.reader = Some(cx.waker().clone());
        }
        answering
    }

    /// The answer's body has ended, or was dropped.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        let since = Instant::now();
        state.stage = if state.next_began { Stage::Head { since } } else { Stage::Idle { since } };
        let reader = state.reader.take();
        wake(state, reader);
    }

    /// The service dropped a body before its end.
    pub(super) fn body_abandoned(&self) {
        self.closing.store(true, Relaxed);
    }

    /// The client failed to send a body in time, and is not waited for again.
    pub(super) fn body_timed_out(&self) {
        self.shared.counters.body_timeouts.add();
        self.closing.store(true, Relaxed);
        self.lock().body_overdue = true;
    }

    /// The server is stopping.
    pub(super) fn stop(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    pub(super) fn is_body_overdue(&self) -> bool {
        self.lock().body_overdue
    }

    /// Whether part of a request has come that the service has not been called with.
    pub(super) fn has_partial_request(&self) -> bool {
        self.lock().next_began
    }

    /// Whether the socket has yet to take what it was given; if so, wakes the task when it took some.
    pub(super) fn is_write_blocked(&self, cx: &Context<'_>) -> bool {
        let blocked = self.write_blocked.load(Relaxed);
        if blocked {
            self.lock().answerer = Some(cx.waker().clone());
        }
        blocked
    }

    pub(super) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
        self.lock().writing.wait(Instant::now());
    }

    pub(super) fn wrote(&self, bytes: usize) {
        if !self.write_blocked.load(Relaxed) {
            return;
        }
        self.write_blocked.store(false, Relaxed);
        let mut state = self.lock();
        let now = Instant::now();
        state.writing.progress(now, bytes as u64);
        // A client that took its answer slowly has its idle time from the end of that.
        if let Stage::Idle { since } = &mut state.stage {
            *since = now;
        }
        let answerer = state.answerer.take();
        wake(state, answerer);
    }

    /// hyper has nothing left to write: an answer that has ended has left, too.
    pub(super) fn flushed(&self) {
        if self.answer_open.load(Relaxed) && !matches!(self.lock().stage, Stage::Answering) {
            self.answer_open.store(false, Relaxed);
        }
    }

    /// Whether what hyper writes belongs to an answer of the service.
    pub(super) fn is_answer_open(&self) -> bool {
        self.answer_open.load(Relaxed)
    }

    /// Until when the client has to do something, and what it failed to do then.
    pub(super) fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        let limits = &self.shared.limits;
        if let Some((deadline, _)) = state.writing.deadline() {
            return Some((deadline, Overdue::Response));
        }
        match state.stage {
            Stage::FirstLine { since, .. } => Some((since + limits.first_byte, Overdue::FirstByte)),
            Stage::Idle { since } => Some((since + limits.idle, Overdue::Idle)),
            Stage::Head { since } => Some((since + limits.header, Overdue::Header)),
            Stage::Answering => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a task after the lock is given back.
fn wake(state: MutexGuard<'_, State>, waiting: Option<Waker>) {
    drop(state);
    if let Some(task) = waiting {
        task.wake();
    }
}
