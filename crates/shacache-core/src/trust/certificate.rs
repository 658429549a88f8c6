//! Certificates (X.509, RFC 5280) as the trusted list has them. Only the key counts: no date, name,
//! version, extension or signature of a certificate is ever a reason to refuse it, because lists in
//! daily use hold expired ones, version 1, RSA-1024 and SHA-1. Names and dates are for display.

use x509_parser::certificate::X509CertificateParser;
use x509_parser::error::X509Error;
use x509_parser::nom::Parser;

use super::pem;
use super::{PublicKey, PublicKeyError};

/// A certificate, reduced to its key and what tells people whose it is.
#[derive(Debug, Clone)]
pub struct Certificate {
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
        let (_after, certificate) = X509CertificateParser::new()
            .with_deep_parse_extensions(false)
            .parse(der)
            .map_err(|error| CertificateError::NotX509(X509Error::from(error)))?;
        let common_name = certificate.subject().iter_common_name().next();
        Ok(Self {
            common_name: common_name.and_then(|name| name.as_str().ok()).map(Into::into),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            public_key: PublicKey::from_spki_der(certificate.public_key().raw)?,
        })
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
