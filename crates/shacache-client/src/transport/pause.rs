//! How long to wait before the next try, and when to stop trying. The count starts anew whenever a
//! try moved more than a few bytes, so a long transfer over a bad line gets through.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::{MOVED_BYTES, TransportError};
use crate::config::Retries;

/// The pauses between the tries of one operation.
#[derive(Debug)]
pub(crate) struct Pauses {
    builder: ExponentialBuilder,
    pauses: ExponentialBackoff,
    left: usize,
    taken: usize,
    moved_bytes: u64,
}

impl Pauses {
    pub(crate) fn new(retries: Retries) -> Self {
        let builder = ExponentialBuilder::new()
            .with_min_delay(retries.first_pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(retries.fruitless);
        Self { pauses: builder.build(), builder, left: retries.resumes, taken: 0, moved_bytes: 0 }
    }

    /// Waits before the next try, or hands `error` back when it is not worth one.
    pub(crate) async fn after(&mut self, error: TransportError) -> Result<(), TransportError> {
        if !error.is_transient() {
            return Err(error);
        }
        let pause = match self.left.checked_sub(1).and_then(|_| self.pauses.next()) {
            Some(pause) => pause,
            None if self.taken == 0 => return Err(error),
            None => {
                return Err(TransportError::GaveUp {
                    tries: self.taken + 1,
                    source: Box::new(error),
                });
            }
        };
        self.left -= 1;
        self.moved_bytes = 0;
        self.taken += 1;
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER);
        tracing::debug!(%error, ?pause, "trying again");
        tokio::time::sleep(pause.max(asked)).await;
        Ok(())
    }

    /// Notes that bytes moved.
    pub(crate) fn moved(&mut self, bytes: u64) {
        self.moved_bytes += bytes;
        if self.moved_bytes >= MOVED_BYTES {
            self.pauses = self.builder.build();
        }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
