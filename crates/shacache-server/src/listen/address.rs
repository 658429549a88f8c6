//! Where the server listens, as an operator writes it: `127.0.0.1:8080`, `[::1]:0` or
//! `unix:/run/shacache/http.sock`. Text becomes an [`Address`] once; binding is `socket`'s matter.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A place to listen at. Prints as it is read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Address {
    /// An IP address and port; port 0 lets the kernel choose a free one.
    Tcp(SocketAddr),
    /// The same, where TLS is spoken.
    Tls(SocketAddr),
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
    /// Sockets that the service manager has bound.
    Systemd {
        /// What it calls them.
        name: String,
        /// Whether TLS is spoken there.
        tls: bool,
    },
}

impl Address {
    /// Whether only this machine reaches it: a Unix socket, or loopback. Of a socket that is yet
    /// to be taken from the service manager nobody knows.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) | Self::Tls(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
            Self::Systemd { .. } => false,
        }
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Systemd { tls, .. } => *tls,
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let secured = text.strip_prefix(HTTPS);
        if let Some(name) = secured.unwrap_or(text).strip_prefix(SYSTEMD) {
            if !is_socket_name(name) {
                return Err(AddressError::NoName);
            }
            return Ok(Self::Systemd { name: name.to_owned(), tls: secured.is_some() });
        }
        if let Some(address) = secured {
            return Ok(Self::Tls(address.parse()?));
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return Ok(Self::Tcp(text.parse()?));
        };
        if !path.starts_with('/') || path.contains('\0') {
            return Err(AddressError::NotAbsolute);
        }
        if path.len() > LONGEST_UNIX_PATH {
            return Err(AddressError::TooLong);
        }
        Ok(Self::Unix(path.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "{HTTPS}{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd { name, tls: true } => write!(f, "{HTTPS}{SYSTEMD}{name}"),
            Self::Systemd { name, tls: false } => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

/// Why a text is no [`Address`].
#[derive(Debug, Error)]
pub enum AddressError {
    /// Neither `IP:PORT`, with `https://` or without, nor `unix:PATH`; host names are not looked up.
    #[error("not an IP address with a port, nor `unix:` and a path, nor `systemd:` and a name")]
    NotAnAddress(#[from] AddrParseError),
    /// The path would depend on the directory the server was started in.
    #[error("the path of a Unix socket must be absolute")]
    NotAbsolute,
    /// systemd gives a socket no such name.
    #[error("the name of a socket has 1 to 255 printable characters and no colon")]
    NoName,
    /// The kernel's socket address has no room for it.
    #[error("the path of a Unix socket may have at most {LONGEST_UNIX_PATH} bytes")]
    TooLong,
}

/// FileDescriptorName= of systemd.socket(5).
fn is_socket_name(name: &str) -> bool {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b':';
    (1..=255).contains(&name.len()) && name.bytes().all(printable)
}

const HTTPS: &str = "https://";
const SYSTEMD: &str = "systemd:";

/// `sun_path` of unix(7): 108 bytes, one of them the closing NUL.
const LONGEST_UNIX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_it_is_read() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "0.0.0.0:80",
            "https://[::]:443",
            "systemd:a b",
            "https://systemd:web",
            "unix:/run/a b/socket",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_only_this_machine_reaches_is_local() {
        for (text, local) in [
            ("127.0.0.2:80", true),
            ("https://[::1]:443", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("unix:/run/socket", true),
            ("0.0.0.0:80", false),
            ("https://[::]:443", false),
            ("192.0.2.1:80", false),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).is_local(), local, "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_bound() {
        for text in
            ["", "localhost:80", "127.0.0.1", "::1:80x", ":80", "tcp:127.0.0.1:80", "https://a:1"]
        {
            assert!(
                matches!(text.parse::<Address>(), Err(AddressError::NotAnAddress(_))),
                "{text}"
            );
        }
        for text in ["unix:", "unix:relative", "unix:/a\0b"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::NotAbsolute)), "{text}");
        }
        for text in ["systemd:", "https://systemd:", "systemd:a:b", "systemd:a\n"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::NoName)), "{text:?}");
        }
        let longest = format!("unix:/{}", "a".repeat(106));
        assert!(longest.parse::<Address>().is_ok());
        assert!(matches!(format!("{longest}a").parse::<Address>(), Err(AddressError::TooLong)));
    }
}
