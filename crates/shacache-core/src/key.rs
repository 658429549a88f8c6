//! Keys of the directory: any text of 1 to 512 bytes without control characters. Owns what a key
//! may be and how it is read from a request path; its name in the archive is `key/file_name.rs`.

use std::fmt;
use std::str::FromStr;

pub use self::file_name::KeyFileName;

mod file_name;

/// What entries are listed under. A key is data and never a path: `..` and `/` mean nothing in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// The longest key, in bytes of UTF-8 after decoding.
    pub const MAX_BYTES: usize = 512;

    /// Reads a key from the raw bytes of a request path, decoding `%xx` exactly once. A `%` that
    /// two hex digits do not follow stands for itself.
    ///
    /// # Errors
    /// When the decoded bytes are no key.
    pub fn from_path(raw: &[u8]) -> Result<Self, KeyError> {
        let mut decoded = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte == b'%'
                && let [high, low, after @ ..] = tail
                && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
            {
                decoded.push(high << 4 | low);
                rest = after;
            } else {
                decoded.push(byte);
            }
        }
        String::from_utf8(decoded).map_err(|_| KeyError::NotUtf8)?.parse()
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(KeyError::TooLong { found: text.len() });
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(KeyError::ControlCharacter);
        }
        Ok(Self(text.into()))
    }
}

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing is left of it.
    #[error("a key has at least one byte")]
    Empty,
    /// It is longer than [`Key::MAX_BYTES`].
    #[error("a key has at most {max} bytes, not {found}", max = Key::MAX_BYTES)]
    TooLong {
        /// Bytes after decoding.
        found: usize,
    },
    /// It has a byte below 0x20, or 0x7f.
    #[error("a key has no control characters")]
    ControlCharacter,
    /// Its bytes are no UTF-8 once decoded.
    #[error("a key is UTF-8 text")]
    NotUtf8,
}

fn hex_value(digit: u8) -> Option<u8> {
    // A hex digit's value is below 16, so it fits.
    char::from(digit).to_digit(16).map(|value| value as u8)
}
