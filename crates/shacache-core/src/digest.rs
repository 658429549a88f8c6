//! SHA-512 digests: the name of a blob. Owns the text form (128 hex digits, lower case when
//! written, either case when read) and the streaming hasher. Must not know who stores the bytes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA512};

pub use self::alias::{AliasDigest, AliasHasher, Aliases, AnyDigest, AnyDigestError};

mod alias;

/// The SHA-512 of a blob's bytes (FIPS 180-4), and so the blob's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; Self::LEN]);

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 64;
    /// Length of the text form, in hex digits.
    pub const HEX_LEN: usize = 2 * Self::LEN;

    /// A digest from its raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(const_hex::Buffer::<{ Self::LEN }>::new().format(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; Self::LEN];
        decode_hex(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Computes a [`Digest`] from bytes that arrive piece by piece.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA512))
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; Digest::LEN];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text has a length that this kind of digest does not have.
    #[error("a digest of this kind has {expected} hex digits, not {found}")]
    Length {
        /// Hex digits of the kind asked for.
        expected: usize,
        /// Bytes of the text given.
        found: usize,
    },
    /// A character is not a hex digit.
    #[error("a digest consists of hex digits only")]
    NotHex,
}

/// Fills `bytes` from `text`, which must be exactly twice as long, in hex of either case.
pub(crate) fn decode_hex(text: &str, bytes: &mut [u8]) -> Result<(), DigestError> {
    let expected = 2 * bytes.len();
    if text.len() != expected {
        return Err(DigestError::Length { expected, found: text.len() });
    }
    // It takes a prefix "0x" for none of the digits, which then are too few.
    const_hex::decode_to_slice(text, bytes).map_err(|_| DigestError::NotHex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    /// NIST's example for the message "abc".
    const ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn matches_the_published_vector() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
    }

    #[test]
    fn upper_case_reads_and_lower_case_is_written() {
        let digest: Digest = ABC.to_uppercase().parse().expect("upper case is accepted");
        assert_eq!(digest.to_string(), ABC);
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("abc".parse::<Digest>(), Err(DigestError::Length { expected: 128, found: 3 }));
        assert_eq!("g".repeat(128).parse::<Digest>(), Err(DigestError::NotHex));
        assert_eq!("é".repeat(64).parse::<Digest>(), Err(DigestError::NotHex));
    }

    #[test]
    fn each_character_counts_wherever_it_stands() {
        for at in 0..Digest::HEX_LEN {
            for character in (0..=127_u8).map(char::from) {
                let mut text = "0".repeat(Digest::HEX_LEN);
                text.replace_range(at..=at, character.encode_utf8(&mut [0; 4]));
                let expected = character.to_digit(16).map(|digit| {
                    let mut bytes = [0; Digest::LEN];
                    bytes[at / 2] = (digit as u8) << if at % 2 == 0 { 4 } else { 0 };
                    Digest::from_bytes(bytes)
                });
                assert_eq!(text.parse::<Digest>().ok(), expected, "{character:?} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes in any::<[u8; 32]>()) {
            let mut whole = [0; 64];
            whole[..32].copy_from_slice(&bytes);
            let digest = Digest::from_bytes(whole);
            prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        }

        #[test]
        fn pieces_hash_as_the_whole(bytes in any::<Vec<u8>>(), at in any::<usize>()) {
            let (head, tail) = bytes.split_at(at.checked_rem(bytes.len()).unwrap_or(0));
            let mut hasher = Hasher::new();
            hasher.update(head);
            hasher.update(tail);
            prop_assert_eq!(hasher.finish(), Digest::of(&bytes));
        }
    }
}
