//! The name of a key's folder in the archive: reversible, safe on file systems that fold case,
//! frozen by the vector table `testdata/key-names.tsv`.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::Key;

/// Where a key's entries are kept: `<fan-out>/<name>` below `entries/`.
///
/// The bytes `a-z 0-9 . _ = @ , + -` stand for themselves, except a leading dot; every other byte
/// is `%` and two lower-case hex digits. A name that would be longer than [`KeyFileName::MAX_BYTES`]
/// is `%sha256-<hex of SHA-256(key)>`, which no other key can give.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFileName {
    fan_out: Box<str>,
    name: Box<str>,
}

impl KeyFileName {
    /// The longest name that spells its key.
    pub const MAX_BYTES: usize = 200;

    /// The first two hex digits of SHA-256(key).
    #[must_use]
    pub fn fan_out(&self) -> &str {
        &self.fan_out
    }

    /// The folder's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the name is a digest, so that the key's bytes have to be kept in a file beside the
    /// entries.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.name.starts_with(DIGEST_PREFIX)
    }

    /// The key that a folder's name spells; `None` for a name that spells none, the digest form
    /// included.
    #[must_use]
    pub fn decode(name: &str) -> Option<Key> {
        let key = Key::from_path(name.as_bytes()).ok()?;
        // Only the one spelling that encoding gives is a name: anything else would let two folders
        // stand for one key.
        (*key.file_name().name == *name && !name.starts_with(DIGEST_PREFIX)).then_some(key)
    }
}

impl fmt::Display for KeyFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fan_out, self.name)
    }
}

impl Key {
    /// The name of this key's folder in the archive.
    #[must_use]
    pub fn file_name(&self) -> KeyFileName {
        let hash = HEXLOWER.encode(digest(&SHA256, self.as_str().as_bytes()).as_ref());
        let mut name = String::with_capacity(self.as_str().len());
        for (at, byte) in self.as_str().bytes().enumerate() {
            match byte {
                b'.' if at == 0 => name.push_str("%2e"),
                b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'@' | b',' | b'+' | b'-' => {
                    name.push(char::from(byte));
                }
                _ => {
                    name.push('%');
                    name.push_str(&HEXLOWER.encode(&[byte]));
                }
            }
        }
        if name.len() > KeyFileName::MAX_BYTES {
            name = format!("{DIGEST_PREFIX}{hash}");
        }
        KeyFileName { fan_out: hash[..2].into(), name: name.into() }
    }
}

const DIGEST_PREFIX: &str = "%sha256-";
