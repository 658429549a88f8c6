//! New signing keys and the self-signed certificates that spread their public half. Only the key in
//! a certificate ever counts; the rest is there because old tools expect one.

use std::time::Duration;

use rsa::RsaPrivateKey;
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::{OsRng, RngCore};
use rsa::sha2::Sha256;
use rsa::signature::Keypair;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::{Builder, CertificateBuilder, Profile};
use x509_cert::der::asn1::{SetOfVec, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Any, EncodePem};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

/// A new key and its certificate, both in PEM.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key, PKCS#8. Whoever has it can sign.
    pub private_key_pem: String,
    /// The certificate for `signature-certificate-list`.
    pub certificate_pem: String,
}

impl KeyPair {
    /// Makes an RSA key of `bits` bits (1024 to 8192) and a certificate for 100 years.
    ///
    /// # Errors
    /// When the name is empty or too long for a certificate, or the size is out of bounds.
    pub fn generate(bits: usize, common_name: &str) -> Result<Self, KeyPairError> {
        if !(1024..=8192).contains(&bits) {
            return Err(KeyPairError::Bits { bits });
        }
        let characters = common_name.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&characters) {
            return Err(KeyPairError::Name { characters });
        }
        let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(KeyPairError::Generate)?;
        let private_key_pem =
            key.to_pkcs8_pem(LineEnding::LF).map_err(KeyPairError::Encode)?.to_string();
        let certificate_pem = self_signed(&SigningKey::new(key), common_name)?;
        Ok(Self { private_key_pem, certificate_pem })
    }
}

fn self_signed(key: &SigningKey<Sha256>, common_name: &str) -> Result<String, KeyPairError> {
    let mut serial = [0; 16];
    OsRng.fill_bytes(&mut serial);
    // A serial number is positive and has no needless leading zeros (RFC 5280, section 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let public_key =
        SubjectPublicKeyInfoOwned::from_key(key.verifying_key()).map_err(KeyPairError::Spki)?;
    let builder = CertificateBuilder::new(
        Profile::Root,
        SerialNumber::new(&serial).map_err(KeyPairError::Der)?,
        Validity::from_now(VALIDITY).map_err(KeyPairError::Der)?,
        subject(common_name).map_err(KeyPairError::Der)?,
        public_key,
        key,
    )?;
    let certificate = builder.build::<Signature>()?;
    certificate.to_pem(LineEnding::LF).map_err(KeyPairError::Der)
}

fn subject(common_name: &str) -> Result<Name, x509_cert::der::Error> {
    let name = AttributeTypeAndValue {
        oid: COMMON_NAME,
        value: Any::from(Utf8StringRef::new(common_name)?),
    };
    Ok(RdnSequence(vec![RelativeDistinguishedName(SetOfVec::try_from(vec![name])?)]))
}

/// Why no key pair was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPairError {
    /// The size is out of bounds.
    #[error("an RSA key has 1024 to 8192 bits, not {bits}")]
    Bits {
        /// The size asked for.
        bits: usize,
    },
    /// The name does not fit into a certificate (RFC 5280, appendix A.1).
    #[error("a common name has 1 to {MAX_NAME_CHARS} characters, not {characters}")]
    Name {
        /// Characters of the name given.
        characters: usize,
    },
    /// No key came about.
    #[error("cannot make a key")]
    Generate(#[source] rsa::Error),
    /// The key cannot be written.
    #[error("cannot write the key")]
    Encode(#[source] rsa::pkcs8::Error),
    /// The public key cannot be written.
    #[error("cannot write the public key")]
    Spki(#[source] x509_cert::spki::Error),
    /// A part of the certificate cannot be written.
    #[error("cannot write the certificate")]
    Der(#[source] x509_cert::der::Error),
    /// The certificate cannot be built.
    #[error("cannot make the certificate")]
    Certificate(#[from] x509_cert::builder::Error),
}

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const MAX_NAME_CHARS: usize = 64;
/// 36500 days, as the old tool has it.
const VALIDITY: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use shacache_core::entry::SignedEntry;
    use shacache_core::trust::Trust;

    use super::*;
    use crate::signer::Signer;

    #[test]
    fn what_a_new_key_signs_its_certificate_verifies() {
        let pair = KeyPair::generate(1024, "a/b, c=d é").expect("a key");
        let signer = Signer::from_pem(&pair.private_key_pem).expect("the key just made");
        let (trust, skipped) = Trust::from_pem_list(&pair.certificate_pem);
        assert_eq!(skipped, []);
        let certificate = &trust.certificates()[0];
        assert_eq!(certificate.common_name(), Some("a/b, c=d é"));
        assert_eq!(certificate.public_key().spki_der(), signer.spki_der());
        let text = format!(r#"{{"sha512": "{}"}}"#, "0".repeat(128));
        let entry = SignedEntry::from_texts(&text, signer.sign(&text).text()).expect("an entry");
        assert!(trust.verify(entry).is_ok());
    }

    #[test]
    fn sizes_and_names_are_bounded() {
        assert!(KeyPair::generate(1023, "a").is_err());
        assert!(KeyPair::generate(1024, "").is_err());
        assert!(KeyPair::generate(1024, &"a".repeat(65)).is_err());
    }
}
