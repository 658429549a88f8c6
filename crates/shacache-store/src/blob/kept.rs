//! Pieces that were checked and wait for a client to take what came before them. All readers
//! together keep a bounded amount: what has waited longest is given up, and its reader reads and
//! checks its chunk once more if its client goes on. So clients that have stopped reading hold what is
//! on its way to them, a chunk at most, and what was read ahead for them. Must not know what the
//! pieces are of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// What all readers of a store keep.
#[derive(Debug, Default)]
pub(super) struct KeptPieces(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were kept.
    waiting: BTreeMap<u64, VecDeque<Bytes>>,
    next: u64,
    bytes: usize,
}

/// What one reader keeps, until it is dropped at the latest.
#[derive(Debug)]
pub(super) struct Kept {
    all: Arc<KeptPieces>,
    number: u64,
}

impl KeptPieces {
    pub(super) fn keep(self: &Arc<Self>, pieces: VecDeque<Bytes>) -> Kept {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.bytes += bytes_of(&pieces);
        state.waiting.insert(number, pieces);
        let mut given_up = Vec::new();
        while state.bytes > ALL_KEPT_BYTES
            && let Some((_, pieces)) = state.waiting.pop_first()
        {
            state.bytes -= bytes_of(&pieces);
            given_up.push(pieces);
        }
        drop(state);
        Kept { all: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The next piece; `None` when there is none, be it because they were given up.
    pub(super) fn next(&self) -> Option<Bytes> {
        let mut state = self.all.lock();
        let piece = state.waiting.get_mut(&self.number)?.pop_front()?;
        state.bytes -= piece.len();
        Some(piece)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        let pieces = state.waiting.remove(&self.number).unwrap_or_default();
        state.bytes -= bytes_of(&pieces);
        drop(state);
    }
}

fn bytes_of(pieces: &VecDeque<Bytes>) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// 16 MiB: enough for the rest of a chunk for each of hundreds of clients.
const ALL_KEPT_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::chunk::PIECE_BYTES;
    use super::*;

    fn pieces(number: u8) -> VecDeque<Bytes> {
        (0..3).map(|_| Bytes::from(vec![number; PIECE_BYTES])).collect()
    }

    #[test]
    fn pieces_come_back_in_order_until_there_are_none() {
        let all = Arc::new(KeptPieces::default());
        let kept = all.keep([Bytes::from_static(b"a"), Bytes::from_static(b"b")].into());
        assert_eq!(kept.next(), Some(Bytes::from_static(b"a")));
        assert_eq!(kept.next(), Some(Bytes::from_static(b"b")));
        assert_eq!(kept.next(), None);
    }

    #[test]
    fn what_has_waited_longest_is_given_up() {
        let all = Arc::new(KeptPieces::default());
        let most = ALL_KEPT_BYTES / (3 * PIECE_BYTES);
        let kept: Vec<_> = (0..=most).map(|number| all.keep(pieces(number as u8))).collect();
        assert!(all.lock().bytes <= ALL_KEPT_BYTES);
        assert_eq!(kept[0].next(), None);
        assert_eq!(kept[1].next().map(|piece| piece[0]), Some(1));
    }

    #[test]
    fn nothing_is_left_of_readers_that_are_gone() {
        let all = Arc::new(KeptPieces::default());
        let kept: Vec<_> = (0..1_000).map(|_| all.keep(pieces(0))).collect();
        let _taken = kept[999].next();
        drop(kept);
        let state = all.lock();
        assert_eq!((state.bytes, state.waiting.len()), (0, 0));
    }
}
