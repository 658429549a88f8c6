//! One chunk of a blob in memory, in pieces that each have memory of their own: what a client has
//! taken is given back while it holds up the rest. Must not know whether the bytes are right.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, IoSliceMut};
use std::ops::Range;

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};

use super::buffers::{Buffer, Buffers};

/// Some bytes of a file; fewer than asked for where it ends early.
#[derive(Debug)]
pub(super) struct Chunk(Vec<Buffer>);

impl Chunk {
    /// The bytes of `range` if the page cache has all of them.
    pub(super) fn resident(file: &File, range: &Range<u64>, buffers: &Buffers) -> Option<Self> {
        // An error means: not resident, or a file system that cannot tell.
        let chunk = Self::read(file, range, buffers, ReadWriteFlags::NOWAIT).ok()?;
        (chunk.len() == range.end - range.start).then_some(chunk)
    }

    /// The bytes of `range`, on a thread that may block.
    pub(super) fn blocking(
        file: &File,
        range: &Range<u64>,
        buffers: &Buffers,
    ) -> Result<Self, Error> {
        Ok(Self::read(file, range, buffers, ReadWriteFlags::empty())?)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(Buffer::len).sum::<usize>() as u64
    }

    /// All of them, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Buffer::as_ref)
    }

    /// All of it.
    pub(super) fn into_pieces(self) -> VecDeque<Bytes> {
        self.0.into_iter().map(Bytes::from_owner).collect()
    }

    fn read(
        file: &File,
        range: &Range<u64>,
        buffers: &Buffers,
        flags: ReadWriteFlags,
    ) -> Result<Self, Errno> {
        let starts = range.clone().step_by(PIECE_BYTES);
        let sizes = starts.map(|start| (range.end - start).min(PIECE_BYTES as u64) as usize);
        let mut pieces: Vec<_> = sizes.map(|size| buffers.take(size)).collect();
        let mut filled = 0;
        loop {
            let mut targets = unfilled(&mut pieces, filled);
            if targets.is_empty() {
                return Ok(Self(pieces));
            }
            let offset = range.start + filled as u64;
            match rustix::io::preadv2(file, &mut targets, offset, flags) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        for (number, piece) in pieces.iter_mut().enumerate() {
            piece.truncate(filled.saturating_sub(number * PIECE_BYTES));
        }
        Ok(Self(pieces))
    }
}

/// Those at `range` of the bytes that `pieces` are one after another.
pub(super) fn cut(pieces: VecDeque<Bytes>, range: Range<usize>) -> VecDeque<Bytes> {
    let mut start = 0;
    let pieces = pieces.into_iter().map(|piece| {
        let (from, to) = (range.start.max(start) - start, range.end.max(start) - start);
        start += piece.len();
        piece.slice(from.min(piece.len())..to.min(piece.len()))
    });
    pieces.filter(|piece| !piece.is_empty()).collect()
}

/// Where the bytes after the first `filled` go.
fn unfilled(pieces: &mut [Buffer], filled: usize) -> Vec<IoSliceMut<'_>> {
    let rests = pieces.iter_mut().enumerate().map(|(number, piece)| {
        let start = filled.saturating_sub(number * PIECE_BYTES).min(piece.len());
        &mut piece.space()[start..]
    });
    rests.filter(|rest| !rest.is_empty()).map(IoSliceMut::new).collect()
}

/// Small enough that not much is held back by its last byte, large enough for a write to a socket of
/// its own.
pub(super) const PIECE_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn any_part_of_any_range_is_that_of_the_file(
            size in 0_u64..100_000,
            start in 0_u64..100_000,
            length in 0_u64..70_000,
            from in 0_usize..70_000,
            to in 0_usize..70_000,
        ) {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let chunk = Chunk::blocking(&file, &(start..start + length), &Buffers::default());
            let chunk = chunk.unwrap();
            let there = bytes.get(start.min(size) as usize..(start + length).min(size) as usize);
            let there = there.unwrap_or_default();
            prop_assert_eq!(chunk.len(), there.len() as u64);
            prop_assert_eq!(chunk.pieces().collect::<Vec<_>>().concat(), there);
            let (from, to) = (from.min(there.len()), to.min(there.len()));
            let part = if from <= to { from..to } else { to..from };
            let pieces = cut(chunk.into_pieces(), part.clone());
            prop_assert_eq!(Vec::from(pieces).concat(), &there[part]);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_not_resident() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100]).unwrap();
        assert!(Chunk::resident(&file, &(0..101), &Buffers::default()).is_none());
    }
}
