//! Keys of the directory: any text of 1 to 512 bytes without control characters. Owns what a key
//! may be and how it stands in a request path; its name in the archive is `key/file_name.rs`.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXUPPER;

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

    /// The key as it stands in a request path, so that [`Key::from_path`] gives it back.
    ///
    /// Left as they are: what a path may hold (RFC 3986, section 3.3) and the keys in the field
    /// have, because a server that does not decode would file anything else under another name.
    /// So are slashes, unless a proxy would rewrite the path because of them: a key with an empty
    /// part, `.` or `..` between slashes has each slash as `%2F`. Only the keys `.` and `..`
    /// themselves remain at the mercy of what is on the way.
    #[must_use]
    pub fn to_path(&self) -> String {
        let keeps_slashes = !self.0.split('/').any(|part| matches!(part, "" | "." | ".."));
        let mut path = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    path.push(char::from(byte));
                }
                b':' | b'=' | b',' | b'@' | b'+' | b'\'' => path.push(char::from(byte)),
                b'/' if keeps_slashes => path.push('/'),
                _ => {
                    path.push('%');
                    path.push_str(&HEXUPPER.encode(&[byte]));
                }
            }
        }
        path
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

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn percent_signs_decode_once() {
        let key = |raw: &str| Key::from_path(raw.as_bytes()).unwrap().to_string();
        assert_eq!(key("a%2Fb"), "a/b");
        assert_eq!(key("a%252Fb"), "a%2Fb");
        assert_eq!(key("a%3e%3D1"), "a>=1");
        assert_eq!(key("100%"), "100%");
        assert_eq!(key("%zz%4"), "%zz%4");
        assert_eq!(key("%%41"), "%A");
        assert_eq!(key("a+b"), "a+b");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let refused = |raw: &[u8]| Key::from_path(raw).expect_err("no key");
        assert_eq!(refused(b""), KeyError::Empty);
        assert_eq!(refused(b"a%00"), KeyError::ControlCharacter);
        assert_eq!(refused(b"a%0Ab"), KeyError::ControlCharacter);
        assert_eq!(refused(b"%7f"), KeyError::ControlCharacter);
        assert_eq!(refused(b"%ff"), KeyError::NotUtf8);
        assert_eq!(refused(b"\xc3"), KeyError::NotUtf8);
        assert_eq!(refused(&[b'a'; 513]), KeyError::TooLong { found: 513 });
        assert!(Key::from_path(&b"%41".repeat(512)).is_ok(), "the length is that of the key");
    }

    #[test]
    fn slashes_stay_unless_a_proxy_would_rewrite_them() {
        let path = |key: &str| key.parse::<Key>().unwrap().to_path();
        assert_eq!(path("a/b"), "a/b");
        assert_eq!(path("a//b"), "a%2F%2Fb");
        assert_eq!(path("/a"), "%2Fa");
        assert_eq!(path("../b/c"), "..%2Fb%2Fc");
        assert_eq!(path("file-urlmd5:0"), "file-urlmd5:0");
        assert_eq!(path("a?b#c d"), "a%3Fb%23c%20d");
    }

    proptest! {
        #[test]
        fn paths_read_back_as_their_keys(text in "[^\\x00-\\x1f\\x7f]{1,120}|[./%a-z?#<>:=]{1,20}") {
            let key: Key = text.parse().unwrap();
            prop_assert_eq!(Key::from_path(key.to_path().as_bytes()), Ok(key.clone()));
            prop_assert!(key.to_path().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!key.to_path().contains(['?', '#', '<', '>', '`', '"']));
            let parts: Vec<_> = text.split('/').collect();
            if parts.len() > 1 {
                prop_assert!(!key.to_path().split('/').any(|part| matches!(part, "" | "." | "..")));
            }
        }

        #[test]
        fn texts_read_back_as_themselves(text in any::<String>()) {
            if let Ok(key) = text.parse::<Key>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }

        #[test]
        fn any_path_is_a_key_or_refused(raw in any::<Vec<u8>>()) {
            if let Ok(key) = Key::from_path(&raw) {
                prop_assert!(key.as_str().len() <= raw.len());
            }
        }
    }
}
