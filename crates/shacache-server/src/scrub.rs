//! The background check of the archive: every part of it once in a while, at a pace that leaves the
//! disk to clients. Owns when the next part is due; the check itself is the store's.

use std::num::NonZeroU64;
use std::time::Duration;

use shacache_store::Store;
use shacache_store::error::{Chain, StoreError};

/// When the archive is checked in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrub {
    /// Never: only `shacached verify` checks it.
    Off,
    /// Every part at least once in `period`.
    Every {
        /// How old the oldest check may get.
        period: Duration,
        /// The most that is read in a second.
        bytes_per_second: NonZeroU64,
    },
}

/// Checks whatever is due, until dropped.
pub async fn run(store: Store, scrub: Scrub) {
    let Scrub::Every { period, bytes_per_second } = scrub else {
        return;
    };
    loop {
        match check_if_due(&store, period, bytes_per_second).await {
            Ok(pause) => tokio::time::sleep(pause).await,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the background check failed");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Checks the part whose check is longest ago if that is `period` ago; says how long to wait.
async fn check_if_due(
    store: &Store,
    period: Duration,
    bytes_per_second: NonZeroU64,
) -> Result<Duration, StoreError> {
    if let Some(age) = store.oldest_check()
        && let Some(left) = period.checked_sub(age)
    {
        return Ok(left.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    }
    store.scrub(Some(bytes_per_second.get())).await?;
    Ok(Duration::ZERO)
}

const AFTER_FAILURE: Duration = Duration::from_secs(600);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The clock may be set meanwhile, and parts may be checked by hand.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
