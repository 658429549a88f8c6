//! The checksums of a blob's chunks: CRC-32C (RFC 3720, appendix B.4) of every 64 KiB, so that any
//! part can be checked before it leaves without reading the whole.

use crate::crc32c;

/// Bytes per chunk; only the last may be shorter.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// The checksums of one blob, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    size: u64,
    crcs: Box<[u32]>,
}

impl Sums {
    /// The sums of bytes at hand.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut summer = Summer::default();
        summer.update(bytes);
        summer.finish()
    }

    /// The blob's length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How many chunks the blob has.
    pub(crate) fn chunks(&self) -> u64 {
        self.crcs.len() as u64
    }

    /// Whether `pieces` are, one after another, the whole chunk number `chunk`.
    pub(crate) fn check<'a>(&self, chunk: u64, pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
        matches(&self.crcs, chunk, pieces).unwrap_or(false)
    }

    /// As kept in the index: little-endian, four bytes a chunk.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect()
    }

    /// Reads what [`Sums::to_bytes`] wrote; `None` when it is not as long as `size` needs.
    pub(crate) fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (crcs, rest) = bytes.as_chunks::<4>();
        let expected = size.div_ceil(CHUNK_BYTES as u64);
        (rest.is_empty() && crcs.len() as u64 == expected)
            .then(|| Self { size, crcs: crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect() })
    }

    /// Bytes of memory they take.
    pub(crate) fn weight(&self) -> u64 {
        (size_of::<Self>() + size_of_val(&*self.crcs)) as u64
    }
}

/// Computes [`Sums`] from bytes that arrive piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Summer {
    crcs: Vec<u32>,
    crc: u32,
    /// Bytes in the chunk that `crc` is of.
    filled: usize,
    size: u64,
}

impl Summer {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.filled));
            self.crc = crc32c::append(self.crc, now);
            self.filled += now.len();
            if self.filled == CHUNK_BYTES {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    /// Whether `pieces` are, one after another, the same as the whole chunk number `chunk` was;
    /// `None` while that one has not arrived in full.
    pub(crate) fn check<'a>(
        &self,
        chunk: u64,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<bool> {
        matches(&self.crcs, chunk, pieces)
    }

    pub(crate) fn finish(mut self) -> Sums {
        if self.filled > 0 {
            self.end_chunk();
        }
        Sums { size: self.size, crcs: self.crcs.into() }
    }

    fn end_chunk(&mut self) {
        self.crcs.push(std::mem::take(&mut self.crc));
        self.filled = 0;
    }
}

/// Whether `pieces` have the checksum of that chunk, if it has one.
fn matches<'a>(
    crcs: &[u32],
    chunk: u64,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Option<bool> {
    let crc = crcs.get(usize::try_from(chunk).ok()?)?;
    Some(*crc == pieces.into_iter().fold(0, crc32c::append))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros give aa 36 91 8a in the order they are sent.
        assert_eq!(Sums::of(&[0; 32]).to_bytes(), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn an_empty_blob_has_no_chunk() {
        assert_eq!(Sums::of(b"").to_bytes(), b"");
        assert_eq!(Sums::from_bytes(0, b""), Some(Sums::of(b"")));
    }

    #[test]
    fn each_chunk_is_checked_by_its_own_sum() {
        let mut bytes = vec![7; 2 * CHUNK_BYTES + 1];
        let sums = Sums::of(&bytes);
        assert!(sums.check(0, [&bytes[..100], &bytes[100..CHUNK_BYTES]]));
        assert!(sums.check(2, [&bytes[2 * CHUNK_BYTES..]]));
        assert!(!sums.check(3, []));
        bytes[CHUNK_BYTES] ^= 1;
        assert!(!sums.check(1, [&bytes[CHUNK_BYTES..2 * CHUNK_BYTES]]));
    }

    #[test]
    fn sums_of_another_length_are_refused() {
        assert_eq!(Sums::from_bytes(CHUNK_BYTES as u64 + 1, &[0; 4]), None);
        assert_eq!(Sums::from_bytes(1, &[0; 5]), None);
    }

    proptest! {
        #[test]
        fn pieces_sum_as_the_whole(
            head in proptest::collection::vec(any::<u8>(), 0..200_000),
            tail in proptest::collection::vec(any::<u8>(), 0..200_000),
        ) {
            let mut summer = Summer::default();
            summer.update(&head);
            summer.update(&tail);
            let sums = summer.finish();
            prop_assert_eq!(&sums, &Sums::of(&[&head[..], &tail[..]].concat()));
            prop_assert_eq!(Sums::from_bytes(sums.size(), &sums.to_bytes()), Some(sums));
        }
    }
}
