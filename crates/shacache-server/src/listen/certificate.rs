//! The certificate of a client that has proven to hold its key. What it is worth is decided
//! elsewhere, for each request; here stands only whose key it is. Must not know names, dates or
//! authorities.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use shacache_core::trust::Fingerprint;

use super::tls::ClientKey;

/// What a client showed in its handshake, with the proof that it holds the key of the first
/// certificate. Nothing else about it is proven: any date, issuer or extension may be in it, and
/// none may be. Cheap to clone.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Shown>);

struct Shown {
    chain: Vec<CertificateDer<'static>>,
    fingerprint: Fingerprint,
}

impl ClientCertificate {
    /// Of the certificates that a client showed in a handshake which is complete, its own first.
    ///
    /// The handshake proves something only for a key whose signatures can be checked: `None` for
    /// any other (RSA under 2048 bits, unknown curves, what is no certificate), and for a chain
    /// that is longer than any real one.
    #[must_use]
    pub fn proven(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let own = chain.first()?;
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if chain.len() > MOST_CERTIFICATES || bytes > MOST_BYTES {
            return None;
        }
        let key = ClientKey::of(own)?;
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self(Arc::new(Shown { chain, fingerprint: key.fingerprint() })))
    }

    /// The certificates as they were shown, in DER: the client's own first, then whatever it added
    /// to lead to an authority.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// SHA-256 of the public key (SubjectPublicKeyInfo) that the client holds the private key of.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.0.fingerprint)
    }
}

/// Real chains have up to four.
const MOST_CERTIFICATES: usize = 8;

/// Each connection keeps its chain.
const MOST_BYTES: usize = 32 * 1024;
