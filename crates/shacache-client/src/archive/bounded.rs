//! How much an archive may cost: readers that fail once more comes out of it than its limits allow,
//! so that a few bytes never fill a disk or the memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// What an archive may contain.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files, folders and links. Default 2,000,000.
    pub entries: u64,
    /// Bytes of one file. Default 16 GiB.
    pub file_bytes: u64,
    /// Bytes of everything, headers included. Default 64 GiB.
    pub total_bytes: u64,
    /// Bytes that may come out for each byte of the archive, beyond the first 64 MiB. Default 200.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self { entries: 2_000_000, file_bytes: 16 * GIB, total_bytes: 64 * GIB, ratio: 200 }
    }
}

/// A number that a reader and its owner both see.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Rc<Cell<u64>>);

impl Shared {
    pub(super) fn set(&self, value: u64) {
        self.0.set(value);
    }

    fn add(&self, more: usize) -> u64 {
        self.0.set(self.0.get().saturating_add(more as u64));
        self.0.get()
    }
}

/// Counts the packed bytes that go in.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) count: Shared,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.add(read);
        Ok(read)
    }
}

/// Limits the unpacked bytes that come out.
pub(super) struct Bounded<R> {
    pub(super) inner: R,
    pub(super) limits: Limits,
    /// Packed bytes so far.
    pub(super) packed: Shared,
    /// Unpacked bytes so far.
    pub(super) unpacked: u64,
    /// Bytes that may come before the owner allows more. The tar reader keeps headers in memory.
    pub(super) allowance: Shared,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        let most = FREE_BYTES.max(self.packed.add(0).saturating_mul(self.limits.ratio));
        if self.unpacked > most {
            return Err(too_much("it unpacks to far more than its size"));
        }
        if self.unpacked > self.limits.total_bytes {
            return Err(too_much("it unpacks to more bytes than allowed"));
        }
        let left = self.allowance.0.get().checked_sub(read as u64);
        self.allowance.set(left.ok_or_else(|| too_much("a header in it is too long"))?);
        Ok(read)
    }
}

fn too_much(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

const FREE_BYTES: u64 = 64 << 20;
