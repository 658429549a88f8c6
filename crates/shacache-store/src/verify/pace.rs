//! How fast a check may read.

use std::time::{Duration, Instant};

use crate::defence::Defence;

/// Keeps a rate by pausing whoever reads.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    begun: Instant,
    read_bytes: u64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        let bytes_per_second = bytes_per_second.filter(|_| Defence::Pace.is_up());
        Self { bytes_per_second, begun: Instant::now(), read_bytes: 0 }
    }

    /// Pauses after `bytes` more were read, however long the rate demands; `false` as soon as
    /// `go_on` says so. Blocking.
    pub(crate) fn keep(&mut self, bytes: u64, mut go_on: impl FnMut() -> bool) -> bool {
        let (begun, pause) = (Instant::now(), self.pause_after(bytes));
        loop {
            if !go_on() {
                return false;
            }
            let left = pause.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }

    /// How long to pause after `bytes` more were read.
    fn pause_after(&mut self, bytes: u64) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        self.read_bytes += bytes;
        let due = Duration::try_from_secs_f64(self.read_bytes as f64 / rate.max(1) as f64)
            .unwrap_or(Duration::MAX);
        let pause = due.saturating_sub(self.begun.elapsed());
        if pause.is_zero() {
            // Idle time is not saved up for a burst.
            self.begun = Instant::now();
            self.read_bytes = 0;
        }
        pause
    }
}

/// How often a pause is asked whether it goes on.
const GLANCE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_years_ends_at_once_when_nobody_wants_it() {
        let mut pace = Pace::new(Some(1));
        let mut asked = 0;
        let begun = Instant::now();
        let kept = pace.keep(u64::MAX, || {
            asked += 1;
            asked < 3
        });
        assert!(!kept && begun.elapsed() < Duration::from_secs(5));
        assert!(Pace::new(Some(1000)).keep(10, || true));
    }

    #[test]
    fn a_pause_is_as_long_as_the_rate_demands() {
        let mut pace = Pace::new(Some(1000));
        let pause = pace.pause_after(500);
        assert!(pause > Duration::from_millis(400) && pause <= Duration::from_millis(500));
        let longer = pace.pause_after(500);
        assert!(longer > Duration::from_millis(900) && longer <= Duration::from_secs(1));
    }

    #[test]
    fn without_a_rate_there_is_no_pause() {
        assert_eq!(Pace::new(None).pause_after(u64::MAX), Duration::ZERO);
    }
}
