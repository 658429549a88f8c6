//! From an `[[identity]]` as it is written to a checked one. Must not open the files it names.

use std::collections::HashSet;

use shacache_core::digest::DigestError;
use shacache_core::pattern::PatternError;

use super::SettingError;
use super::raw::RawIdentity;
use crate::access::{IdentitySetting, NameError, Rights};

/// All of them, no two alike.
pub(super) fn settings(raw: &[RawIdentity]) -> Result<Vec<IdentitySetting>, SettingError> {
    let numbered = |number, cause| SettingError::Identity { number, cause };
    let mut settings = Vec::with_capacity(raw.len());
    let mut names = HashSet::new();
    let mut certificates = HashSet::new();
    for (number, raw) in (1..).zip(raw) {
        let setting = setting(raw).map_err(|cause| numbered(number, cause))?;
        if !names.insert(setting.name.clone()) {
            return Err(numbered(number, IdentityError::Repeated));
        }
        if !setting.certificates.iter().all(|certificate| certificates.insert(*certificate)) {
            return Err(numbered(number, IdentityError::CertificateRepeated));
        }
        settings.push(setting);
    }
    Ok(settings)
}

fn setting(raw: &RawIdentity) -> Result<IdentitySetting, IdentityError> {
    let keys = raw.keys.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let certificates = raw.certificates.iter().map(|text| text.parse());
    let setting = IdentitySetting {
        name: raw.name.parse()?,
        rights: Rights { roles: raw.roles.clone(), keys },
        certificates: certificates.collect::<Result<_, _>>()?,
        authorities: Some(raw.authorities.clone()).filter(|path| !path.as_os_str().is_empty()),
        common_names: raw.common_names.clone(),
    };
    if setting.rights.roles.is_empty() {
        return Err(IdentityError::NoRole);
    }
    if setting.certificates.is_empty() && setting.authorities.is_none() {
        return Err(IdentityError::NoCertificate);
    }
    if setting.authorities.is_none() && !setting.common_names.is_empty() {
        return Err(IdentityError::NamesOfNobody);
    }
    Ok(setting)
}

/// Why an `[[identity]]` is none.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its name is none.
    #[error("name")]
    Name(#[from] NameError),
    /// A pattern of its keys is none.
    #[error("keys")]
    Keys(#[from] PatternError),
    /// A fingerprint is none.
    #[error("certificates")]
    Certificates(#[from] DigestError),
    /// It would be good for nothing.
    #[error("it has no role")]
    NoRole,
    /// Nobody could be it.
    #[error("it has neither certificates nor authorities")]
    NoCertificate,
    /// Names count for certificates of authorities only.
    #[error("common-names are those of certificates that authorities issued; it names none")]
    NamesOfNobody,
    /// Two have one name.
    #[error("another one has this name")]
    Repeated,
    /// Two have one certificate.
    #[error("one of its certificates is listed already")]
    CertificateRepeated,
}
