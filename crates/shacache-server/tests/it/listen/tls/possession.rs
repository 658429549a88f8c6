//! That a certificate counts only for whoever holds its key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::UnixTime;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName};
use shacache_server::listen::ClientCertificate;

use super::*;

#[test]
fn a_certificate_without_its_key_proves_nothing() {
    let secured = Secured::start(limits());
    let make = &secured.certificates;
    let (mine, other) = (make.own("mine", &["rsa:2048"]), make.own("other", &["rsa:2048"]));
    for version in [&TLS12, &TLS13] {
        let honest = secured.shown(version, vec![certificate(&mine)], &mine);
        assert_eq!(honest.expect("a handshake"), mine.fingerprint());
        let stolen = secured.shown(version, vec![certificate(&other)], &mine);
        stolen.expect_err("the signature is of another key");
        // With a key too short to be checked the handshake goes on, and gives nothing.
        let short = make.own("short", &["rsa:1024"]);
        let unchecked = secured.shown(version, vec![certificate(&short)], &mine);
        assert_eq!(unchecked.expect("a handshake"), "none");
    }
}

/// The negative control: where nobody checks the signature, the same stolen certificate is taken
/// for its holder's.
#[test]
fn without_the_check_a_stolen_certificate_would_prove_something() {
    let secured = Secured::start(limits());
    let make = &secured.certificates;
    let (mine, other) = (make.own("mine", &["rsa:2048"]), make.own("other", &["rsa:2048"]));
    let own = make.issued(&secured.authority, "control", "2");
    for version in [&TLS12, &TLS13] {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version of TLS")
            .with_client_cert_verifier(Arc::new(Believing))
            .with_single_cert(
                vec![certificate(&own)],
                PrivateKeyDer::from_pem_file(&own.key).expect("a key"),
            )
            .expect("a good pair");
        let stolen = secured.client(version, vec![certificate(&other)], &mine);
        let mut client = ClientConnection::new(stolen, "127.0.0.1".try_into().expect("a name"))
            .expect("a client");
        let mut server = ServerConnection::new(Arc::new(config)).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).expect("into memory");
            server.read_tls(&mut wire.as_slice()).expect("from memory");
            server.process_new_packets().expect("good messages");
            wire.clear();
            server.write_tls(&mut wire).expect("into memory");
            client.read_tls(&mut wire.as_slice()).expect("from memory");
            client.process_new_packets().expect("good messages");
        }
        let shown = server.peer_certificates().expect("one was shown");
        let shown = ClientCertificate::proven(shown).expect("a key that could be checked");
        assert_eq!(shown.fingerprint().to_string(), other.fingerprint());
    }
}

/// Takes every signature.
#[derive(Debug)]
struct Believing;

impl ClientCertVerifier for Believing {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
