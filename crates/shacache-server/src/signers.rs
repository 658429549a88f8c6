//! Whose signatures count at this server: the certificates of its configuration, read from their
//! files, and what is asked of new entries. Must not know HTTP, nor how entries are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use shacache_core::digest::DigestError;
use shacache_core::entry::SignedEntry;
use shacache_core::trust::{
    Admission, Certificate, Fingerprint, NotAdmitted, PublicKey, Revocation, Trust,
};
use shacache_store::directory::Signers;

use crate::defence::Defence;

/// What the configuration says about signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSettings {
    /// PEM files with the certificates of those whose signatures count.
    pub certificates: Vec<PathBuf>,
    /// Whether only signed entries are taken.
    pub is_required: bool,
    /// What new entries have to be then.
    pub admission: Admission,
    /// Keys whose later entries are hidden.
    pub revocations: Vec<Revocation>,
}

/// A revocation as the configuration has it: a fingerprint, `since`, and a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked(pub(crate) Revocation);

impl FromStr for Revoked {
    type Err = RevokedError;

    fn from_str(text: &str) -> Result<Self, RevokedError> {
        let (signer, since) = text.split_once(" since ").ok_or(RevokedError::Form)?;
        let signer = signer.trim().parse()?;
        let since: jiff::Timestamp = since.trim().parse()?;
        Ok(Self(Revocation { signer, since_us: since.as_microsecond() }))
    }
}

/// A text is no revocation.
#[derive(Debug, thiserror::Error)]
pub enum RevokedError {
    /// It has not the two parts.
    #[error(
        "a revocation is a fingerprint, the word since, and a time such as 2026-11-22T15:00:00Z"
    )]
    Form,
    /// The first part is no fingerprint.
    #[error("the fingerprint is the SHA-256 of a public key")]
    Signer(#[from] DigestError),
    /// The second part is no time.
    #[error("the time is none")]
    Since(#[from] jiff::Error),
}

/// Reads the certificates. What cannot be used of a file is logged and left out.
///
/// # Errors
/// When a file cannot be read, a revoked key is not among the certificates, or there is none where
/// only signed entries are taken.
pub fn read(settings: &TrustSettings) -> Result<Signers, SignersError> {
    let mut certificates = Vec::new();
    for path in &settings.certificates {
        certificates.extend(read_file(path)?);
    }
    let trust: Trust = certificates.into_iter().collect();
    for certificate in trust.certificates() {
        let key = certificate.public_key();
        if key.bits() < PublicKey::ADVISED_BITS {
            let (name, bits) = (certificate.common_name(), key.bits());
            tracing::warn!(name, bits, fingerprint = %key.fingerprint(), "a signer's key is short");
        }
    }
    if settings.is_required && trust.is_empty() {
        return Err(SignersError::Nobody);
    }
    for revocation in &settings.revocations {
        if trust.certificate_of(&revocation.signer).is_none() {
            return Err(SignersError::RevokedStranger(revocation.signer));
        }
    }
    Ok(Signers::new(trust, settings.revocations.clone()))
}

/// Judges an entry that somebody is about to put, where only entries of listed signers are taken.
///
/// # Errors
/// When it is none, or the signer is revoked.
pub(crate) fn admit(
    rules: &Admission,
    signers: &Signers,
    entry: SignedEntry,
) -> Result<SignedEntry, Refused> {
    if !Defence::Signatures.is_up() {
        return Ok(entry);
    }
    let trusted = rules.admit(signers.trust(), entry)?;
    match signers.revoked_signer(trusted.entry(), now_us()) {
        Some(signer) => Err(Refused::Revoked(signer)),
        None => Ok(trusted.into_entry()),
    }
}

/// Why an entry is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error("the signer {0} is revoked")]
    Revoked(Fingerprint),
}

/// Why it is not known whose signatures count.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// A file cannot be read.
    #[error("trust.certificates: {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody could upload anything.
    #[error("trust.certificates: no usable certificate, and upload.policy asks for signed entries")]
    Nobody,
    /// Without its certificate nobody can tell what a key signed.
    #[error("trust.revoked: no certificate of trust.certificates has the fingerprint {0}")]
    RevokedStranger(Fingerprint),
}

fn read_file(path: &Path) -> Result<Vec<Certificate>, SignersError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SignersError::Read { path: path.to_owned(), source })?;
    let (trust, skipped) = Trust::from_pem_list(&text);
    for skipped in skipped {
        tracing::warn!(path = %path.display(), %skipped, "trust.certificates");
    }
    Ok(trust.certificates().iter().map(|certificate| (**certificate).clone()).collect())
}

/// In microseconds since 1970. A clock before that is one that nobody set.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    const RULES: Admission = Admission { least_bits: PublicKey::MIN_BITS };
    const PEM: &str = include_str!("../../shacache-core/testdata/golden/tool.pem");
    const ENTRY: &str = include_str!("../../shacache-core/testdata/golden/tool.json");

    /// The certificate without the NULL that stands for the algorithm's parameters, as some write
    /// keys: the same key with another fingerprint.
    fn in_another_form() -> Certificate {
        let mut der = CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap().to_vec();
        let rsa = b"\x30\x81\x9f\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        let at = der.windows(rsa.len()).position(|bytes| bytes == rsa).unwrap();
        der.drain(at + rsa.len() - 2..at + rsa.len());
        // The lengths of the certificate, its signed part, the key and the algorithm.
        for length in [3, 7, at + 2, at + 4] {
            der[length] -= 2;
        }
        Certificate::from_der(&der).unwrap()
    }

    #[test]
    fn revoking_one_form_of_a_key_revokes_the_other() {
        let forms = [Certificate::from_pem(PEM).unwrap(), in_another_form()];
        let fingerprints = forms.each_ref().map(|form| *form.public_key().fingerprint());
        assert_ne!(fingerprints[0], fingerprints[1]);
        let admitted = |revocations: Vec<Revocation>| {
            let signers = Signers::new(forms.iter().cloned().collect(), revocations);
            admit(&RULES, &signers, SignedEntry::from_body(ENTRY.trim_end().as_bytes()).unwrap())
        };
        assert!(admitted(Vec::new()).is_ok());
        for signer in fingerprints {
            let refused = admitted(vec![Revocation { signer, since_us: 0 }]);
            assert!(matches!(refused, Err(Refused::Revoked(it)) if it == signer), "{refused:?}");
            let in_a_year = now_us() + 365 * 86_400 * 1_000_000;
            assert!(admitted(vec![Revocation { signer, since_us: in_a_year }]).is_ok());
        }
    }
}
