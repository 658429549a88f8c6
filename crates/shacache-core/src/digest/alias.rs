//! The other digests a blob can be asked for by: MD5, SHA-1 and SHA-256. They look blobs up and
//! never name them; the weak two prove nothing about bytes that an attacker made.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use data_encoding::HEXLOWER;
use md5::Md5;

use super::{Digest, DigestError, decode_hex};

/// A digest other than SHA-512, told apart by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AliasDigest {
    /// MD5 (RFC 1321), 32 hex digits. Weak.
    Md5([u8; 16]),
    /// SHA-1 (FIPS 180-4), 40 hex digits. Weak.
    Sha1([u8; 20]),
    /// SHA-256 (FIPS 180-4), 64 hex digits.
    Sha256([u8; 32]),
}

impl AliasDigest {
    /// The raw bytes; their number tells the kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// Whether two different blobs with this digest can be made on purpose today.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Md5(_) | Self::Sha1(_) => true,
            Self::Sha256(_) => false,
        }
    }
}

impl fmt::Display for AliasDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

/// Any digest a blob can be asked for by; the number of hex digits tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyDigest {
    /// 128 hex digits: the blob's name.
    Sha512(Digest),
    /// 32, 40 or 64 hex digits: a look-up.
    Alias(AliasDigest),
}

impl fmt::Display for AnyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha512(digest) => digest.fmt(f),
            Self::Alias(alias) => alias.fmt(f),
        }
    }
}

impl FromStr for AnyDigest {
    type Err = AnyDigestError;

    fn from_str(text: &str) -> Result<Self, AnyDigestError> {
        fn hex<const N: usize>(text: &str) -> Result<[u8; N], DigestError> {
            let mut bytes = [0; N];
            decode_hex(text, &mut bytes)?;
            Ok(bytes)
        }
        Ok(match text.len() {
            32 => Self::Alias(AliasDigest::Md5(hex(text)?)),
            40 => Self::Alias(AliasDigest::Sha1(hex(text)?)),
            64 => Self::Alias(AliasDigest::Sha256(hex(text)?)),
            Digest::HEX_LEN => Self::Sha512(text.parse()?),
            found => return Err(AnyDigestError::Length { found }),
        })
    }
}

/// Why a text is no digest of any kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnyDigestError {
    /// No kind of digest has this length.
    #[error("a digest has 128 hex digits (or 64, 40, 32), not {found}")]
    Length {
        /// Bytes of the text given.
        found: usize,
    },
    /// The length fits, the characters do not.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// The three alias digests of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aliases {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
}

impl Aliases {
    /// The same digests as a list, to be stored one by one.
    #[must_use]
    pub fn all(&self) -> [AliasDigest; 3] {
        [AliasDigest::Md5(self.md5), AliasDigest::Sha1(self.sha1), AliasDigest::Sha256(self.sha256)]
    }
}

/// Computes [`Aliases`] from bytes that arrive piece by piece.
pub struct AliasHasher {
    md5: Md5,
    sha1: Context,
    sha256: Context,
}

impl AliasHasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            md5: <Md5 as md5::Digest>::new(),
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            sha256: Context::new(&SHA256),
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        md5::Digest::update(&mut self.md5, bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    /// The digests of everything added.
    #[must_use]
    pub fn finish(self) -> Aliases {
        let mut sha1 = [0; 20];
        sha1.copy_from_slice(self.sha1.finish().as_ref());
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        Aliases { md5: md5::Digest::finalize(self.md5).into(), sha1, sha256 }
    }
}

impl Default for AliasHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AliasHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AliasHasher")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn aliases_of(pieces: &[&[u8]]) -> Aliases {
        let mut hasher = AliasHasher::new();
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    #[test]
    fn match_the_published_vectors() {
        let published = [
            "900150983cd24fb0d6963f7d28e17f72",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ];
        assert_eq!(aliases_of(&[b"abc"]).all().map(|alias| alias.to_string()), published);
        assert_eq!(aliases_of(&[b"a", b"", b"bc"]), aliases_of(&[b"abc"]));
    }

    #[test]
    fn the_length_tells_the_kind() {
        let kind = |digits: usize| "0".repeat(digits).parse::<AnyDigest>();
        assert!(matches!(kind(32), Ok(AnyDigest::Alias(AliasDigest::Md5(_)))));
        assert!(matches!(kind(40), Ok(AnyDigest::Alias(AliasDigest::Sha1(_)))));
        assert!(matches!(kind(64), Ok(AnyDigest::Alias(AliasDigest::Sha256(_)))));
        assert!(matches!(kind(128), Ok(AnyDigest::Sha512(_))));
        assert_eq!(kind(127), Err(AnyDigestError::Length { found: 127 }));
        assert_eq!(kind(0), Err(AnyDigestError::Length { found: 0 }));
    }

    #[test]
    fn only_sha256_is_not_weak() {
        let weak = aliases_of(&[]).all().map(|alias| alias.is_weak());
        assert_eq!(weak, [true, true, false]);
    }

    proptest! {
        #[test]
        fn texts_read_back_in_lower_case(
            text in "([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})",
        ) {
            let digest: AnyDigest = text.parse().unwrap();
            prop_assert_eq!(digest.to_string(), text.to_ascii_lowercase());
        }

        #[test]
        fn other_texts_are_refused(text in any::<String>(), junk in "[^0-9a-fA-F]", digits in "[0-9a-f]{31}") {
            prop_assert_eq!(text.parse::<AnyDigest>().is_ok(), false);
            prop_assert_eq!((digits + &junk).parse::<AnyDigest>().is_ok(), false);
        }
    }
}
