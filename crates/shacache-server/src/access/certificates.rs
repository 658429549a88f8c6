//! Whose certificate a client has shown: one that is listed by its key, or one that an authority
//! issued. That the client holds the key is proven already. Must not know what a name may do.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use shacache_core::trust::Fingerprint;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::identity::{Identity, IdentitySetting};
use crate::listen::ClientCertificate;

/// Everybody who is known by a certificate.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    listed: HashMap<Fingerprint, Identity>,
    issued: Vec<Issued>,
}

/// Somebody whom an authority speaks for.
struct Issued {
    authorities: Arc<dyn ClientCertVerifier>,
    common_names: Vec<String>,
    identity: Identity,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issued({}, {:?})", self.identity.name, self.common_names)
    }
}

impl Certificates {
    /// Reads the files that `settings` name.
    ///
    /// # Errors
    /// When one cannot be read, or has no certificate that can be an authority.
    pub(crate) fn read(settings: &[IdentitySetting]) -> Result<Self, AuthoritiesError> {
        let mut certificates = Self::default();
        for setting in settings {
            let rights = Arc::new(setting.rights.clone());
            let identity = Identity { name: setting.name.clone(), rights };
            for fingerprint in &setting.certificates {
                certificates.listed.insert(*fingerprint, identity.clone());
            }
            if let Some(path) = setting.authorities() {
                certificates.issued.push(Issued {
                    authorities: authorities(path)?,
                    common_names: setting.common_names.clone(),
                    identity,
                });
            }
        }
        Ok(certificates)
    }

    /// Who has shown `shown`; nobody in particular if it is expired, of no known authority, or not
    /// made for clients. Only of a listed one nothing but its key counts.
    pub(crate) fn identity(&self, shown: &ClientCertificate) -> Option<Identity> {
        if let Some(identity) = self.listed.get(shown.fingerprint()) {
            return Some(identity.clone());
        }
        let issued = self.issued.iter().find(|issued| issued.has(shown.chain()));
        issued.map(|issued| issued.identity.clone())
    }
}

impl Issued {
    fn has(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((own, others)) = chain.split_first() else { return false };
        let path = self.authorities.verify_client_cert(own, others, UnixTime::now());
        path.is_ok() && (self.common_names.is_empty() || self.has_name(own))
    }

    /// The last common name is the most specific one; a certificate with several is odd enough to
    /// be nobody.
    fn has_name(&self, own: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(own) else { return false };
        let mut names = certificate.subject().iter_common_name();
        let name = names.next().and_then(|name| name.as_str().ok());
        names.next().is_none()
            && name.is_some_and(|name| self.common_names.iter().any(|known| known == name))
    }
}

fn authorities(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, AuthoritiesError> {
    let error = |cause| AuthoritiesError { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| error(Cause::Pem(e)))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| error(Cause::Pem(e)))?;
        roots.add(certificate).map_err(|e| error(Cause::Certificate(e)))?;
    }
    let provider = Arc::new(default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| error(Cause::Verifier(e)))
}

/// A file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the authorities in {}", path.display())]
pub struct AuthoritiesError {
    path: PathBuf,
    #[source]
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Pem(PemError),
    #[error("one cannot be an authority")]
    Certificate(#[source] rustls::Error),
    #[error(transparent)]
    Verifier(VerifierBuilderError),
}
