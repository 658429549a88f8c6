//! Free space is promised before it is used: an upload that would push the disk below the floor is
//! refused at its start, not when the disk is full. Owns the accounting, not the disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::defence::Defence;
use crate::error::{Fault, StoreError};

/// The space of one file system.
#[derive(Debug)]
pub(crate) struct Space {
    path: PathBuf,
    file_system: File,
    promised_bytes: AtomicU64,
}

/// How far below the floor a write may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Not at all.
    Blob,
    /// Half of it: statements about bytes stay possible when there is no room for more bytes.
    Entry,
}

impl Space {
    pub(crate) fn of(path: &Path) -> Result<Self, Fault> {
        Ok(Self {
            path: path.to_owned(),
            file_system: File::open(path).map_err(Fault::at("open", path))?,
            promised_bytes: AtomicU64::new(0),
        })
    }

    /// Promises `bytes`, or refuses.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Reservation, StoreError> {
        let mut reservation = Reservation { space: Arc::clone(self), purpose, bytes: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }
}

/// A promise of space, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    space: Arc<Space>,
    purpose: Purpose,
    bytes: u64,
}

impl Reservation {
    /// Promises `bytes` more, or refuses and leaves the promise as it was.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), StoreError> {
        let status = rustix::fs::fstatvfs(&self.space.file_system)
            .map_err(Fault::at("statvfs", &self.space.path))?;
        let available = status.f_bavail.saturating_mul(status.f_frsize);
        let total = status.f_blocks.saturating_mul(status.f_frsize);
        let floor = match self.purpose {
            _ if !Defence::Floor.is_up() => 0,
            Purpose::Blob => floor(total),
            Purpose::Entry => floor(total) / 2,
        };
        self.space
            .promised_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |promised| {
                let wanted = promised.checked_add(bytes)?;
                (wanted.checked_add(floor)? <= available).then_some(wanted)
            })
            .map_err(|_| StoreError::NoSpace)?;
        self.bytes += bytes;
        Ok(())
    }

    /// `bytes` of the promise are written: the file system counts them itself now.
    pub(crate) fn used(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.space.promised_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives the rest of the promise back.
    pub(crate) fn release(&mut self) {
        self.used(self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

/// What stays free: the smaller of 5 % and 1 GiB.
fn floor(total_bytes: u64) -> u64 {
    (total_bytes / 20).min(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Arc<Space> {
        Arc::new(Space::of(&std::env::temp_dir()).expect("the temporary folder opens"))
    }

    #[test]
    fn the_floor_is_the_smaller_of_a_twentieth_and_a_gibibyte() {
        assert_eq!(floor(64 << 20), (64 << 20) / 20);
        assert_eq!(floor(1 << 40), 1 << 30);
    }

    #[test]
    fn more_than_there_is_is_refused_and_nothing_stays_promised() {
        let space = space();
        assert!(matches!(space.reserve(u64::MAX, Purpose::Blob), Err(StoreError::NoSpace)));
        assert_eq!(space.promised_bytes.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_promise_shrinks_as_it_is_used_and_ends_when_dropped() {
        let space = space();
        let mut reservation = space.reserve(4096, Purpose::Entry).expect("4 KiB are free");
        reservation.used(1000);
        assert_eq!(space.promised_bytes.load(Ordering::Acquire), 3096);
        drop(reservation);
        assert_eq!(space.promised_bytes.load(Ordering::Acquire), 0);
    }
}
