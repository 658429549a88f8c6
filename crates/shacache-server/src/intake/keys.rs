//! A list of keys, one a line, as a directory cannot give it. Owns what a line is; must not know what
//! the keys are for.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use shacache_core::key::{Key, KeyError};
use shacache_store::Moved;

/// The keys of a list, each once and in its order, and the lines that are none.
#[derive(Debug)]
pub struct Keys {
    name: String,
    keys: Vec<Key>,
    /// As many as a report lists.
    wrong: Vec<(usize, KeyError)>,
    more_wrong: u64,
}

impl Keys {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or has no line at all.
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        if path == Path::new("-") {
            return Self::read("standard input", io::stdin().lock());
        }
        let file = File::open(path)
            .map_err(|source| KeysError::Read { name: path.display().to_string(), source })?;
        Self::read(&path.display().to_string(), file)
    }

    /// Reads text that messages call `name`. Each line is a key as it is, blanks and `#` included,
    /// since keys may have them; empty lines are none.
    fn read(name: &str, text: impl Read) -> Result<Self, KeysError> {
        let name = name.to_owned();
        let mut bytes = Vec::new();
        let read = text.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        match read {
            Ok(length) if length as u64 > MAX_BYTES => return Err(KeysError::TooLong { name }),
            Ok(_) => {}
            Err(source) => return Err(KeysError::Read { name, source }),
        }
        let (mut keys, mut seen, mut wrong) = (Vec::new(), HashSet::new(), Vec::new());
        let mut more_wrong = 0;
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let key = match str::from_utf8(line) {
                Ok("") => continue,
                Ok(line) => line.parse::<Key>(),
                Err(_) => Err(KeyError::NotUtf8),
            };
            match key {
                Ok(key) if seen.contains(&key) => {}
                Ok(key) => {
                    seen.insert(key.clone());
                    keys.push(key);
                }
                Err(error) if wrong.len() < Moved::LISTED => wrong.push((at + 1, error)),
                Err(_) => more_wrong += 1,
            }
        }
        if keys.is_empty() && wrong.is_empty() {
            return Err(KeysError::Empty { name });
        }
        Ok(Self { name, keys, wrong, more_wrong })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Where the lines are that are no keys, and why.
    pub(super) fn wrong(&self) -> impl Iterator<Item = (String, &KeyError)> {
        self.wrong.iter().map(|(line, error)| (format!("{}:{line}", self.name), error))
    }

    /// How many lines more are no keys.
    pub(super) fn more_wrong(&self) -> u64 {
        self.more_wrong
    }

    pub(super) fn into_keys(self) -> Vec<Key> {
        self.keys
    }
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("{name}")]
    Read {
        /// What.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any that makes sense.
    #[error("{name}: longer than {MAX_BYTES} bytes")]
    TooLong {
        /// What.
        name: String,
    },
    /// There is nothing in it.
    #[error("{name}: no key in it")]
    Empty {
        /// What.
        name: String,
    },
}

/// Room for some ten million keys.
const MAX_BYTES: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Keys {
        Keys::read("list", text).expect("a list")
    }

    #[test]
    fn a_line_is_a_key_as_it_is() {
        let keys = read(b"pypi:a=1\r\n\n# no comment\n a b \npypi:a=1\n100%25").into_keys();
        let texts: Vec<_> = keys.iter().map(Key::as_str).collect();
        assert_eq!(texts, ["pypi:a=1", "# no comment", " a b ", "100%25"]);
    }

    #[test]
    fn a_line_that_is_no_key_is_named() {
        let long = [b"good\n", &[b'a'; 600][..], b"\n\xff\n\x00\n"].concat();
        let keys = read(&long);
        let wrong: Vec<_> = keys.wrong().map(|(place, error)| (place, error.clone())).collect();
        let [first, second, third] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!(*first, ("list:2".to_owned(), KeyError::TooLong { found: 600 }));
        assert_eq!(*second, ("list:3".to_owned(), KeyError::NotUtf8));
        assert_eq!(*third, ("list:4".to_owned(), KeyError::ControlCharacter));
        assert_eq!(keys.len(), 1);
    }

    /// Any file may be given by mistake.
    #[test]
    fn no_more_lines_are_kept_than_are_listed() {
        let keys = read(&b"\x01\n".repeat(Moved::LISTED + 2));
        assert_eq!((keys.wrong().count(), keys.more_wrong()), (Moved::LISTED, 2));
    }

    #[test]
    fn no_key_at_all_is_a_mistake() {
        for text in [&b""[..], b"\n\r\n"] {
            assert!(matches!(Keys::read("list", text), Err(KeysError::Empty { .. })));
        }
    }
}
