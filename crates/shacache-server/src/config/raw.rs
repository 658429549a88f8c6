//! The configuration as a user writes it: each key's name, type, default and description, once.
//! Must not know what the values mean to the server.

use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::access::{DownloadPolicy, Role, UploadSetting};

/// Declares a table of keys. The description of a key is what `print-config` writes above it.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(super) struct $name { $($(#[doc = $doc])+ pub(super) $key: $type,)+ }

        impl $name {
            /// Field names and descriptions, in the order they are explained best.
            pub(super) const KEYS: &[(&str, &[&str])] =
                &[$((stringify!($key), &[$($doc),+])),+];
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }
    };
}

table! {
    /// A configuration file.
    RawConfig {
        /// Where to listen: IP:PORT, https://IP:PORT for TLS, unix:/PATH for a Unix socket, or
        /// systemd:NAME and https://systemd:NAME for sockets that systemd has bound. Port 0 takes
        /// a free one.
        /// Beyond 127.0.0.1, nobody can upload before upload.policy says who may.
        listen: Vec<String> = vec!["127.0.0.1:8080".to_owned()],
        /// Permissions of the Unix sockets made here, in octal: "660" lets a group connect, too. By
        /// default they follow the umask.
        unix_mode: String = String::new(),
        /// The folder that holds everything. By default $STATE_DIRECTORY, as systemd sets it, or
        /// shacache in $XDG_DATA_HOME.
        data: PathBuf = PathBuf::new(),
        /// What listeners for https show to clients.
        tls: RawTls = RawTls::default(),
        /// Who is known by a TLS certificate, a table for each: a name, its roles, and either
        /// keys of certificates or a file of authorities. (Tokens and passwords are made by
        /// `shacached token`.)
        identity: Vec<RawIdentity> = Vec::new(),
        /// Who may upload.
        upload: RawUpload = RawUpload::default(),
        /// Who may download.
        download: RawDownload = RawDownload::default(),
        /// Where the two services are found.
        mount: RawMount = RawMount::default(),
        /// What is written to standard error.
        log: RawLog = RawLog::default(),
        /// What one client may take. The defaults suit a public server.
        limit: RawLimit = RawLimit::default(),
        /// What is kept in memory.
        cache: RawCache = RawCache::default(),
        /// The check of the archive in the background.
        scrub: RawScrub = RawScrub::default(),
        /// Whose signatures count. See docs/trust.md.
        trust: RawTrust = RawTrust::default(),
    }
}

table! {
    /// `[tls]`.
    RawTls {
        /// A PEM file: the server's certificate, then those that lead to its authority. Read again
        /// on SIGHUP, as the key is.
        certificate: PathBuf = PathBuf::new(),
        /// A PEM file: its private key (PKCS#8, PKCS#1 or SEC1), not encrypted. By default it is
        /// in the same file.
        key: PathBuf = PathBuf::new(),
    }
}

table! {
    /// One `[[identity]]`.
    RawIdentity {
        /// What it is called in logs.
        name: String = String::new(),
        /// What it may: "read", "upload" blobs, "put" entries, "admin".
        roles: Vec<Role> = Vec::new(),
        /// Under which keys it may put entries; * stands for anything.
        keys: Vec<String> = vec!["*".to_owned()],
        /// SHA-256 of the public keys (SubjectPublicKeyInfo) of its certificates, in hex digits.
        certificates: Vec<String> = Vec::new(),
        /// A PEM file of authorities; whoever shows a good certificate of one of them is it.
        authorities: PathBuf = PathBuf::new(),
        /// Of those certificates, only such as have one of these common names. Empty: all.
        common_names: Vec<String> = Vec::new(),
    }
}

table! {
    /// `[upload]`.
    RawUpload {
        /// "open": everybody may. "credentials": identities with the roles for it. "signed":
        /// everybody, entries that a listed certificate signed. "credentials+signed": both have to
        /// be so. "read-only": nobody may. "auto" is open while every address to listen at is
        /// loopback or a Unix socket, else read-only.
        policy: UploadSetting = UploadSetting::Auto,
        /// Names of this server at which web pages may upload, beside those of "mount"; at its
        /// addresses and at localhost they always may. Other clients use any name.
        page_hosts: Vec<String> = Vec::new(),
        /// How long a blob stays that somebody without credentials sent under "signed", and no
        /// accepted entry names, in seconds. Until one does it is served to nobody.
        unclaimed_seconds: NonZeroU64 = nonzero(60 * 60),
        /// The most that such blobs take together, in bytes; a client address may hold a quarter.
        unclaimed_bytes: NonZeroU64 = nonzero(16 * 1024 * 1024 * 1024),
    }
}

table! {
    /// `[download]`.
    RawDownload {
        /// "open": everybody may. "credentials": identities with the role "read".
        policy: DownloadPolicy = DownloadPolicy::Open,
    }
}

table! {
    /// `[cache]`.
    RawCache {
        /// Memory for bytes of blobs that clients asked for lately, in bytes: what is there was
        /// checked already, and is neither read nor checked again. Of blobs over 256 KiB nothing
        /// is kept here; the system keeps files in memory. 0 keeps nothing at all.
        hot_bytes: u64 = 64 * 1024 * 1024,
    }
}

table! {
    /// `[scrub]`.
    RawScrub {
        /// Whether blobs and entries are read again once in a while, and damaged ones moved to
        /// quarantine.
        enabled: bool = true,
        /// Each is read at least once in so many days.
        days: NonZeroU64 = nonzero(30),
        /// The most that is read in a second, in bytes.
        bytes_per_second: NonZeroU64 = nonzero(32 * 1024 * 1024),
    }
}

table! {
    /// `[trust]`.
    RawTrust {
        /// PEM files with the certificates of those whose signatures count. Only their keys
        /// matter. /signers shows them to everybody.
        certificates: Vec<PathBuf> = Vec::new(),
        /// Whether new entries are refused that a key under 2048 bits signed, where only signed
        /// entries are taken.
        refuse_short_keys: bool = false,
        /// Keys that got out of hand, each as "FINGERPRINT since 2026-11-22T15:00:00Z": what they
        /// signed and this server received from then on is in no list. Their certificates have to
        /// stay listed above.
        revoked: Vec<String> = Vec::new(),
    }
}

table! {
    /// `[mount]`.
    RawMount {
        /// Paths of the blob service. None may lie within another one.
        /// (To replace a slapproxy: "/shacache/cache", and "/shacache/dir" below.)
        shacache: Vec<String> = vec!["/shacache".to_owned()],
        /// Paths of the directory service.
        shadir: Vec<String> = vec!["/shadir".to_owned()],
        /// Host names at whose root the blob service is; nothing else is found there.
        shacache_host: Vec<String> = Vec::new(),
        /// Host names at whose root the directory service is; nothing else is found there.
        shadir_host: Vec<String> = Vec::new(),
    }
}

table! {
    /// `[log]`.
    RawLog {
        /// "text", "json" (one object a line), or "auto": text on a terminal, else JSON.
        format: LogFormat = LogFormat::Auto,
        /// The least that is logged: "error", "warn", "info" (with one line for each request),
        /// "debug", "trace".
        level: LogLevel = LogLevel::Info,
    }
}

table! {
    /// `[limit]`.
    RawLimit {
        /// The largest blob that is taken, in bytes.
        blob_bytes: u64 = 20 * 1024 * 1024 * 1024,
        /// Uploads and entries received at once; more are answered 503, to be sent again later.
        /// Under "signed", those without credentials take three quarters of them at most.
        writes: NonZeroUsize = nonzero_count(512),
        /// Connections open at once; more wait to be accepted. Keep it under the limit of open
        /// files, with room for the store's own.
        connections: NonZeroUsize = nonzero_count(8192),
        /// Connections that one client address may hold (an IPv6 /64 network counts as one).
        /// Loopback and Unix sockets are exempt.
        connections_per_address: NonZeroUsize = nonzero_count(256),
        /// Addresses exempt from that, because a proxy there speaks for many clients.
        uncapped_addresses: Vec<IpAddr> = Vec::new(),
        /// From the start of a connection to the end of its TLS handshake, in seconds.
        handshake_seconds: NonZeroU64 = nonzero(10),
        /// TLS handshakes under way at once. At the limit those that have taken longer than a
        /// second give way to new ones.
        handshakes: NonZeroUsize = nonzero_count(4096),
        /// From there to the end of its first request line, in seconds.
        first_byte_seconds: NonZeroU64 = nonzero(10),
        /// From the first byte of a request to the end of its headers, in seconds.
        header_seconds: NonZeroU64 = nonzero(15),
        /// How long a connection may stay without a further request, in seconds. Keep it above
        /// the value of a proxy in front.
        idle_seconds: NonZeroU64 = nonzero(60),
        /// The longest pause in a client's upload, in seconds.
        body_stall_seconds: NonZeroU64 = nonzero(30),
        /// The slowest upload: this many bytes ...
        body_window_bytes: NonZeroU64 = nonzero(60 * 1024),
        /// ... in this many seconds.
        body_window_seconds: NonZeroU64 = nonzero(60),
        /// The longest pause in a client's download, in seconds.
        response_stall_seconds: NonZeroU64 = nonzero(60),
        /// The slowest download: this many bytes ...
        response_window_bytes: NonZeroU64 = nonzero(60 * 1024),
        /// ... in this many seconds.
        response_window_seconds: NonZeroU64 = nonzero(60),
        /// The longest request line, in bytes.
        request_line_bytes: NonZeroUsize = nonzero_count(4 * 1024),
        /// The longest request line and headers together, in bytes.
        header_bytes: NonZeroUsize = nonzero_count(32 * 1024),
        /// The most header fields of a request, and the most trailer fields.
        headers: NonZeroUsize = nonzero_count(64),
        /// Buffer for each direction of a connection, in bytes; at least 8192, and no head of a
        /// request is longer.
        buffer_bytes: NonZeroUsize = nonzero_count(32 * 1024),
        /// What is still read of a body that was refused, in bytes, so that the client gets to
        /// read why.
        drain_bytes: u64 = 16 * 1024 * 1024,
        /// How long that may take, in seconds.
        drain_seconds: NonZeroU64 = nonzero(10),
        /// How long that may pause, in seconds.
        drain_idle_seconds: NonZeroU64 = nonzero(2),
        /// How long requests in flight may go on after SIGTERM or SIGINT, in seconds. Keep it
        /// under the service manager's own limit.
        shutdown_grace_seconds: NonZeroU64 = nonzero(30),
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// The least that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Failures of the server.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And each request.
    Info,
    /// And what clients did wrong on the wire.
    Debug,
    /// And everything else.
    Trace,
}

const fn nonzero(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("defaults are not zero")
}

const fn nonzero_count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("defaults are not zero")
}
