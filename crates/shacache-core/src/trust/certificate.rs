//! Certificates (X.509, RFC 5280) as the trusted list has them. Only the key counts: no date, name,
//! version, extension or signature of a certificate is ever a reason to refuse it, because lists in
//! daily use hold expired ones, version 1, RSA-1024 and SHA-1. Names and dates are for display; yet
//! a certificate in which they cannot be read at all (a 31st of February, say) is none here, though
//! OpenSSL would find its key.

use x509_parser::certificate::X509CertificateParser;
use x509_parser::error::X509Error;
use x509_parser::nom::Parser;

use super::pem;
use super::{PublicKey, PublicKeyError};

/// A certificate, reduced to its key and what tells people whose it is.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Box<[u8]>,
    common_name: Option<Box<str>>,
    not_before: i64,
    not_after: i64,
    public_key: PublicKey,
}

impl Certificate {
    /// Reads the first PEM certificate of a text.
    ///
    /// # Errors
    /// When there is none, or it holds no key that can verify entries.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let first = pem::certificates(text).into_iter().next().ok_or(CertificateError::NoBegin)?;
        Self::from_der(&first.der?)
    }

    /// Reads a certificate in DER. Bytes after it are not looked at.
    ///
    /// # Errors
    /// When the bytes are no certificate, or it holds no key that can verify entries.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (after, certificate) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(der)
            .map_err(|error| CertificateError::NotX509(X509Error::from(error)))?;
        let common_name = certificate.subject().iter_common_name().next();
        Ok(Self {
            der: der[..der.len() - after.len()].into(),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(Into::into),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            public_key: PublicKey::from_spki_der(certificate.public_key().raw)?,
        })
    }

    /// The certificate as PEM (RFC 7468), in lines of 64 characters.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(&self.der)
    }

    /// The subject's common name. Its maker chose it freely: it proves nothing, and control
    /// characters may be in it.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// When its validity begins, in seconds since 1970. Trust does not depend on it.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// When its validity ends, in seconds since 1970. Trust does not depend on it.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The key, which is all that counts.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// The text has no certificate at all.
    #[error("no BEGIN CERTIFICATE line")]
    NoBegin,
    /// The text ends, or another certificate begins, before its last line.
    #[error("no END CERTIFICATE line")]
    NoEnd,
    /// Something between its first and last line is no base64.
    #[error("not base64")]
    NotBase64,
    /// The bytes are no certificate.
    #[error("not an X.509 certificate: {0}")]
    NotX509(X509Error),
    /// The key is of no use here.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::sample::Index;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::trust::Trust;

    const PEM: &str = include_str!("../../testdata/golden/tool.pem");

    #[test]
    fn bytes_behind_a_certificate_do_not_matter() {
        let mut der = pem::certificates(PEM)[0].der.clone().unwrap();
        der.extend(b"anything");
        let certificate = Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.common_name(), Some("the real tool"));
        let (begin, end) = (PEM.to_owned(), "and anything behind its last line");
        assert!(Certificate::from_pem(&(begin + end)).is_ok());
    }

    #[test]
    fn a_certificate_is_written_as_it_was_read() {
        let certificate = Certificate::from_pem(PEM).unwrap();
        assert_eq!(certificate.to_pem(), PEM);
        let mut der = pem::certificates(PEM)[0].der.clone().unwrap();
        der.extend(b"anything");
        assert_eq!(Certificate::from_der(&der).unwrap().to_pem(), PEM);
    }

    #[test]
    fn dates_that_do_not_exist_make_no_certificate() {
        let pem = include_str!("../../testdata/golden/expired.pem");
        let mut der = pem::certificates(pem)[0].der.clone().unwrap();
        let at = der.windows(13).position(|bytes| bytes == b"020101000000Z").unwrap();
        der[at..at + 6].copy_from_slice(b"020231");
        assert!(matches!(Certificate::from_der(&der), Err(CertificateError::NotX509(_))));
    }

    #[test]
    fn extensions_are_not_looked_into() {
        let mut der = pem::certificates(PEM)[0].der.clone().unwrap();
        let basic_constraints = b"\x30\x03\x01\x01\xff";
        let at = der.windows(5).rposition(|bytes| bytes == basic_constraints).unwrap();
        der[at + 3] = 9;
        assert!(Certificate::from_der(&der).is_ok(), "a boolean of nine bytes in two");
    }

    #[test]
    fn a_text_without_certificate_is_refused() {
        assert_eq!(Certificate::from_pem("").err(), Some(CertificateError::NoBegin));
        assert_eq!(Certificate::from_pem("text").err(), Some(CertificateError::NoBegin));
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in any::<Index>(), with in any::<u8>(), cut in any::<Index>()) {
            let mut der = pem::certificates(PEM)[0].der.clone().unwrap();
            let place = at.index(der.len());
            der[place] = with;
            if let Ok(certificate) = Certificate::from_der(&der) {
                prop_assert!(certificate.public_key().bits() >= PublicKey::MIN_BITS);
            }
            let _cut_short = Certificate::from_der(&der[..cut.index(der.len())]);
        }

        #[test]
        fn damaged_lists_lose_at_most_what_is_damaged(
            at in any::<Index>(),
            with in "[A-Za-z0-9+/=\n -]{0,3}",
        ) {
            let mut list = PEM.to_owned();
            let place = at.index(list.len());
            list.replace_range(place..=place, &with);
            let good = include_str!("../../testdata/golden/sha1.pem");
            let (trust, _) = Trust::from_pem_list(&[good, &list, "\n", good].concat());
            prop_assert!(trust.certificates().iter().any(|it| it.public_key().bits() == 2048));
        }

        #[test]
        fn any_text_is_a_list(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            prop_assert!(Trust::from_pem_list(&text).0.is_empty());
            prop_assert_eq!(Certificate::from_der(&bytes).is_err(), true);
        }
    }
}
