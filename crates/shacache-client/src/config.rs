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
    /// Without user info, query, fragment and trailing slashes.
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

    /// The address of what `path` names below this one; `path` is already encoded for the wire.
    pub(crate) fn join(&self, path: &str) -> Result<Url, ConfigError> {
        let text = format!("{}/{path}", self.base);
        Url::parse(&text).map_err(|source| ConfigError::Url { url: text.into(), source })
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
        let credentials = (!url.username().is_empty()).then(|| Credentials {
            user: percent_decoded(url.username()),
            password: url.password().map(percent_decoded).unwrap_or_default(),
        });
        // Neither fails: the URL has a host, or it would not have parsed as http.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
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

/// `text` with whatever stands between `//` and `@` taken out, for messages about bad URLs.
fn without_credentials(text: &str) -> Box<str> {
    if let Some(start) = text.find("//").map(|at| at + 2)
        && let authority_len = text[start..].find('/').unwrap_or(text.len() - start)
        && let Some(at) = text[start..start + authority_len].rfind('@')
    {
        return format!("{}{}", &text[..start], &text[start + at + 1..]).into();
    }
    text.into()
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
        let endpoint: Endpoint = "https://a%40b:s%3Acret@h.example:1/x/?q#f".parse().expect("URL");
        assert_eq!(endpoint.as_str(), "https://h.example:1/x");
        assert!(!format!("{endpoint:?} {endpoint}").contains("cret"));
        let credentials = endpoint.credentials().expect("the URL has user info");
        assert_eq!((&*credentials.user, &*credentials.password), ("a@b", "s:cret"));
    }

    #[test]
    fn errors_do_not_show_credentials() {
        for text in ["http://u:secret@[", "ftp://u:secret@h/x", "http://u:secret@h:99999/a@b"] {
            let error = text.parse::<Endpoint>().expect_err("no usable URL");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
