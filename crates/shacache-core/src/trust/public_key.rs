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
        Ok(Self { spki_der: der.into(), verifier, bits, fingerprint: Fingerprint::of(der) })
    }

    /// Whether the key made the signature over exactly this message.
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
    fn of(spki_der: &[u8]) -> Self {
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
