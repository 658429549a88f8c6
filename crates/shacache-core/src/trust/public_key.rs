//! Public keys that verify entries: RSA, with PKCS#1 v1.5 and SHA-1 (RFC 8017, section 8.2), which
//! is what every client in the field signs with. Owns the verification and a key's fingerprint.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RsaParameters,
};
use data_encoding::HEXLOWER;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::digest::{DigestError, decode_hex};

/// A key that verifies entries.
///
/// OpenSSL, and so the old client, takes a little more than this type does. Out of range here are
/// RSA keys under 1024 bits or over 8192, RSA keys with an even modulus or exponent or an exponent
/// of 1 or over 33 bits, and keys that are not RSA: with those OpenSSL would check signatures of
/// other schemes (ECDSA, say), which no known uploader makes.
#[derive(Clone)]
pub struct PublicKey {
    spki_der: Box<[u8]>,
    verifier: ParsedPublicKey,
    bits: u32,
    fingerprint: Fingerprint,
}

impl PublicKey {
    /// The smallest modulus, in bits.
    pub const MIN_BITS: u32 = 1024;
    /// The largest modulus, in bits.
    pub const MAX_BITS: u32 = 8192;
    /// Shorter ones may be broken by whoever can afford it.
    pub const ADVISED_BITS: u32 = 2048;

    /// Reads a SubjectPublicKeyInfo (RFC 5280, section 4.1).
    ///
    /// # Errors
    /// When the bytes are none, or the key is none that this type holds.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        let Ok((&[], spki)) = SubjectPublicKeyInfo::from_der(der) else {
            return Err(PublicKeyError::Malformed);
        };
        let algorithm = spki.algorithm.algorithm.to_id_string();
        if algorithm != RSA_ENCRYPTION {
            return Err(PublicKeyError::NotRsa { algorithm: name_of(algorithm) });
        }
        // The key inside is enough, so that nothing depends on the algorithm's parameters, which
        // some certificates leave out.
        let rsa_key = spki.subject_public_key.data.as_ref();
        let bits =
            RsaParameters::public_modulus_len(rsa_key).map_err(|_| PublicKeyError::Malformed)?;
        if !(Self::MIN_BITS..=Self::MAX_BITS).contains(&bits) {
            return Err(PublicKeyError::Size { bits });
        }
        let verifier = ParsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, rsa_key)
            .map_err(|_| PublicKeyError::Malformed)?;
        Ok(Self {
            spki_der: der.into(),
            verifier,
            bits,
            fingerprint: Fingerprint::of_spki_der(der),
        })
    }

    /// Whether the key made the signature over exactly this message.
    ///
    /// A signature is as long as the modulus, as RFC 8017 has it. The old client, which runs
    /// `openssl`, does not read what follows one; here it is wrong, or one entry could be put
    /// again and again with other bytes behind its signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(message, signature).is_ok()
    }

    /// The SubjectPublicKeyInfo as read.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What the key is called in lists and logs.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The scheme the key belongs to, for display.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        "RSA"
    }

    /// The length of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der == other.spki_der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {} {})", self.kind(), self.bits, self.fingerprint)
    }
}

/// The SHA-256 of a key's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a SubjectPublicKeyInfo (RFC 5280, section 4.1) in DER, of whatever scheme.
    /// The bytes are not looked into.
    #[must_use]
    pub fn of_spki_der(spki_der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, spki_der).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    /// 64 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = DigestError;

    /// Reads 64 hex digits of either case.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        decode_hex(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Why a key cannot verify entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The bytes are no key, or one whose numbers cannot be right.
    #[error("its public key is malformed")]
    Malformed,
    /// The key is of another scheme.
    #[error("its public key is not RSA but {algorithm}")]
    NotRsa {
        /// The scheme: its usual name, else its object identifier.
        algorithm: String,
    },
    /// The modulus is too short or too long.
    #[error(
        "its RSA key has {bits} bits, not {min} to {max}",
        min = PublicKey::MIN_BITS,
        max = PublicKey::MAX_BITS
    )]
    Size {
        /// Bits of the modulus.
        bits: u32,
    },
}

fn name_of(algorithm: String) -> String {
    match algorithm.as_str() {
        "1.2.840.113549.1.1.10" => "RSASSA-PSS".into(),
        "1.2.840.10040.4.1" => "DSA".into(),
        "1.2.840.10045.2.1" => "EC".into(),
        "1.3.101.112" => "Ed25519".into(),
        "1.3.101.113" => "Ed448".into(),
        _ => algorithm,
    }
}

/// RFC 8017, appendix A.1.
const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Certificate;

    /// A DER value of less than 64 KiB.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let head = match length {
            [0, short @ 0..0x80] => vec![tag, short],
            [0, medium] => vec![tag, 0x81, medium],
            [high, low] => vec![tag, 0x82, high, low],
        };
        [&*head, content].concat()
    }

    fn spki(algorithm: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let key = der(0x30, &[der(0x02, modulus), der(0x02, exponent)].concat());
        let bits = der(0x03, &[&[0], &*key].concat());
        der(0x30, &[der(0x30, algorithm), bits].concat())
    }

    /// The key of a golden certificate, taken apart: its modulus with a zero in front.
    fn modulus() -> Vec<u8> {
        let certificate = include_str!("../../testdata/golden/tool.pem");
        let key = Certificate::from_pem(certificate).unwrap().public_key().clone();
        let modulus = key.spki_der()[28..28 + 129].to_vec();
        assert_eq!(spki(RSA, &modulus, EXPONENT), key.spki_der());
        modulus
    }

    fn read(exponent: &[u8], modulus: &[u8]) -> Result<u32, PublicKeyError> {
        PublicKey::from_spki_der(&spki(RSA, modulus, exponent)).map(|key| key.bits())
    }

    #[test]
    fn parameters_of_the_algorithm_do_not_matter() {
        let without = spki(&RSA[..11], &modulus(), EXPONENT);
        assert_eq!(PublicKey::from_spki_der(&without).map(|key| key.bits()), Ok(1024));
    }

    #[test]
    fn numbers_that_make_no_key_are_refused() {
        let modulus = modulus();
        assert_eq!(read(EXPONENT, &modulus), Ok(1024));
        assert_eq!(read(&[3], &modulus), Ok(1024));
        assert_eq!(read(&[1, 0, 0, 0, 1], &modulus), Ok(1024));
        for exponent in [&[0][..], &[1], &[2], &[0xff], &[4, 0, 0, 0, 1]] {
            assert_eq!(read(exponent, &modulus), Err(PublicKeyError::Malformed), "{exponent:?}");
        }
        let even = [&modulus[..128], &[0]].concat();
        assert_eq!(read(EXPONENT, &even), Err(PublicKeyError::Malformed));
        let negative = &modulus[1..];
        assert_eq!(read(EXPONENT, negative), Err(PublicKeyError::Malformed));
    }

    #[test]
    fn bytes_behind_a_key_are_refused() {
        let mut long = spki(RSA, &modulus(), EXPONENT);
        long.push(0);
        assert_eq!(PublicKey::from_spki_der(&long), Err(PublicKeyError::Malformed));
        assert_eq!(PublicKey::from_spki_der(b""), Err(PublicKeyError::Malformed));
    }

    #[test]
    fn unknown_schemes_are_called_by_number() {
        let unknown = spki(b"\x06\x03\x2a\x03\x04", &modulus(), EXPONENT);
        let refused = PublicKey::from_spki_der(&unknown).expect_err("no known scheme");
        assert_eq!(refused.to_string(), "its public key is not RSA but 1.2.3.4");
    }

    #[test]
    fn fingerprints_are_sha256_of_the_whole_key() {
        let key = PublicKey::from_spki_der(&spki(RSA, &modulus(), EXPONENT)).unwrap();
        let expected = HEXLOWER.encode(digest(&SHA256, key.spki_der()).as_ref());
        assert_eq!(key.fingerprint().to_string(), expected);
        assert_eq!(expected.to_uppercase().parse(), Ok(*key.fingerprint()));
        assert!("00".parse::<Fingerprint>().is_err());
    }

    const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    const EXPONENT: &[u8] = &[1, 0, 1];
}
