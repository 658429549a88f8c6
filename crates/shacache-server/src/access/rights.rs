//! What one identity may: its roles, and the keys it may put entries under. Must not know how an
//! identity is told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shacache_core::key::Key;
use shacache_core::pattern::{Pattern, PatternError};

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
    /// To see what operators see, and to change what is kept.
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

/// Which keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPattern(Pattern);

impl KeyPattern {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self(Pattern::all())
    }

    fn fits(&self, key: &[u8]) -> bool {
        self.0.fits(key)
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for KeyPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<KeyPattern> for String {
    fn from(pattern: KeyPattern) -> Self {
        pattern.to_string()
    }
}
