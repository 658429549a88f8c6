//! The public key in a certificate that a client shows, and whether its signatures can be checked
//! here. One function decides that, for the check during the handshake and for what may follow
//! from it: a key that is none here is let through unchecked and carries no rights.
//!
//! Only the key of a certificate is read. The library's own verifier would refuse certificates of
//! version 1, with CA:TRUE or with a key of 1024 bits, which clients in the field show.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::RsaParameters;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, SignatureVerificationAlgorithm, alg_id,
};
use shacache_core::trust::Fingerprint;
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;

/// A key of a kind and size whose signatures can be checked.
#[derive(Debug)]
pub(in crate::listen) struct ClientKey {
    algorithm: AlgorithmIdentifier,
    key: Vec<u8>,
    fingerprint: Fingerprint,
}

impl ClientKey {
    /// The key of a certificate.
    pub(in crate::listen) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_after, certificate) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(certificate.as_ref())
            .ok()?;
        let spki = certificate.public_key();
        let (_after, fields) = Any::from_der(spki.raw).ok()?;
        let (_key, written) = Any::from_der(fields.data).ok()?;
        let algorithm = KINDS.into_iter().find(|kind| kind.as_ref() == written.data)?;
        let key = spki.subject_public_key.data.to_vec();
        if algorithm == alg_id::RSA_ENCRYPTION {
            let bits = RsaParameters::public_modulus_len(&key).ok()?;
            if !RSA_BITS.contains(&bits) {
                return None;
            }
        }
        Some(Self { algorithm, key, fingerprint: Fingerprint::of_spki_der(spki.raw) })
    }

    /// Whether this key made `signature` over `message` in the way of `algorithm`.
    pub(super) fn verifies(
        &self,
        algorithm: &dyn SignatureVerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        algorithm.public_key_alg_id() == self.algorithm
            && algorithm.verify_signature(&self.key, message, signature).is_ok()
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(in crate::listen) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// What rustls can check with aws-lc-rs.
const KINDS: [AlgorithmIdentifier; 5] = [
    alg_id::RSA_ENCRYPTION,
    alg_id::ECDSA_P256,
    alg_id::ECDSA_P384,
    alg_id::ECDSA_P521,
    alg_id::ED25519,
];

/// Below, aws-lc-rs checks no PSS, the only scheme of TLS 1.3 for RSA.
const RSA_BITS: RangeInclusive<u32> = 2048..=8192;
