//! Somebody who is known: a name with its rights, and what the configuration says about how a
//! certificate shows that it is them. Must not know certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shacache_core::trust::Fingerprint;

use super::name::Name;
use super::rights::Rights;

/// Who a request was found to come from. Only credentials that were checked make one.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: Name,
    pub(crate) rights: Arc<Rights>,
}

/// One `[[identity]]` of the configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySetting {
    /// Its name.
    pub(crate) name: Name,
    /// What it may.
    pub(crate) rights: Rights,
    /// Keys of certificates that are it, whatever else those certificates say.
    pub(crate) certificates: Vec<Fingerprint>,
    /// A file of authorities: whoever shows a good certificate of one of them is it.
    pub(crate) authorities: Option<PathBuf>,
    /// Of those certificates, only such as have one of these common names. Empty: all.
    pub(crate) common_names: Vec<String>,
}

impl IdentitySetting {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The file of its authorities.
    #[must_use]
    pub fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }
}
