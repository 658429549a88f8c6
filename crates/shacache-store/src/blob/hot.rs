//! Bytes that clients asked for lately, checked when they were read: asked for again they cost
//! neither disk nor checksum. Owns how much memory that may take, what is worth it, and for how long
//! a blob answered from here counts as being in the archive. Must not know how bytes are checked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use shacache_core::digest::Digest;

use super::chunk::PIECE_BYTES;
use super::sums::CHUNK_BYTES;

/// What is at hand, under names that nobody can choose: with others, the hash would have to be one
/// made for that. Whole blobs of one piece are answered without asking the archive again; of a
/// larger one each chunk is kept for itself, and its file is opened for every client.
#[derive(Debug)]
pub(super) struct HotBytes {
    blobs: Cache<Digest, HotBlob, BlobWeight, RandomState>,
    chunks: Cache<(Digest, u64), Arc<[Bytes]>, ChunkWeight, RandomState>,
    asked_for: AskedFor,
    /// Blobs taken out of the archive, by the first byte of their digests.
    removals: Box<[AtomicU64]>,
}

#[derive(Debug, Clone)]
struct HotBlob {
    bytes: Bytes,
    look: Look,
}

/// When somebody began to look for a blob in the archive. What was found holds for a while, unless
/// a blob was taken out since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    removals: u64,
}

impl HotBytes {
    /// Keeps at most so many bytes, a quarter of them for small blobs; with 0, nothing.
    pub(super) fn new(most_bytes: u64) -> Self {
        let of_blobs = most_bytes / 4;
        let of_chunks = most_bytes - of_blobs;
        Self {
            blobs: cache(of_blobs, SMALL_BYTES, BlobWeight),
            chunks: cache(of_chunks, CHUNK_BYTES as u64, ChunkWeight),
            asked_for: AskedFor::new(of_chunks / CHUNK_BYTES as u64),
            removals: (0..=u8::MAX).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// To be had before the archive is asked for the blob.
    pub(super) fn look(&self, digest: &Digest) -> Look {
        Look { at: Instant::now(), removals: self.removals(digest).load(Ordering::Acquire) }
    }

    /// All bytes of a blob that is in the archive, or was a moment ago.
    pub(super) fn blob(&self, digest: &Digest) -> Option<Bytes> {
        let HotBlob { bytes, look } = self.blobs.get(digest)?;
        let holds = look.removals == self.removals(digest).load(Ordering::Acquire)
            && look.at.elapsed() < LOOK_AGE;
        holds.then_some(bytes)
    }

    /// Keeps all bytes of a blob of one piece, which was found by `look`.
    pub(super) fn keep_blob(&self, digest: &Digest, look: Look, bytes: &Bytes) {
        self.blobs.insert(*digest, HotBlob { bytes: bytes.clone(), look });
    }

    /// The pieces of a chunk.
    pub(super) fn chunk(&self, digest: &Digest, number: u64) -> Option<VecDeque<Bytes>> {
        let pieces = self.chunks.get(&(*digest, number))?;
        Some(pieces.iter().cloned().collect())
    }

    /// Keeps a chunk if it was asked for a short while ago, too. One that is asked for once, or
    /// comes round after more others than there is room for, would only drive those out.
    pub(super) fn keep_chunk(&self, digest: &Digest, number: u64, pieces: &VecDeque<Bytes>) {
        if self.asked_for.again(digest, number) {
            self.chunks.insert((*digest, number), pieces.iter().cloned().collect());
        }
    }

    /// A blob was taken out of the archive: it is not answered from here from now on, also not by
    /// whoever looked for it before.
    pub(super) fn forget(&self, digest: &Digest) {
        self.removals(digest).fetch_add(1, Ordering::AcqRel);
        self.blobs.remove(digest);
    }

    fn removals(&self, digest: &Digest) -> &AtomicU64 {
        &self.removals[usize::from(digest.as_bytes()[0])]
    }
}

/// Which chunks were asked for lately: about as many as there is room for.
#[derive(Debug)]
struct AskedFor(Box<[AtomicU64]>);

impl AskedFor {
    fn new(chunks: u64) -> Self {
        Self((0..chunks).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that a chunk is asked for, and says whether it was before. Two chunks may share a
    /// place, and then forget each other.
    fn again(&self, digest: &Digest, number: u64) -> bool {
        let start = std::array::from_fn(|at| digest.as_bytes()[at]);
        // Zero is for a place that nobody has used.
        let name = (u64::from_le_bytes(start) ^ number.wrapping_mul(SPREAD)) | 1;
        let Some(places) = u64::try_from(self.0.len()).ok().filter(|places| *places > 0) else {
            return false;
        };
        let place = &self.0[(name.wrapping_mul(SPREAD) >> 32) as usize % places as usize];
        place.swap(name, Ordering::Relaxed) == name
    }
}

#[derive(Debug, Clone)]
struct BlobWeight;

impl Weighter<Digest, HotBlob> for BlobWeight {
    fn weight(&self, _: &Digest, blob: &HotBlob) -> u64 {
        blob.bytes.len() as u64 + OVERHEAD_BYTES
    }
}

#[derive(Debug, Clone)]
struct ChunkWeight;

impl Weighter<(Digest, u64), Arc<[Bytes]>> for ChunkWeight {
    fn weight(&self, _: &(Digest, u64), pieces: &Arc<[Bytes]>) -> u64 {
        // Each piece has memory of this size, also a shorter one.
        (pieces.len() * PIECE_BYTES) as u64 + OVERHEAD_BYTES
    }
}

fn cache<K: Eq + std::hash::Hash, V: Clone, W: Weighter<K, V> + Clone>(
    bytes: u64,
    usual_bytes: u64,
    weight: W,
) -> Cache<K, V, W, RandomState> {
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity((bytes / usual_bytes) as usize)
        .weight_capacity(bytes)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, weight, RandomState::default(), DefaultLifecycle::default())
}

/// Blobs may be taken out of the archive by hand; that shows after so long, as it does for entries.
const LOOK_AGE: Duration = Duration::from_secs(2);
const SHARDS: usize = 4;
/// What is usual for blobs of one piece.
const SMALL_BYTES: u64 = 1024;
/// Keys and the cache's own account of them.
const OVERHEAD_BYTES: u64 = 256;
/// The golden ratio in 64 bits: neighbours land far from each other.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u64 = 64 << 20;

    fn pieces() -> VecDeque<Bytes> {
        (0..4).map(|_| Bytes::from(vec![0; PIECE_BYTES])).collect()
    }

    #[test]
    fn a_blob_is_at_hand_until_it_is_taken_out() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        let early = hot.look(&digest);
        assert_eq!(hot.blob(&digest), None);
        hot.keep_blob(&digest, early, &Bytes::from_static(b"a"));
        assert_eq!(hot.blob(&digest), Some(Bytes::from_static(b"a")));
        hot.forget(&digest);
        assert_eq!(hot.blob(&digest), None);
        // Whoever looked before that has found what is no longer there.
        hot.keep_blob(&digest, early, &Bytes::from_static(b"a"));
        assert_eq!(hot.blob(&digest), None);
        hot.keep_blob(&digest, hot.look(&digest), &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_some());
    }

    #[test]
    fn what_was_found_long_ago_is_looked_for_again() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        let now = hot.look(&digest);
        let Some(at) = now.at.checked_sub(LOOK_AGE) else { panic!("the clock has just begun") };
        hot.keep_blob(&digest, Look { at, ..now }, &Bytes::from_static(b"a"));
        assert_eq!(hot.blob(&digest), None);
    }

    #[test]
    fn a_chunk_is_kept_when_it_is_asked_for_again() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        hot.keep_chunk(&digest, 7, &pieces());
        assert_eq!(hot.chunk(&digest, 7), None);
        hot.keep_chunk(&digest, 7, &pieces());
        assert_eq!(hot.chunk(&digest, 7), Some(pieces()));
        assert_eq!(hot.chunk(&digest, 6), None);
    }

    #[test]
    fn what_comes_round_after_more_than_there_is_room_for_drives_nothing_out() {
        let hot = HotBytes::new(MANY);
        let (loved, digest) = (Digest::of(b"a"), Digest::of(b"b"));
        hot.keep_chunk(&loved, 0, &pieces());
        hot.keep_chunk(&loved, 0, &pieces());
        let room = MANY / CHUNK_BYTES as u64;
        for number in (0..3).flat_map(|_| 0..4 * room) {
            hot.keep_chunk(&digest, number, &pieces());
        }
        assert!(hot.chunk(&loved, 0).is_some());
        let kept = (0..4 * room).filter(|number| hot.chunk(&digest, *number).is_some()).count();
        assert!((kept as u64) < room / 4, "{kept} of {room}");
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may() {
        let hot = HotBytes::new(1 << 20);
        let bytes = Bytes::from(vec![0; PIECE_BYTES]);
        for number in 0..1000_u64 {
            let digest = Digest::of(&number.to_le_bytes());
            hot.keep_blob(&digest, hot.look(&digest), &bytes);
            hot.keep_chunk(&digest, 0, &pieces());
            hot.keep_chunk(&digest, 0, &pieces());
        }
        assert!(hot.blobs.weight() + hot.chunks.weight() <= 1 << 20);
        assert!(hot.blobs.len() > 8 && hot.chunks.len() > 4);
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        let (hot, digest) = (HotBytes::new(0), Digest::of(b"a"));
        hot.keep_blob(&digest, hot.look(&digest), &Bytes::from_static(b"a"));
        hot.keep_chunk(&digest, 0, &pieces());
        hot.keep_chunk(&digest, 0, &pieces());
        assert_eq!(hot.blob(&digest), None);
        assert_eq!(hot.chunk(&digest, 0), None);
    }
}
