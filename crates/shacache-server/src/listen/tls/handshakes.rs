//! How many handshakes may be under way. A client that never finishes one must not keep others
//! out, so a handshake that has taken long gives its place to whoever waits for one. Must not know
//! TLS.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until};

/// The places of one server.
#[derive(Debug)]
pub(in crate::listen) struct Handshakes {
    places: Semaphore,
    running: Mutex<Running>,
}

/// By age: numbers are given out in turn.
#[derive(Debug, Default)]
struct Running {
    next: u64,
    by_number: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    /// Dropped to take the place away.
    kept: oneshot::Sender<()>,
}

impl Handshakes {
    pub(in crate::listen) fn new(most: usize) -> Self {
        let places = Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS));
        Self { places, running: Mutex::default() }
    }

    /// Runs `handshake` once there is a place for it; `None` when it had to give its place up
    /// before it was over.
    pub(in crate::listen) async fn run<T>(&self, handshake: impl Future<Output = T>) -> Option<T> {
        let _place = self.place().await;
        let (kept, taken_away) = oneshot::channel();
        let _entry = Entry { all: self, number: self.enter(kept) };
        tokio::select! {
            done = handshake => Some(done),
            _sender_dropped = taken_away => None,
        }
    }

    async fn place(&self) -> SemaphorePermit<'_> {
        let mut place = pin!(self.places.acquire());
        loop {
            let next_aged =
                self.lock().by_number.first_key_value().map(|(_, it)| it.since + PATIENCE);
            let next_aged = next_aged.unwrap_or_else(|| Instant::now() + PATIENCE);
            tokio::select! {
                biased;
                place = &mut place => return place.expect("the semaphore is never closed"),
                () = sleep_until(next_aged) => {}
            }
            if self.take_oldest() {
                // One for each that waits: this one takes none again.
                return place.await.expect("the semaphore is never closed");
            }
        }
    }

    fn enter(&self, kept: oneshot::Sender<()>) -> u64 {
        let mut running = self.lock();
        let number = running.next;
        running.next += 1;
        running.by_number.insert(number, Place { since: Instant::now(), kept });
        number
    }

    /// Takes the oldest place away, if it is old enough; whether it was.
    fn take_oldest(&self) -> bool {
        let mut running = self.lock();
        match running.by_number.first_entry() {
            Some(oldest) if oldest.get().since + PATIENCE <= Instant::now() => {
                drop(oldest.remove().kept);
                true
            }
            Some(_) | None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handshake among those under way, until it is dropped.
struct Entry<'h> {
    all: &'h Handshakes,
    number: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.all.lock().by_number.remove(&self.number);
    }
}

/// How long a handshake keeps its place while others wait: more than a slow link needs.
const PATIENCE: Duration = Duration::from_secs(1);
