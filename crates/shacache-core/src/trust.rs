//! Who vouches for an entry: a list of certificates taken as bare public keys. Owns the check that
//! turns a [`SignedEntry`] into a [`TrustedEntry`]; what may be done with an entry that is not
//! trusted is the caller's decision.

use std::sync::Arc;

pub use self::admission::{Admission, NotAdmitted};
pub use self::certificate::{Certificate, CertificateError};
pub use self::public_key::{Fingerprint, PublicKey, PublicKeyError};
pub use self::revocation::Revocation;
use crate::entry::SignedEntry;

mod admission;
mod certificate;
mod collision;
mod pem;
mod public_key;
mod revocation;

/// The certificates whose keys are trusted, no key twice.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    certificates: Vec<Arc<Certificate>>,
}

impl Trust {
    /// Reads the text of `signature-certificate-list`: PEM certificates one after the other,
    /// indented or not, with anything around them.
    ///
    /// One that cannot be used never spoils the others: it is returned for the caller to log. Of
    /// certificates with the same key the first is kept.
    #[must_use]
    pub fn from_pem_list(text: &str) -> (Self, Vec<SkippedCertificate>) {
        let mut certificates = Vec::new();
        let mut skipped = Vec::new();
        for (number, block) in (1..).zip(pem::certificates(text)) {
            match block.der.and_then(|der| Certificate::from_der(&der)) {
                Ok(certificate) => certificates.push(certificate),
                Err(reason) => {
                    skipped.push(SkippedCertificate { number, line: block.line, reason })
                }
            }
        }
        (certificates.into_iter().collect(), skipped)
    }

    /// The certificates in the order of the list.
    #[must_use]
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The certificate of a key.
    #[must_use]
    pub fn certificate_of(&self, key: &Fingerprint) -> Option<&Arc<Certificate>> {
        self.certificates.iter().find(|certificate| certificate.public_key().fingerprint() == key)
    }

    /// Whether no certificate is usable. Such a list trusts nothing here; the old client's plain
    /// `select()` took everything then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Every certificate whose key made the entry's signature.
    pub fn signers(&self, entry: &SignedEntry) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.iter().filter(move |certificate| {
            let message = entry.metadata_text().as_bytes();
            certificate.public_key().verifies(message, entry.signature().bytes())
        })
    }

    /// Checks that a key of the list made the entry's signature over the exact bytes of its
    /// metadata text.
    ///
    /// # Errors
    /// When none did; the error gives the entry back.
    pub fn verify(&self, entry: SignedEntry) -> Result<TrustedEntry, Untrusted> {
        let signer = self.signers(&entry).next().cloned();
        match signer {
            Some(signer) => Ok(TrustedEntry { entry, signer }),
            None => Err(Untrusted { entry: Box::new(entry) }),
        }
    }
}

impl FromIterator<Certificate> for Trust {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        let mut trust = Self::default();
        for certificate in certificates {
            if trust.certificate_of(certificate.public_key().fingerprint()).is_none() {
                trust.certificates.push(Arc::new(certificate));
            }
        }
        trust
    }
}

/// An entry that a trusted key signed. Only [`Trust::verify`] makes one.
#[derive(Debug, Clone)]
pub struct TrustedEntry {
    entry: SignedEntry,
    signer: Arc<Certificate>,
}

impl TrustedEntry {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &SignedEntry {
        &self.entry
    }

    /// The first certificate of the list whose key made the signature.
    #[must_use]
    pub fn signer(&self) -> &Arc<Certificate> {
        &self.signer
    }

    /// Gives the entry up, and with it the proof.
    #[must_use]
    pub fn into_entry(self) -> SignedEntry {
        self.entry
    }
}

/// No trusted key signed an entry.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", if entry.signature().is_empty() { UNSIGNED } else { NOT_LISTED })]
pub struct Untrusted {
    entry: Box<SignedEntry>,
}

impl Untrusted {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &SignedEntry {
        &self.entry
    }

    /// Takes the entry back.
    #[must_use]
    pub fn into_entry(self) -> SignedEntry {
        *self.entry
    }
}

/// A part of a list of certificates that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("certificate {number} (line {line} of the list) is skipped: {reason}")]
pub struct SkippedCertificate {
    /// Its number in the list, from 1.
    pub number: usize,
    /// The line of the list on which it begins, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: CertificateError,
}

const UNSIGNED: &str = "the entry is not signed";
const NOT_LISTED: &str = "no listed key made the entry's signature";
