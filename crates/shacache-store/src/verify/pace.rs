//! How fast a check may read.

use std::time::{Duration, Instant};

/// Keeps a rate by pausing whoever reads.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    begun: Instant,
    read_bytes: u64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, begun: Instant::now(), read_bytes: 0 }
    }

    /// How long to pause after `bytes` more were read.
    pub(crate) fn pause_after(&mut self, bytes: u64) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        self.read_bytes += bytes;
        let due = Duration::from_secs_f64(self.read_bytes as f64 / rate.max(1) as f64);
        let pause = due.saturating_sub(self.begun.elapsed());
        if pause.is_zero() {
            // Idle time is not saved up for a burst.
            self.begun = Instant::now();
            self.read_bytes = 0;
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
