//! The server's own certificate and key, from PEM files to something that can be shown. Must not
//! know when files are read, nor who shows what they hold.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A certificate with its chain, and the key that belongs to it.
#[derive(Clone)]
pub struct KeyPair(Arc<CertifiedKey>);

impl KeyPair {
    /// Reads a certificate, followed by those that lead to its authority, and its private key
    /// (PKCS#8, PKCS#1 or SEC1, not encrypted). Both may be in one file.
    ///
    /// # Errors
    /// When a file cannot be read, has not what it should have, or the key is not that of the
    /// certificate; the text names the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, KeyPairError> {
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyPairError::Pem { path, source }
        };
        let text = read(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(wrong(certificate))?;
        if chain.is_empty() {
            return Err(KeyPairError::NoCertificate { path: certificate.to_owned() });
        }
        let private = match PrivateKeyDer::from_pem_slice(&read(key)?) {
            Err(pem::Error::NoItemsFound) => {
                return Err(KeyPairError::NoKey { path: key.to_owned() });
            }
            read => read.map_err(wrong(key))?,
        };
        let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|source| {
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            KeyPairError::Unusable { certificate, key, source }
        })?;
        Ok(Self(Arc::new(pair)))
    }

    pub(super) fn into_certified(self) -> Arc<CertifiedKey> {
        self.0
    }
}

impl fmt::Debug for KeyPair {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

/// Why there is no [`KeyPair`].
#[derive(Debug, thiserror::Error)]
pub enum KeyPairError {
    /// A file cannot be read.
    #[error("{}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not well-formed PEM.
    #[error("{}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate.
    #[error("{}: no certificate in this file", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key.
    #[error("{}: no private key in this file that is not encrypted", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The certificate, or the key, or the two together cannot be used.
    #[error("{} with the key in {}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The only provider of cryptography here.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, KeyPairError> {
    fs::read(path).map_err(|source| KeyPairError::Read { path: path.to_owned(), source })
}
