//! What a client needs to know: where the two services are, how to prove who it is, whom to trust,
//! and how long to wait. Values are checked when they are made; reading slapos.cfg is
//! `config/networkcache.rs`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use shacache_core::trust::Trust;

pub use self::networkcache::{Networkcache, Purpose};
use crate::signer::{Signer, SignerError};

pub mod ini;
mod networkcache;

/// Everything a [`Client`](crate::Client) is made of.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The blob service, ShaCache.
    pub cache: Service,
    /// The directory service, ShaDir.
    pub directory: Service,
    /// Whose entries are believed.
    pub trust: Trust,
    /// Signs what is indexed; without one, entries are unsigned.
    pub signer: Option<Signer>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retries: Retries,
}

impl Config {
    /// Both services of one server at their default mounts, `/shacache` and `/shadir`.
    ///
    /// # Errors
    /// When `server` is no http or https URL.
    pub fn for_server(server: &str) -> Result<Self, ConfigError> {
        let at = |mount: &str| -> Result<Service, ConfigError> {
            Ok(Service::at(format!("{}/{mount}", server.trim_end_matches('/')).parse()?))
        };
        Ok(Self { cache: at("shacache")?, directory: at("shadir")?, ..Self::default() })
    }
}

/// One of the two services: where it is read, where it is written, and its TLS files.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Where downloads and look-ups go.
    pub download: Option<Endpoint>,
    /// Where uploads go.
    pub upload: Option<Endpoint>,
    /// Used when the address is https.
    pub tls: TlsFiles,
}

impl Service {
    /// A service that is read and written at one address, without TLS files.
    #[must_use]
    pub fn at(endpoint: Endpoint) -> Self {
        Self { download: Some(endpoint.clone()), upload: Some(endpoint), tls: TlsFiles::default() }
    }
}

/// PEM files of one service.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Certificates of the authorities that may have signed the server's; the system's when `None`.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, presented on every connection.
    pub certificate: Option<PathBuf>,
    /// The key of [`TlsFiles::certificate`].
    pub key: Option<PathBuf>,
}

/// How long to wait. Nothing waits longer than the sum of these without a byte moving.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands, its TLS included. Default 60 s.
    pub connect: Duration,
    /// Until a download's or look-up's answer begins. Default 60 s.
    pub answer: Duration,
    /// Between two pieces of a body, either direction; and for the first few KiB of a download, and
    /// then for each few more. Default 60 s.
    pub stall: Duration,
    /// From an upload's last byte until its answer: the server may digest the bytes. Default 1 h.
    pub upload_answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            upload_answer: Duration::from_secs(60 * 60),
        }
    }
}

/// How often to try again after a failure that may pass.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Tries after the first one that moved next to nothing. Default 4.
    pub fruitless: usize,
    /// Times a download is taken up again in all, however much it moved. Default 1000.
    pub resumes: usize,
    /// The first pause; each further one is twice as long, up to 20 s. Default 250 ms.
    pub first_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { fruitless: 4, resumes: 1000, first_pause: Duration::from_millis(250) }
    }
}

/// The http or https address of a service, and the credentials its URL carried.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Without user info and trailing slashes.
    base: Box<str>,
    credentials: Option<Credentials>,
}

impl Endpoint {
    /// The address without credentials.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.base
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The address of what `path` names below this one; `path` is already encoded for the wire. What
    /// would become another path on the way, `..` for example, has none.
    pub(crate) fn join(&self, path: &str) -> Result<Url, ConfigError> {
        let text = format!("{}/{path}", self.base);
        match Url::parse(&text) {
            Ok(url) if url.as_str() == text => Ok(url),
            Ok(_) => Err(ConfigError::NoAddress { url: text.into() }),
            Err(source) => Err(ConfigError::Url { url: text.into(), source }),
        }
    }

    /// The address itself.
    pub(crate) fn url(&self) -> Result<Url, ConfigError> {
        Url::parse(&self.base).map_err(|source| ConfigError::Url { url: self.base.clone(), source })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let mut url = Url::parse(text)
            .map_err(|source| ConfigError::Url { url: without_credentials(text), source })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ConfigError::Scheme { url: without_credentials(text) });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Query { url: without_credentials(text) });
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let credentials = has_credentials.then(|| Credentials {
            user: percent_decoded(url.username()),
            password: url.password().map(percent_decoded).unwrap_or_default(),
        });
        // Neither fails: the URL has a host, or it would not have parsed as http.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { base: url.as_str().trim_end_matches('/').into(), credentials })
    }
}

/// HTTP Basic credentials (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address does not parse.
    #[error("not a URL: {url}")]
    Url {
        /// The text, without credentials.
        url: Box<str>,
        /// What the URL parser says.
        source: <Url as FromStr>::Err,
    },
    /// An address is neither http nor https.
    #[error("neither http nor https: {url}")]
    Scheme {
        /// The text, without credentials.
        url: Box<str>,
    },
    /// An address has something behind its path, where keys and digests go.
    #[error("an address ends before `?` and `#`: {url}")]
    Query {
        /// The text, without credentials.
        url: Box<str>,
    },
    /// What is asked for has no address of its own.
    #[error("{url} is the address of something else: `.` and `..` are steps in a path")]
    NoAddress {
        /// What its address would be.
        url: Box<str>,
    },
    /// An operation needs an address that is not configured.
    #[error("`{option}` is not configured")]
    Missing {
        /// The option of `[networkcache]` that would give it.
        option: &'static str,
    },
    /// A file in the format of slapos.cfg cannot be read.
    #[error("{file}{}", source.place())]
    Ini {
        /// The file.
        file: Box<str>,
        /// What is wrong with it.
        source: ini::IniError,
    },
    /// An option of a file cannot be used.
    #[error("{file}:{line}: {option}")]
    Option {
        /// The file.
        file: Box<str>,
        /// The line where the option starts, counted from 1.
        line: usize,
        /// The option.
        option: Box<str>,
        /// What is wrong with its value.
        source: Box<Self>,
    },
    /// A private key cannot sign.
    #[error("{path}")]
    Signer {
        /// The file.
        path: Box<str>,
        /// What is wrong with it.
        source: SignerError,
    },
    /// What is signed with this key could never be read back.
    #[error(
        "no certificate of signature-certificate-list matches the private key: every upload \
         would be made again, as none could be downloaded"
    )]
    NoMatchingCertificate,
    /// A PEM file cannot be used.
    #[error("{path}:{line}: {reason}")]
    Pem {
        /// The file.
        path: Box<str>,
        /// Where in it, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: Box<str>,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: Box<str>,
        /// The cause.
        source: std::io::Error,
    },
    /// The TLS files do not work together.
    #[error("TLS set-up of {files}")]
    Tls {
        /// The files concerned.
        files: Box<str>,
        /// What the TLS library says.
        source: reqwest::Error,
    },
}

/// `text` with whatever stands before the last `@` taken out, for messages about bad URLs: where the
/// password ends in one that does not parse, nobody knows better.
fn without_credentials(text: &str) -> Box<str> {
    let Some((before, after)) = text.rsplit_once('@') else { return text.into() };
    let scheme = ["http://", "https://"].into_iter().find(|scheme| before.starts_with(scheme));
    format!("{}{after}", scheme.unwrap_or_default()).into()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let decoded = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        if decoded.is_some() {
            rest = &tail[2..];
        }
        bytes.push(decoded.unwrap_or(first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_keeps_its_credentials_to_itself() {
        let endpoint: Endpoint = "https://a%40b:s%3Acret@h.example:1/x/".parse().expect("URL");
        assert_eq!(endpoint.as_str(), "https://h.example:1/x");
        assert!(!format!("{endpoint:?} {endpoint}").contains("cret"));
        let credentials = endpoint.credentials().expect("the URL has user info");
        assert_eq!((&*credentials.user, &*credentials.password), ("a@b", "s:cret"));
    }

    #[test]
    fn errors_do_not_show_credentials() {
        for text in [
            "http://u:secret@[",
            "ftp://u:secret@h/x",
            "http://u:secret@h:99999/a@b",
            "http://u:sec/secret@h/x",
            "http://:sec/secret@h/x",
            "http://u:1?secret@h/x",
            "http://u:1#secret@h/x",
            "u:secret@h/x",
        ] {
            let error = text.parse::<Endpoint>().expect_err("no usable URL");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_password_needs_no_user() {
        let endpoint: Endpoint = "http://:secret@h".parse().expect("URL");
        assert_eq!(endpoint.as_str(), "http://h");
        assert_eq!(endpoint.credentials().expect("a password").password, "secret");
    }

    #[test]
    fn an_address_ends_before_a_query() {
        for text in ["http://h/x?", "http://h/x?key=", "http://h/x#"] {
            let error = text.parse::<Endpoint>().expect_err("nothing can be joined to it");
            assert!(matches!(error, ConfigError::Query { .. }), "{error:?}");
        }
    }

    /// It would be a request for something else.
    #[test]
    fn a_step_in_a_path_is_no_address() {
        let endpoint: Endpoint = "http://h/shadir".parse().expect("URL");
        for path in [".", "..", "a/../b", "%2e%2E"] {
            let error = endpoint.join(path).expect_err("a step");
            assert!(matches!(error, ConfigError::NoAddress { .. }), "{error:?}");
        }
        for path in ["a..", "...", "%2F..%2Fa", "pypi:a=1,@+'~%3E", "%252e"] {
            let url = endpoint.join(path).expect("an address");
            assert_eq!(url.as_str(), format!("http://h/shadir/{path}"));
        }
    }
}
