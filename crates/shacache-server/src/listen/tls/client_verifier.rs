//! What the handshake does about the certificate that a client shows. The old client shows one
//! whenever it has one, for downloads too, and it may be expired, its own issuer, of version 1 or
//! from anywhere: none of that may break a handshake. So every certificate is taken, and only the
//! proof that the client holds its key is checked. Must not know who may do what.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};

use super::ClientKey;

/// Asks for a certificate, requires none and takes any.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }

    /// Checks the signature over the handshake with up to `most` algorithms of its scheme.
    ///
    /// A certificate without a [`ClientKey`] passes unchecked, which is no proof of anything:
    /// `ClientCertificate::proven` asks for the same key and makes nothing of such a one.
    fn check(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        most: usize,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(key) = ClientKey::of(certificate) else {
            return Ok(HandshakeSignatureValid::assertion());
        };
        let mut offered = self.algorithms.mapping.iter();
        let Some((_, algorithms)) = offered.find(|(scheme, _)| *scheme == signed.scheme) else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        let proven = algorithms
            .iter()
            .take(most)
            .any(|algorithm| key.verifies(*algorithm, message, signed.signature()));
        if !proven {
            return Err(CertificateError::BadSignature.into());
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: clients would keep a certificate to themselves that is not from one of these.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    /// In TLS 1.2 a scheme of ECDSA leaves the curve open.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, usize::MAX)
    }

    /// In TLS 1.3 a scheme of ECDSA names the curve, and PKCS#1 v1.5 is no scheme (RFC 8446,
    /// section 4.2.3).
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if OLD_SCHEMES.contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.check(message, certificate, signed, 1)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const OLD_SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];
