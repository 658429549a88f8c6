//! CRC-32C, the checksum of RFC 3720 (appendix B.4). Must not know what is summed.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of what had the checksum `crc`, 0 for nothing, and then `bytes`.
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    // The state within a sum is its complement: nothing is all ones.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    // Checksums of this algorithm have 32 bits.
    digest.finalize() as u32
}

/// The checksum of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    /// As the standard defines it: bit by bit, least significant first.
    fn by_definition(bytes: &[u8]) -> u32 {
        let shifted = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shifted))
    }

    #[test]
    fn it_is_the_one_of_the_standard() {
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"123456789"), 0xe306_9283);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(of(&ascending), 0x46dd_794e);
    }

    #[test]
    fn it_is_as_defined_for_as_much_as_is_summed_at_once() {
        let bytes: Vec<u8> =
            (0..256 * 1024 + 1_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        assert_eq!(of(&bytes), by_definition(&bytes));
    }

    proptest! {
        /// Other code is at work for other lengths and alignments.
        #[test]
        fn it_is_as_defined_wherever_the_bytes_lie(
            bytes in proptest::collection::vec(any::<u8>(), 0..5_000),
            start in 0_usize..64,
            middle in any::<proptest::sample::Index>(),
        ) {
            let bytes = &bytes[start.min(bytes.len())..];
            let (head, tail) = bytes.split_at(middle.index(bytes.len() + 1));
            prop_assert_eq!(of(bytes), by_definition(bytes));
            prop_assert_eq!(append(of(head), tail), by_definition(bytes));
        }
    }
}
