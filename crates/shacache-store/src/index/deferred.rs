//! Changes that can wait: the other digests of blobs. Each has a place of its own in three indices of
//! the file, so that many of them in one transaction share pages that few would each write anew. Owns
//! how long they wait, and how many; must not know how they are written.

use std::time::{Duration, Instant};

use super::Change;

/// Changes, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    changes: Vec<Change>,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Deferred {
    pub(super) fn add(&mut self, change: Change) {
        self.since.get_or_insert_with(Instant::now);
        self.changes.push(change);
    }

    /// For how long they may still wait if nothing else happens; `None` when there are none. While the
    /// index lacks things, more are likely to come.
    pub(super) fn patience(&self, is_complete: bool) -> Option<Duration> {
        let age = self.since?.elapsed();
        if self.changes.len() >= MOST {
            return Some(Duration::ZERO);
        }
        Some(match is_complete {
            true => LONGEST.saturating_sub(age).min(PAUSE),
            false => LONGEST_INCOMPLETE.saturating_sub(age).min(PAUSE_INCOMPLETE),
        })
    }

    pub(super) fn take(&mut self) -> Vec<Change> {
        self.since = None;
        std::mem::take(&mut self.changes)
    }
}

/// Three MiB of them.
const MOST: usize = 16 * 1024;
const LONGEST: Duration = Duration::from_secs(2);
const LONGEST_INCOMPLETE: Duration = Duration::from_secs(20);
/// None has come for so long, so none will come soon.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_INCOMPLETE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use shacache_core::digest::{AliasHasher, Digest};

    use super::*;

    #[test]
    fn few_wait_a_moment_and_many_or_old_ones_no_longer() {
        let mut deferred = Deferred::default();
        assert_eq!(deferred.patience(true), None);
        deferred.add(change());
        assert_eq!(deferred.patience(true), Some(PAUSE));
        assert_eq!(deferred.patience(false), Some(PAUSE_INCOMPLETE));
        // A machine that has just been started has no such time.
        if let Some(since) = Instant::now().checked_sub(LONGEST) {
            deferred.since = Some(since);
            assert_eq!(deferred.patience(true), Some(Duration::ZERO));
            assert_eq!(deferred.patience(false), Some(PAUSE_INCOMPLETE));
        }
        if let Some(since) = Instant::now().checked_sub(LONGEST_INCOMPLETE) {
            deferred.since = Some(since);
            assert_eq!(deferred.patience(false), Some(Duration::ZERO));
        }
        assert_eq!(deferred.take().len(), 1);
        for _ in 0..MOST {
            deferred.add(change());
        }
        assert_eq!(deferred.patience(false), Some(Duration::ZERO));
    }

    fn change() -> Change {
        Change::Aliases { digest: Digest::of(b""), aliases: AliasHasher::new().finish() }
    }
}
