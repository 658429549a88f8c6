//! What the accept loop counts, for whoever shows metrics. Plain numbers, no metrics library.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of one or several [`serve`](super::serve) calls, since the program started. Hold it in
/// an `Arc` and read it at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) open: Counter,
    pub(super) accepted: Counter,
    pub(super) refused_by_address: Counter,
    pub(super) accept_errors: Counter,
    pub(super) handshakes: Counter,
    pub(super) handshakes_failed: Counter,
    pub(super) handshake_timeouts: Counter,
    pub(super) handshakes_given_up: Counter,
    pub(super) requests: Counter,
    pub(super) lines_too_long: Counter,
    pub(super) first_byte_timeouts: Counter,
    pub(super) header_timeouts: Counter,
    pub(super) idle_timeouts: Counter,
    pub(super) body_timeouts: Counter,
    pub(super) response_timeouts: Counter,
}

impl Counters {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.value()
    }

    /// Connections taken from the kernel, refused ones included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.value()
    }

    /// Connections closed at once because their address held too many.
    #[must_use]
    pub fn refused_by_address(&self) -> u64 {
        self.refused_by_address.value()
    }

    /// Failed accepts; out of descriptors it grows about ten times a second.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.value()
    }

    /// TLS handshakes that were completed.
    #[must_use]
    pub fn handshakes(&self) -> u64 {
        self.handshakes.value()
    }

    /// TLS handshakes that failed: nothing in common, no TLS, or the client went away.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.value()
    }

    /// Connections closed because their TLS handshake took too long.
    #[must_use]
    pub fn handshake_timeouts(&self) -> u64 {
        self.handshake_timeouts.value()
    }

    /// Connections closed in their TLS handshake because too many others waited for theirs.
    #[must_use]
    pub fn handshakes_given_up(&self) -> u64 {
        self.handshakes_given_up.value()
    }

    /// Requests handed to the service.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.value()
    }

    /// Requests answered 414.
    #[must_use]
    pub fn lines_too_long(&self) -> u64 {
        self.lines_too_long.value()
    }

    /// Connections closed because no request line came.
    #[must_use]
    pub fn first_byte_timeouts(&self) -> u64 {
        self.first_byte_timeouts.value()
    }

    /// Connections closed because a head took too long.
    #[must_use]
    pub fn header_timeouts(&self) -> u64 {
        self.header_timeouts.value()
    }

    /// Kept-alive connections closed because no further request came.
    #[must_use]
    pub fn idle_timeouts(&self) -> u64 {
        self.idle_timeouts.value()
    }

    /// Request bodies given up because they stalled or came too slowly.
    #[must_use]
    pub fn body_timeouts(&self) -> u64 {
        self.body_timeouts.value()
    }

    /// Connections closed because the client did not read its answer, or too slowly.
    #[must_use]
    pub fn response_timeouts(&self) -> u64 {
        self.response_timeouts.value()
    }
}

/// Relaxed throughout: nothing is ordered by these numbers.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
