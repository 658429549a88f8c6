//! The configuration as the server uses it: every value checked, none missing. Owns the one way
//! from what a user wrote to [`Config`]; must not open anything that it names.

use std::fs::Permissions;
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shacache_core::trust::{Admission, PublicKey};
use shacache_store::UnclaimedLimits;

use self::raw::{RawConfig, RawLimit, RawScrub, RawTls, RawTrust};
use crate::access::{DownloadPolicy, IdentitySetting, UploadSetting};
use crate::listen::{Address, AddressError, Limits, MinimumFlow};
use crate::mount::{HostName, HostNameError, MountPathError, Mounts, MountsError};
use crate::scrub::Scrub;
use crate::signers::{Revoked, RevokedError, TrustSettings};

pub use self::environment::EnvironmentError;
pub use self::identity::IdentityError;
pub use self::load::{LoadError, Origin, Overrides, load, print};
pub use self::raw::{LogFormat, LogLevel};

mod environment;
mod identity;
mod load;
mod print;
mod raw;

/// A checked configuration. Only [`load()`] makes one of what a user wrote.
#[derive(Debug, Clone)]
pub struct Config {
    listen: Vec<Address>,
    unix_permissions: Option<Permissions>,
    data: PathBuf,
    tls: Option<TlsFiles>,
    identities: Vec<IdentitySetting>,
    upload: UploadSetting,
    page_hosts: Vec<HostName>,
    download: DownloadPolicy,
    mounts: Mounts,
    log_format: LogFormat,
    log_level: LogLevel,
    blob_limit_bytes: u64,
    writes_at_once: usize,
    limits: Limits,
    hot_bytes: u64,
    scrub: Scrub,
    trust: TrustSettings,
    unclaimed: UnclaimedLimits,
}

impl Config {
    /// Where to listen; never empty.
    #[must_use]
    pub fn listen(&self) -> &[Address] {
        &self.listen
    }

    /// Those of Unix sockets; `None` leaves them to the umask.
    #[must_use]
    pub fn unix_permissions(&self) -> Option<&Permissions> {
        self.unix_permissions.as_ref()
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the certificate for https is; never `None` when an address to listen at is one of
    /// https.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Who is known by a certificate.
    #[must_use]
    pub fn identities(&self) -> &[IdentitySetting] {
        &self.identities
    }

    /// Who may upload.
    #[must_use]
    pub fn upload(&self) -> UploadSetting {
        self.upload
    }

    /// At which names web pages may upload, beside those of the mounts.
    #[must_use]
    pub fn page_hosts(&self) -> &[HostName] {
        &self.page_hosts
    }

    /// Who may download.
    #[must_use]
    pub fn download(&self) -> DownloadPolicy {
        self.download
    }

    /// Where the two services are found.
    #[must_use]
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// How log lines are written.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The least that is logged.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.log_level
    }

    /// The largest blob that is taken, in bytes.
    #[must_use]
    pub fn blob_limit_bytes(&self) -> u64 {
        self.blob_limit_bytes
    }

    /// How many bodies of uploads and entries are received at once.
    #[must_use]
    pub fn writes_at_once(&self) -> usize {
        self.writes_at_once
    }

    /// Limits of connections and requests.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What blobs without credentials may take.
    #[must_use]
    pub fn unclaimed(&self) -> UnclaimedLimits {
        self.unclaimed
    }

    /// Whose signatures count.
    #[must_use]
    pub fn trust(&self) -> &TrustSettings {
        &self.trust
    }

    /// Memory for bytes that clients asked for lately.
    #[must_use]
    pub fn hot_bytes(&self) -> u64 {
        self.hot_bytes
    }

    /// When the archive is checked in the background.
    #[must_use]
    pub fn scrub(&self) -> Scrub {
        self.scrub
    }
}

impl TryFrom<&RawConfig> for Config {
    type Error = SettingError;

    fn try_from(raw: &RawConfig) -> Result<Self, SettingError> {
        let listen = each(&raw.listen, |text, cause| SettingError::Listen { text, cause })?;
        if listen.is_empty() {
            return Err(SettingError::ListenNowhere);
        }
        if raw.data.as_os_str().is_empty() {
            return Err(SettingError::NoData);
        }
        let tls = tls(&raw.tls);
        if tls.is_none() && listen.iter().any(Address::is_tls) {
            return Err(SettingError::NoCertificate);
        }
        let path = |key| move |text, cause| SettingError::MountPath { key, text, cause };
        let host = |key| move |text, cause| SettingError::MountHost { key, text, cause };
        let mounts = Mounts::new(
            each(&raw.mount.shacache, path("mount.shacache"))?,
            each(&raw.mount.shadir, path("mount.shadir"))?,
            each(&raw.mount.shacache_host, host("mount.shacache-host"))?,
            each(&raw.mount.shadir_host, host("mount.shadir-host"))?,
        )?;
        let page_hosts = each(&raw.upload.page_hosts, host("upload.page-hosts"))?;
        Ok(Self {
            listen,
            unix_permissions: permissions(&raw.unix_mode)?,
            data: raw.data.clone(),
            tls,
            identities: identity::settings(&raw.identity)?,
            upload: raw.upload.policy,
            page_hosts,
            download: raw.download.policy,
            mounts,
            log_format: raw.log.format,
            log_level: raw.log.level,
            blob_limit_bytes: raw.limit.blob_bytes,
            writes_at_once: raw.limit.writes.get(),
            limits: limits(&raw.limit),
            hot_bytes: raw.cache.hot_bytes,
            scrub: scrub(&raw.scrub),
            trust: trust(&raw.trust, raw.upload.policy)?,
            unclaimed: UnclaimedLimits {
                keep: Duration::from_secs(raw.upload.unclaimed_seconds.get()),
                bytes: raw.upload.unclaimed_bytes.get(),
            },
        })
    }
}

/// The PEM files of the server's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl TlsFiles {
    /// The file of the certificate and its chain.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The file of the private key; it may be the same.
    #[must_use]
    pub fn key(&self) -> &Path {
        &self.key
    }
}

/// What is wrong with a value that has the right type.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// An address to listen at cannot be read.
    #[error("{text:?}")]
    Listen {
        /// As it was written.
        text: String,
        /// Why it is no address.
        #[source]
        cause: AddressError,
    },
    /// There is no address to listen at.
    #[error("the list is empty: a server listens somewhere")]
    ListenNowhere,
    /// Permissions that no file has.
    #[error("{text:?} is no file mode in octal, such as \"660\"")]
    Mode {
        /// As it was written.
        text: String,
    },
    /// There is no data folder.
    #[error("no folder is named; without HOME there is no default either")]
    NoData,
    /// An address of https has nothing to show.
    #[error("an https listener shows a certificate, and tls.certificate names no file")]
    NoCertificate,
    /// An identity is none.
    #[error("number {number}")]
    Identity {
        /// Which one, counted from 1.
        number: usize,
        /// Why.
        #[source]
        cause: IdentityError,
    },
    /// A mount path cannot be read.
    #[error("{text:?}")]
    MountPath {
        /// The key.
        key: &'static str,
        /// As it was written.
        text: String,
        /// Why it is no mount path.
        #[source]
        cause: MountPathError,
    },
    /// A host name cannot be read.
    #[error("{text:?}")]
    MountHost {
        /// The key.
        key: &'static str,
        /// As it was written.
        text: String,
        /// Why it is no host name.
        #[source]
        cause: HostNameError,
    },
    /// A revocation cannot be read.
    #[error("{text:?}")]
    Revoked {
        /// As it was written.
        text: String,
        /// Why it is none.
        #[source]
        cause: RevokedError,
    },
    /// The mounts hide one another.
    #[error(transparent)]
    Mounts(#[from] MountsError),
}

impl SettingError {
    /// The keys whose values are wrong; never empty.
    fn keys(&self) -> &[&'static str] {
        match self {
            Self::Listen { .. } | Self::ListenNowhere => &["listen"],
            Self::Mode { .. } => &["unix-mode"],
            Self::NoData => &["data"],
            Self::Revoked { .. } => &["trust.revoked"],
            Self::NoCertificate => &["listen"],
            Self::Identity { .. } => &["identity"],
            Self::MountPath { key, .. } | Self::MountHost { key, .. } => std::slice::from_ref(key),
            Self::Mounts(MountsError::Overlap(..)) => &["mount.shadir", "mount.shacache"],
            Self::Mounts(MountsError::SharedHost(_)) => {
                &["mount.shadir-host", "mount.shacache-host"]
            }
        }
    }
}

fn each<T: std::str::FromStr>(
    texts: &[String],
    error: impl Fn(String, T::Err) -> SettingError,
) -> Result<Vec<T>, SettingError> {
    let read = |text: &String| text.parse().map_err(|cause| error(text.clone(), cause));
    texts.iter().map(read).collect()
}

fn permissions(text: &str) -> Result<Option<Permissions>, SettingError> {
    if text.is_empty() {
        return Ok(None);
    }
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(Permissions::from_mode(mode))),
        Ok(_) | Err(_) => Err(SettingError::Mode { text: text.to_owned() }),
    }
}

fn tls(raw: &RawTls) -> Option<TlsFiles> {
    let certificate = raw.certificate.clone();
    if certificate.as_os_str().is_empty() {
        return None;
    }
    let in_one = raw.key.as_os_str().is_empty();
    let key = if in_one { certificate.clone() } else { raw.key.clone() };
    Some(TlsFiles { certificate, key })
}

fn trust(raw: &RawTrust, upload: UploadSetting) -> Result<TrustSettings, SettingError> {
    let revoked: Vec<Revoked> =
        each(&raw.revoked, |text, cause| SettingError::Revoked { text, cause })?;
    let least_bits =
        if raw.refuse_short_keys { PublicKey::ADVISED_BITS } else { PublicKey::MIN_BITS };
    Ok(TrustSettings {
        certificates: raw.certificates.clone(),
        is_required: match upload {
            UploadSetting::Signed | UploadSetting::CredentialsAndSigned => true,
            UploadSetting::Auto
            | UploadSetting::ReadOnly
            | UploadSetting::Open
            | UploadSetting::Credentials => false,
        },
        admission: Admission { least_bits },
        revocations: revoked.into_iter().map(|Revoked(revocation)| revocation).collect(),
    })
}

fn scrub(raw: &RawScrub) -> Scrub {
    if !raw.enabled {
        return Scrub::Off;
    }
    let period = Duration::from_secs(raw.days.get().saturating_mul(24 * 60 * 60));
    Scrub::Every { period, bytes_per_second: raw.bytes_per_second }
}

fn limits(raw: &RawLimit) -> Limits {
    let seconds = |number: NonZeroU64| Duration::from_secs(number.get());
    let flow = |stall, window, window_bytes: NonZeroU64| MinimumFlow {
        stall: seconds(stall),
        window: seconds(window),
        window_bytes: window_bytes.get(),
    };
    Limits {
        handshake: seconds(raw.handshake_seconds),
        handshakes: raw.handshakes.get(),
        first_byte: seconds(raw.first_byte_seconds),
        header: seconds(raw.header_seconds),
        idle: seconds(raw.idle_seconds),
        body: flow(raw.body_stall_seconds, raw.body_window_seconds, raw.body_window_bytes),
        response: flow(
            raw.response_stall_seconds,
            raw.response_window_seconds,
            raw.response_window_bytes,
        ),
        request_line_bytes: raw.request_line_bytes.get(),
        header_bytes: raw.header_bytes.get(),
        headers: raw.headers.get(),
        buffer_bytes: raw.buffer_bytes.get(),
        connections: raw.connections.get(),
        connections_per_address: raw.connections_per_address.get(),
        uncapped_addresses: raw.uncapped_addresses.clone(),
        drain_bytes: raw.drain_bytes,
        drain: seconds(raw.drain_seconds),
        drain_idle: seconds(raw.drain_idle_seconds),
        shutdown_grace: seconds(raw.shutdown_grace_seconds),
    }
}
