//! Bytes of small blobs that clients asked for lately, checked when they were read: asked for again
//! they cost neither file nor checksum. Owns how much memory that may take, what is worth it, and for
//! how long a blob answered from here counts as being in the archive. Must not know how bytes are
//! checked.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use shacache_core::digest::Digest;

use super::chunk::PIECE_BYTES;
use super::sums::{CHUNK_BYTES, Sums};
use crate::timestamp::Day;

/// What is at hand, under names that nobody can choose: with others, the hash would have to be one
/// made for that. A blob of one piece is kept as a whole, one of a few chunks chunk by chunk. The
/// archive is not asked again for either while all of it is at hand. Of larger ones nothing is kept
/// (docs/performance.md): the kernel keeps files, too, and reads them into buffers that are near the
/// processor when they are sent.
#[derive(Debug)]
pub(super) struct HotBytes {
    blobs: Cache<Digest, Found, BlobWeight, RandomState>,
    chunks: Cache<(Digest, u64), Bytes, ChunkWeight, RandomState>,
    asked_for: AskedFor,
    /// Blobs taken out of the archive, by the first byte of their digests.
    removals: Box<[AtomicU64]>,
}

/// A blob that is in the archive, or was a moment ago.
#[derive(Debug, Clone)]
pub(super) enum HotBlob {
    /// All of its bytes.
    Whole(Bytes),
    /// What its chunks, of which each is at hand or was a moment ago, sum up to.
    InChunks(Arc<Sums>),
}

#[derive(Debug, Clone)]
struct Found {
    blob: HotBlob,
    look: Look,
}

/// A look for a blob in the archive. What was found holds for a while, unless a blob was taken out
/// since, and not past the day on which its use is noted. A machine that sleeps meanwhile ends
/// neither.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    until: Instant,
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
        // In this order, or it would end after the day.
        let now = Instant::now();
        self.look_within(digest, now, Day::rest_of_today())
    }

    fn look_within(&self, digest: &Digest, now: Instant, rest_of_today: Duration) -> Look {
        let until = now + LOOK_AGE.min(rest_of_today);
        Look { until, removals: self.removals(digest).load(Ordering::Acquire) }
    }

    /// A blob that can be answered without asking the archive.
    pub(super) fn blob(&self, digest: &Digest) -> Option<HotBlob> {
        let Found { blob, look } = self.blobs.get(digest)?;
        let holds = look.removals == self.removals(digest).load(Ordering::Acquire)
            && Instant::now() < look.until;
        let is_at_hand = || match &blob {
            HotBlob::Whole(_) => true,
            HotBlob::InChunks(sums) => self.has_chunks(digest, sums),
        };
        (holds && is_at_hand()).then_some(blob)
    }

    /// Keeps all bytes of a blob of one piece, which was found by `look`.
    pub(super) fn keep_blob(&self, digest: &Digest, look: Look, bytes: &Bytes) {
        self.blobs.insert(*digest, Found { blob: HotBlob::Whole(bytes.clone()), look });
    }

    /// Notes that a blob with these sums was found by `look`, if that spares the next client the
    /// archive.
    pub(super) fn keep_found(&self, digest: &Digest, look: Look, sums: &Arc<Sums>) {
        if is_kept(sums.size()) && self.has_chunks(digest, sums) {
            let blob = HotBlob::InChunks(Arc::clone(sums));
            self.blobs.insert(*digest, Found { blob, look });
        }
    }

    fn has_chunks(&self, digest: &Digest, sums: &Sums) -> bool {
        sums.chunks() > 0
            && (0..sums.chunks()).all(|number| self.chunks.contains_key(&(*digest, number)))
    }

    /// A chunk of a blob of so many bytes.
    pub(super) fn chunk(&self, digest: &Digest, number: u64, blob_bytes: u64) -> Option<Bytes> {
        // For every chunk of a large blob, to look would be in vain.
        if !is_kept(blob_bytes) {
            return None;
        }
        self.chunks.get(&(*digest, number))
    }

    /// Of the bytes at `range` of a blob of a few chunks, those in the one where it begins; never
    /// none of them. Who is slow to send them on keeps no more than a chunk of what was driven out
    /// meanwhile.
    pub(super) fn start_of(&self, digest: &Digest, range: &Range<u64>) -> Option<Bytes> {
        let start = range.start / CHUNK_BYTES as u64 * CHUNK_BYTES as u64;
        let chunk = self.chunks.get(&(*digest, start / CHUNK_BYTES as u64))?;
        let [from, to] = [range.start, range.end]
            .map(|at| at.saturating_sub(start).min(chunk.len() as u64) as usize);
        match to.saturating_sub(from) {
            0 => None,
            few if few <= PIECE_BYTES && few < chunk.len() => {
                Some(Bytes::copy_from_slice(&chunk[from..to]))
            }
            _ => Some(chunk.slice(from..to)),
        }
    }

    /// Keeps a chunk of a blob of so many bytes if it was asked for a short while ago, too. One that
    /// is asked for once, or comes round after more others than there is room for, would only drive
    /// those out.
    pub(super) fn keep_chunk(
        &self,
        digest: &Digest,
        number: u64,
        pieces: &VecDeque<Bytes>,
        blob_bytes: u64,
    ) {
        if !is_kept(blob_bytes) || !self.asked_for.again(digest, number) {
            return;
        }
        // In one piece: fewer and larger writes to a socket cost less, as long as what is on its way
        // stays near the processor. The buffers that it came in are used again.
        let mut chunk = Vec::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| chunk.extend_from_slice(piece));
        self.chunks.insert((*digest, number), chunk.into());
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

impl Weighter<Digest, Found> for BlobWeight {
    fn weight(&self, _: &Digest, found: &Found) -> u64 {
        let bytes = match &found.blob {
            HotBlob::Whole(bytes) => bytes.len() as u64,
            HotBlob::InChunks(sums) => sums.weight(),
        };
        bytes + OVERHEAD_BYTES
    }
}

#[derive(Debug, Clone)]
struct ChunkWeight;

impl Weighter<(Digest, u64), Bytes> for ChunkWeight {
    fn weight(&self, _: &(Digest, u64), chunk: &Bytes) -> u64 {
        chunk.len() as u64 + OVERHEAD_BYTES
    }
}

/// Whether chunks of a blob of so many bytes are kept.
fn is_kept(blob_bytes: u64) -> bool {
    blob_bytes <= FEW_CHUNKS * CHUNK_BYTES as u64
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
/// Up to 256 KiB, to look for a blob costs a good part of what sending it does.
const FEW_CHUNKS: u64 = 4;
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
    /// Of a blob of a few chunks.
    const FEW: u64 = 4 * CHUNK_BYTES as u64;

    fn pieces() -> VecDeque<Bytes> {
        let numbers = 0..(CHUNK_BYTES / PIECE_BYTES) as u8;
        numbers.map(|piece| Bytes::from(vec![piece; PIECE_BYTES])).collect()
    }

    /// Two, and the start of another.
    fn sums_of_three_chunks() -> Arc<Sums> {
        Arc::new(Sums::of(&vec![0; 2 * CHUNK_BYTES + 1]))
    }

    fn whole(hot: &HotBytes, digest: &Digest) -> Option<Bytes> {
        match hot.blob(digest)? {
            HotBlob::Whole(bytes) => Some(bytes),
            HotBlob::InChunks(_) => None,
        }
    }

    #[test]
    fn a_blob_is_at_hand_until_it_is_taken_out() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        let early = hot.look(&digest);
        assert!(hot.blob(&digest).is_none());
        hot.keep_blob(&digest, early, &Bytes::from_static(b"a"));
        assert_eq!(whole(&hot, &digest), Some(Bytes::from_static(b"a")));
        hot.forget(&digest);
        assert!(hot.blob(&digest).is_none());
        // Whoever looked before that has found what is no longer there.
        hot.keep_blob(&digest, early, &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_none());
        hot.keep_blob(&digest, hot.look(&digest), &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_some());
    }

    #[test]
    fn a_blob_of_a_few_chunks_is_at_hand_while_all_of_them_are() {
        let (hot, digest, sums) = (HotBytes::new(MANY), Digest::of(b"a"), sums_of_three_chunks());
        for number in 0..sums.chunks() {
            hot.keep_found(&digest, hot.look(&digest), &sums);
            assert!(hot.blob(&digest).is_none(), "chunk {number} and the next are missing");
            hot.keep_chunk(&digest, number, &pieces(), FEW);
            hot.keep_chunk(&digest, number, &pieces(), FEW);
        }
        assert!(hot.blob(&digest).is_none(), "nobody has found it");
        let early = hot.look(&digest);
        hot.keep_found(&digest, early, &sums);
        assert!(matches!(hot.blob(&digest), Some(HotBlob::InChunks(found)) if found == sums));
        hot.chunks.remove(&(digest, 1));
        assert!(hot.blob(&digest).is_none(), "a chunk was driven out");
        hot.keep_chunk(&digest, 1, &pieces(), FEW);
        assert!(hot.blob(&digest).is_some());
        hot.forget(&digest);
        hot.keep_found(&digest, early, &sums);
        assert!(hot.blob(&digest).is_none(), "it was taken out since it was found");
    }

    #[test]
    fn nothing_is_kept_of_a_large_blob() {
        let hot = HotBytes::new(MANY);
        for (blob, bytes, is_kept) in [(b"a", FEW, true), (b"b", FEW + 1, false)] {
            let (digest, sums) = (Digest::of(blob), Arc::new(Sums::of(&vec![0; bytes as usize])));
            for number in 0..sums.chunks() {
                hot.keep_chunk(&digest, number, &pieces(), bytes);
                hot.keep_chunk(&digest, number, &pieces(), bytes);
                assert_eq!(chunk(&hot, &digest, number).is_some(), is_kept);
                assert_eq!(hot.chunk(&digest, number, bytes).is_some(), is_kept);
            }
            hot.keep_found(&digest, hot.look(&digest), &sums);
            assert_eq!(hot.blob(&digest).is_some(), is_kept);
        }
    }

    #[test]
    fn what_was_found_long_ago_or_yesterday_is_looked_for_again() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        let now = hot.look(&digest);
        assert!(now.until <= Instant::now() + LOOK_AGE);
        let Some(until) = now.until.checked_sub(LOOK_AGE) else {
            panic!("the clock has just begun")
        };
        hot.keep_blob(&digest, Look { until, ..now }, &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_none());
        let last_of_today = hot.look_within(&digest, Instant::now(), Duration::ZERO);
        hot.keep_blob(&digest, last_of_today, &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_none());
        hot.keep_blob(&digest, now, &Bytes::from_static(b"a"));
        assert!(hot.blob(&digest).is_some());
    }

    fn chunk(hot: &HotBytes, digest: &Digest, number: u64) -> Option<Bytes> {
        hot.start_of(digest, &(number * CHUNK_BYTES as u64..u64::MAX))
    }

    #[test]
    fn a_part_is_what_its_first_chunk_has_of_it() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        let whole: Bytes = pieces().into_iter().flatten().take(CHUNK_BYTES - 1).collect();
        for _ in 0..2 {
            hot.keep_chunk(&digest, 1, &VecDeque::from([whole.clone()]), FEW);
        }
        let start = CHUNK_BYTES as u64;
        let part = |from, to| hot.start_of(&digest, &(start + from..start + to));
        assert_eq!(part(0, u64::MAX - start), Some(whole.clone()));
        assert_eq!(part(3, 20_000), Some(whole.slice(3..20_000)));
        assert_eq!(part(start - 2, start), Some(whole.slice(CHUNK_BYTES - 2..)));
        assert_eq!(part(start - 1, start), None);
        assert_eq!(hot.start_of(&digest, &(start + 9..5)), None);
        assert_eq!(part(7, 7), None);
        assert_eq!(hot.start_of(&digest, &(0..10)), None);
    }

    #[test]
    fn a_chunk_is_kept_when_it_is_asked_for_again() {
        let (hot, digest) = (HotBytes::new(MANY), Digest::of(b"a"));
        hot.keep_chunk(&digest, 7, &pieces(), FEW);
        assert_eq!(chunk(&hot, &digest, 7), None);
        hot.keep_chunk(&digest, 7, &pieces(), FEW);
        assert_eq!(chunk(&hot, &digest, 7), Some(pieces().into_iter().flatten().collect()));
        assert_eq!(chunk(&hot, &digest, 6), None);
    }

    #[test]
    fn what_comes_round_after_more_than_there_is_room_for_drives_nothing_out() {
        let hot = HotBytes::new(MANY);
        let (loved, digest) = (Digest::of(b"a"), Digest::of(b"b"));
        hot.keep_chunk(&loved, 0, &pieces(), FEW);
        hot.keep_chunk(&loved, 0, &pieces(), FEW);
        let room = MANY / CHUNK_BYTES as u64;
        for number in (0..3).flat_map(|_| 0..4 * room) {
            hot.keep_chunk(&digest, number, &pieces(), FEW);
        }
        assert!(chunk(&hot, &loved, 0).is_some());
        let kept = (0..4 * room).filter(|number| chunk(&hot, &digest, *number).is_some()).count();
        assert!((kept as u64) < room / 4, "{kept} of {room}");
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may() {
        let most_bytes = 2 << 20;
        let (hot, of_chunks) = (HotBytes::new(most_bytes), HotBytes::new(most_bytes));
        let bytes = Bytes::from(vec![0; PIECE_BYTES]);
        for number in 0..1000_u64 {
            let digest = Digest::of(&number.to_le_bytes());
            hot.keep_blob(&digest, hot.look(&digest), &bytes);
            hot.keep_chunk(&digest, 0, &pieces(), FEW);
            hot.keep_chunk(&digest, 0, &pieces(), FEW);
            of_chunks.keep_chunk(&digest, 0, &pieces(), FEW);
            of_chunks.keep_chunk(&digest, 0, &pieces(), FEW);
            let sums = Arc::new(Sums::of(&vec![0; CHUNK_BYTES]));
            of_chunks.keep_found(&digest, of_chunks.look(&digest), &sums);
        }
        for hot in [hot, of_chunks] {
            assert!(hot.blobs.weight() + hot.chunks.weight() <= most_bytes);
            assert!(hot.blobs.len() > 8 && hot.chunks.len() > 4);
        }
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        let (hot, digest) = (HotBytes::new(0), Digest::of(b"a"));
        hot.keep_blob(&digest, hot.look(&digest), &Bytes::from_static(b"a"));
        hot.keep_chunk(&digest, 0, &pieces(), FEW);
        hot.keep_chunk(&digest, 0, &pieces(), FEW);
        assert!(hot.blob(&digest).is_none());
        assert_eq!(chunk(&hot, &digest, 0), None);
    }
}
