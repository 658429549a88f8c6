//! The key that signs entries. RSA with PKCS#1 v1.5 and SHA-1 is what every client in the field
//! verifies; it is made here and nowhere else, and only with the feature `legacy-sign`.

use std::fmt;
use std::fs;
use std::path::Path;

use shacache_core::signature::Signature;

use crate::config::ConfigError;

#[cfg(feature = "legacy-sign")]
mod rsa_sha1;

/// A private key, ready to sign.
#[derive(Clone)]
pub struct Signer(Kind);

#[derive(Clone)]
enum Kind {
    #[cfg(feature = "legacy-sign")]
    RsaSha1(std::sync::Arc<rsa_sha1::RsaSha1>),
}

impl Signer {
    /// Reads an unencrypted RSA key of 1024 bits or more, in PEM: PKCS#1 (`RSA PRIVATE KEY`) or
    /// PKCS#8 (`PRIVATE KEY`).
    ///
    /// # Errors
    /// When the text holds no such key, or this build cannot sign.
    pub fn from_pem(text: &str) -> Result<Self, SignerError> {
        #[cfg(feature = "legacy-sign")]
        return rsa_sha1::RsaSha1::from_pem(text)
            .map(|key| Self(Kind::RsaSha1(std::sync::Arc::new(key))));
        #[cfg(not(feature = "legacy-sign"))]
        {
            let _ = text;
            Err(SignerError::NotBuilt)
        }
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Signer::from_pem`].
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let name = || path.display().to_string().into();
        let bytes = fs::read(path).map_err(|source| ConfigError::Read { path: name(), source })?;
        Self::from_pem(&String::from_utf8_lossy(&bytes))
            .map_err(|source| ConfigError::Signer { path: name(), source })
    }

    /// Signs a metadata text.
    #[must_use]
    #[cfg_attr(
        not(feature = "legacy-sign"),
        expect(unused_variables, reason = "without the feature no signer is ever made")
    )]
    pub fn sign(&self, metadata_text: &str) -> Signature {
        match self.0 {
            #[cfg(feature = "legacy-sign")]
            Kind::RsaSha1(ref key) => key.sign(metadata_text),
        }
    }

    /// The public key as SubjectPublicKeyInfo in DER (RFC 5280, section 4.1).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        match self.0 {
            #[cfg(feature = "legacy-sign")]
            Kind::RsaSha1(ref key) => key.spki_der(),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Why a text gives no signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// It has no private key in PEM.
    #[error("no `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`")]
    NoKey,
    /// The key is protected by a passphrase.
    #[error("line {line}: an encrypted key cannot be used")]
    Encrypted {
        /// Where it begins, counted from 1.
        line: usize,
    },
    /// The key does not parse as RSA.
    #[error("line {line}: not an RSA private key")]
    NotRsa {
        /// Where it begins, counted from 1.
        line: usize,
    },
    /// The key is smaller than anything in use.
    #[error("an RSA key of {bits} bits is too small (1024 at least)")]
    TooSmall {
        /// Bits of the modulus.
        bits: usize,
    },
    /// This build cannot sign.
    #[error("built without the feature `legacy-sign`")]
    NotBuilt,
}
