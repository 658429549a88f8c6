//! The rules that an operator chooses for the whole server: who may upload, who may download. Must
//! not know identities.

use serde::{Deserialize, Serialize};

use crate::listen::Address;

/// `upload.policy` as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadSetting {
    /// Open while nobody but this machine can connect, else read-only.
    Auto,
    /// Nothing is taken from anybody.
    ReadOnly,
    /// Everything is taken from everybody.
    Open,
    /// Whoever uploads is known, and may.
    Credentials,
    /// Entries are signed by a certificate of the server's own list.
    Signed,
    /// Both.
    #[serde(rename = "credentials+signed")]
    CredentialsAndSigned,
}

impl UploadSetting {
    /// What it means for a server that listens at `addresses`.
    #[must_use]
    pub fn at<'a>(self, mut addresses: impl Iterator<Item = &'a Address>) -> UploadPolicy {
        match self {
            Self::Auto if addresses.all(Address::is_local) => UploadPolicy::Open,
            Self::Auto | Self::ReadOnly => UploadPolicy::ReadOnly,
            Self::Open => UploadPolicy::Open,
            Self::Credentials => UploadPolicy::Credentials,
            Self::Signed => UploadPolicy::Signed,
            Self::CredentialsAndSigned => UploadPolicy::CredentialsAndSigned,
        }
    }
}

/// Who may upload to a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadPolicy {
    /// Nobody.
    ReadOnly,
    /// Everybody.
    Open,
    /// Identities with the roles for it.
    Credentials,
    /// Everybody, what a listed certificate signed; identities with the role, blobs without.
    Signed,
    /// Identities with the roles for it, entries that a listed certificate signed.
    CredentialsAndSigned,
}

/// `download.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownloadPolicy {
    /// Everybody may.
    Open,
    /// Identities with the role for it.
    Credentials,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(setting: UploadSetting, addresses: &[&str]) -> UploadPolicy {
        let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        setting.at(addresses.iter())
    }

    #[test]
    fn uploads_are_open_by_default_only_where_nobody_else_connects() {
        for local in [&["127.0.0.1:80"][..], &["[::1]:80", "unix:/a"], &["127.8.9.1:1"]] {
            assert_eq!(at(UploadSetting::Auto, local), UploadPolicy::Open, "{local:?}");
        }
        for public in [&["0.0.0.0:80"][..], &["127.0.0.1:80", "192.0.2.1:80"], &["[::]:80"]] {
            assert_eq!(at(UploadSetting::Auto, public), UploadPolicy::ReadOnly, "{public:?}");
            assert_eq!(at(UploadSetting::Open, public), UploadPolicy::Open);
        }
    }
}
