//! RSA keys from PEM and signatures over SHA-1, blinded. The `rsa` crate is used because no other
//! signs SHA-1 or loads 1024-bit keys; its timing weakness (RUSTSEC-2023-0071) needs an attacker who
//! measures many operations from outside, which local signing does not offer.

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rsa::rand_core::OsRng;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use shacache_core::signature::Signature;

use super::SignerError;

/// An RSA private key that signs with SHA-1.
pub(super) struct RsaSha1 {
    key: SigningKey<Sha1>,
    spki_der: Vec<u8>,
}

impl RsaSha1 {
    pub(super) fn from_pem(text: &str) -> Result<Self, SignerError> {
        let (label, line, block) = private_key_block(text).ok_or(SignerError::NoKey)?;
        if label.starts_with("ENCRYPTED") || block.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(SignerError::Encrypted { line });
        }
        let key = match label {
            "RSA PRIVATE KEY" => RsaPrivateKey::from_pkcs1_pem(&block).ok(),
            "PRIVATE KEY" => RsaPrivateKey::from_pkcs8_pem(&block).ok(),
            _ => None,
        };
        let key = key.ok_or(SignerError::NotRsa { line })?;
        let bits = key.n().bits();
        if bits < MIN_BITS {
            return Err(SignerError::TooSmall { bits });
        }
        let spki_der = RsaPublicKey::from(&key)
            .to_public_key_der()
            .map_err(|_| SignerError::NotRsa { line })?
            .into_vec();
        Ok(Self { key: SigningKey::new(key), spki_der })
    }

    pub(super) fn sign(&self, metadata_text: &str) -> Signature {
        let signature = self.key.sign_with_rng(&mut OsRng, metadata_text.as_bytes());
        Signature::from_bytes(&signature.to_vec())
    }

    pub(super) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }
}

/// The first private key of a text: its label, its line, and itself without indentation.
fn private_key_block(text: &str) -> Option<(&str, usize, String)> {
    let mut lines = text.lines().map(str::trim).zip(1..);
    let (label, line) = lines.by_ref().find_map(|(text, line)| {
        let label = text.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        label.ends_with("PRIVATE KEY").then_some((label, line))
    })?;
    let end = format!("-----END {label}-----");
    let mut block = format!("-----BEGIN {label}-----\n");
    for (text, _) in lines {
        block.push_str(text);
        block.push('\n');
        if text == end {
            break;
        }
    }
    Some((label, line, block))
}

const MIN_BITS: usize = 1024;
