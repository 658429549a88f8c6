//! Buffers for pieces of blobs, used again: making one anew costs filling it with zeros, and the
//! memory that was used last is still in the processor's caches. Must not know what is read.

use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::PIECE_BYTES;

/// Those that nobody uses at present. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

/// One in use; it goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
    home: Buffers,
}

impl Buffers {
    /// One of `size` bytes, with anything in them; at most [`PIECE_BYTES`].
    pub(super) fn take(&self, size: usize) -> Buffer {
        // A small blob gets memory of its size, since it may be kept.
        let spare = if size == PIECE_BYTES { self.spare() } else { None };
        let bytes = spare.unwrap_or_else(|| vec![0; size].into());
        Buffer { bytes, filled: size, home: self.clone() }
    }

    fn spare(&self) -> Option<Box<[u8]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Buffer {
    /// All of it, to be filled.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// How many bytes are in it.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// Leaves it with its first `filled` bytes.
    pub(super) fn truncate(&mut self, filled: usize) {
        self.filled = self.filled.min(filled);
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() != PIECE_BYTES {
            return;
        }
        let mut spare = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// 2 MiB.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(buffers: &Buffers) -> usize {
        buffers.0.lock().unwrap().len()
    }

    #[test]
    fn a_buffer_that_was_given_back_is_used_again() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(PIECE_BYTES);
        buffer.space()[0] = 7;
        buffer.truncate(1);
        assert_eq!(buffer.as_ref(), [7]);
        drop(buffer);
        assert_eq!(spare(&buffers), 1);
        let buffer = buffers.take(PIECE_BYTES);
        assert_eq!((buffer.len(), buffer.as_ref()[0], spare(&buffers)), (PIECE_BYTES, 7, 0));
    }

    #[test]
    fn small_ones_are_not_kept_and_not_too_many_of_the_others() {
        let buffers = Buffers::default();
        drop(buffers.take(1));
        assert_eq!(spare(&buffers), 0);
        let many: Vec<_> = (0..2 * SPARE).map(|_| buffers.take(PIECE_BYTES)).collect();
        drop(many);
        assert_eq!(spare(&buffers), SPARE);
    }
}
