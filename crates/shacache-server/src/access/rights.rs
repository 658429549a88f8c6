//! What one identity may: its roles, and the keys it may put entries under. Must not know how an
//! identity is told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shacache_core::key::Key;

/// One thing that an identity may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// To get blobs and entries, where not everybody may.
    Read,
    /// To store blobs.
    Upload,
    /// To put entries.
    Put,
    /// To see what operators see.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Put => "put",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let roles = [Self::Read, Self::Upload, Self::Put, Self::Admin];
        roles.into_iter().find(|role| role.to_string() == text).ok_or(UnknownRole)
    }
}

/// A text is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the roles are read, upload, put and admin")]
pub struct UnknownRole;

/// What one identity may.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rights {
    /// What it may do.
    pub roles: Vec<Role>,
    /// Under which keys it may put entries, if it may at all.
    pub keys: Vec<KeyPattern>,
}

impl Rights {
    pub(crate) fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn may_put(&self, key: &Key) -> bool {
        self.may(Role::Put) && self.keys.iter().any(|pattern| pattern.fits(key.as_str().as_bytes()))
    }
}

/// Which keys: a text in which each `*` stands for any bytes, none included, and everything else
/// for itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPattern(String);

impl KeyPattern {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Time grows with the product of both lengths at most: each star is tried once, from left to
    /// right, and never again.
    fn fits(&self, key: &[u8]) -> bool {
        let mut parts = self.0.as_bytes().split(|byte| *byte == b'*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = key.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let found = (0..=rest.len()).find(|at| rest[*at..].starts_with(part));
            let Some(at) = found else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyPattern {
    type Err = KeyPatternError;

    fn from_str(text: &str) -> Result<Self, KeyPatternError> {
        if text.is_empty() || text.len() > LONGEST_PATTERN || text.chars().any(char::is_control) {
            return Err(KeyPatternError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for KeyPattern {
    type Error = KeyPatternError;

    fn try_from(text: String) -> Result<Self, KeyPatternError> {
        text.parse()
    }
}

impl From<KeyPattern> for String {
    fn from(pattern: KeyPattern) -> Self {
        pattern.0
    }
}

/// A text is no pattern of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern of keys has 1 to {LONGEST_PATTERN} bytes and no control characters")]
pub struct KeyPatternError;

/// As long as a key.
const LONGEST_PATTERN: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, key: &str) -> bool {
        pattern.parse::<KeyPattern>().unwrap().fits(key.as_bytes())
    }

    #[test]
    fn a_star_stands_for_any_bytes_and_all_else_for_itself() {
        for (pattern, key) in [
            ("*", ""),
            ("*", "a"),
            ("pypi:*", "pypi:"),
            ("pypi:*", "pypi:a=1"),
            ("*=1", "pypi:a=1"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("a**a", "aa"),
            ("a", "a"),
            ("[a]?", "[a]?"),
        ] {
            assert!(fits(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [
            ("pypi:*", "pyp"),
            ("pypi:*", "xpypi:a"),
            ("a", "ab"),
            ("a", ""),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("ab*bc", "abc"),
            ("[a]?", "ab"),
            ("A*", "a"),
        ] {
            assert!(!fits(pattern, key), "{pattern} {key}");
        }
    }

    /// The obvious way to say it; it takes exponential time.
    fn plainly(pattern: &[u8], key: &[u8]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((b'*', rest)) => (0..=key.len()).any(|at| plainly(rest, &key[at..])),
            Some((byte, rest)) => key.first() == Some(byte) && plainly(rest, &key[1..]),
        }
    }

    proptest! {
        #[test]
        fn fits_what_it_plainly_says(pattern in "[ab*]{1,8}", key in "[ab]{0,10}") {
            prop_assert_eq!(fits(&pattern, &key), plainly(pattern.as_bytes(), key.as_bytes()));
        }
    }
}
