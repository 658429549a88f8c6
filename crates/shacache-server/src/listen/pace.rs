//! How fast the other side must go: never silent for too long, and no slower than a minimum over a
//! window. Only time spent waiting for the other side counts, so a slow disk or a busy handler is
//! never held against a client. Pure: the caller brings the time.

use std::time::Duration;

use tokio::time::Instant;

use super::MinimumFlow;

/// Accounts for one direction of one transfer.
#[derive(Debug)]
pub(super) struct Pace {
    stall: Duration,
    window: Duration,
    window_bytes: u64,
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

/// How a deadline was missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missed {
    Stalled,
    TooSlow,
}

impl Pace {
    pub(super) fn new(flow: &MinimumFlow) -> Self {
        Self {
            stall: flow.stall,
            window: flow.window,
            window_bytes: flow.window_bytes,
            waiting_since: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// From `now` on the other side has to act, if it had not already.
    pub(super) fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// The other side moved `bytes`, which ends the wait.
    pub(super) fn progress(&mut self, now: Instant, bytes: u64) {
        let Some(since) = self.waiting_since.take() else { return };
        self.waited += now.saturating_duration_since(since);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= self.window_bytes {
            self.waited = Duration::ZERO;
            self.bytes = 0;
        }
    }

    /// When the wait becomes too long, and what it is then; nothing while nobody waits.
    pub(super) fn deadline(&self) -> Option<(Instant, Missed)> {
        let since = self.waiting_since?;
        let left = self.window.saturating_sub(self.waited);
        Some(if left < self.stall {
            (since + left, Missed::TooSlow)
        } else {
            (since + self.stall, Missed::Stalled)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(&MinimumFlow { stall: 30 * SECOND, window: 60 * SECOND, window_bytes: 600 })
    }

    #[test]
    fn silence_is_a_stall() {
        let (mut pace, start) = (pace(), Instant::now());
        assert_eq!(pace.deadline(), None);
        pace.wait(start);
        pace.wait(start + SECOND);
        assert_eq!(pace.deadline(), Some((start + 30 * SECOND, Missed::Stalled)));
    }

    #[test]
    fn a_byte_now_and_then_is_too_slow_once_a_window_is_full() {
        let (mut pace, mut now) = (pace(), Instant::now());
        for _ in 0..3 {
            pace.wait(now);
            now += 20 * SECOND;
            pace.progress(now, 1);
        }
        pace.wait(now);
        assert_eq!(pace.deadline(), Some((now, Missed::TooSlow)));
    }

    #[test]
    fn enough_bytes_open_a_new_window() {
        let (mut pace, mut now) = (pace(), Instant::now());
        for _ in 0..100 {
            pace.wait(now);
            now += 20 * SECOND;
            pace.progress(now, 200);
        }
        pace.wait(now);
        assert_eq!(pace.deadline(), Some((now + 30 * SECOND, Missed::Stalled)));
    }

    #[test]
    fn time_nobody_waited_does_not_count() {
        let (mut pace, mut now) = (pace(), Instant::now());
        for _ in 0..10 {
            pace.wait(now);
            pace.progress(now + SECOND, 1);
            now += 1000 * SECOND;
        }
        pace.wait(now);
        assert_eq!(pace.deadline(), Some((now + 30 * SECOND, Missed::Stalled)));
    }
}
