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
/// is `%sha256-<hex of SHA-256(key)>`, which no other key can give because `s` is no hex digit.
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

    /// The fan-out of a name that is a digest; `None` for any other name.
    #[must_use]
    pub fn fan_out_of_digest(name: &str) -> Option<&str> {
        let hex = name.strip_prefix(DIGEST_PREFIX)?;
        let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        (hex.len() == DIGEST_DIGITS && hex.bytes().all(is_digit)).then(|| &hex[..2])
    }

    /// The key that a folder's name spells; `None` for a name that spells none, the digest form
    /// included.
    #[must_use]
    pub fn decode(name: &str) -> Option<Key> {
        let key = Key::from_path(name.as_bytes()).ok()?;
        // Only the one spelling that encoding gives is a name: anything else would let two folders
        // stand for one key.
        (*key.file_name().name == *name).then_some(key)
    }
}

impl fmt::Display for KeyFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fan_out, self.name)
    }
}

impl Key {
    /// Where the archive keeps this key's entries. [`KeyFileName`] has the rule.
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
const DIGEST_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof};
    use proptest::sample::Index;
    use proptest::{prop_assert, prop_assert_eq, prop_assert_ne, proptest};

    use super::*;

    fn keys() -> impl Strategy<Value = Key> {
        let text =
            prop_oneof!["[ -~]{1,300}", "[^\\x00-\\x1f\\x7f]{1,120}", "[./%a-fA-F0-9]{1,12}"];
        text.prop_filter_map("a key", |text| text.parse().ok())
    }

    #[test]
    fn other_spellings_decode_to_nothing() {
        for name in ["A", "%41", "a%2F", "%61", ".a", "a%", "%", "", "a/b", "%2e%2e", "é"] {
            let expected = (name == "%41").then(|| "A".parse().unwrap());
            assert_eq!(KeyFileName::decode(name), expected, "{name}");
        }
        assert_eq!(KeyFileName::decode(&"a".repeat(201)), None);
        assert_eq!(KeyFileName::decode(&format!("%sha256-{}", "0".repeat(64))), None);
    }

    #[test]
    fn only_a_digest_has_a_fan_out_of_its_own() {
        let long: Key = "k".repeat(300).parse().unwrap();
        let name = long.file_name();
        assert_eq!(KeyFileName::fan_out_of_digest(name.name()), Some(name.fan_out()));
        for name in ["a", "%sha256-", &name.name()[..71], &name.name().to_uppercase()] {
            assert_eq!(KeyFileName::fan_out_of_digest(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_decode_to_their_keys(key in keys()) {
            let name = key.file_name();
            let expected = (!name.is_digest()).then_some(key);
            prop_assert_eq!(KeyFileName::decode(name.name()), expected);
        }

        #[test]
        fn names_suit_every_file_system(key in keys()) {
            let name = key.file_name();
            prop_assert!((1..=KeyFileName::MAX_BYTES).contains(&name.name().len()));
            prop_assert!(!name.name().starts_with('.'));
            prop_assert!(!name.name().contains('/'));
            prop_assert_eq!(name.name(), name.name().to_ascii_lowercase());
            prop_assert_eq!(name.fan_out().len(), 2);
        }

        #[test]
        fn names_of_keys_that_differ_in_case_differ(key in keys(), at in any::<Index>()) {
            let mut text: Vec<char> = key.as_str().chars().collect();
            let letter = at.get(&text);
            let swapped = if letter.is_ascii_uppercase() {
                letter.to_ascii_lowercase()
            } else {
                letter.to_ascii_uppercase()
            };
            let at = at.index(text.len());
            text[at] = swapped;
            let other: Key = String::from_iter(text).parse().unwrap();
            if other != key {
                prop_assert_ne!(
                    key.file_name().to_string().to_ascii_lowercase(),
                    other.file_name().to_string().to_ascii_lowercase()
                );
            }
        }

        #[test]
        fn anything_decodes_to_its_one_key_or_to_nothing(name in "[%a-f0-9A-F./]{0,20}") {
            if let Some(key) = KeyFileName::decode(&name) {
                prop_assert_eq!(key.file_name().name.into_string(), name);
            }
        }
    }
}
