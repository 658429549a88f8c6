//! The file that tokens are kept in: JSON that a person can read, and no secret in it. Replaced as
//! a whole, so that a power cut leaves the old one or the new one.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Proof, Record};
use crate::access::name::{Name, NameError};
use crate::access::password::PasswordHash;
use crate::access::rights::Rights;

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The name is none.
    #[error("the name")]
    Name(#[source] NameError),
    /// It would be good for nothing.
    #[error("name a role")]
    NoRole,
    /// The password can be guessed.
    #[error("a password has at least 12 characters")]
    ShortPassword,
    /// It would be taken for a token.
    #[error("no password begins as tokens do")]
    PasswordLikeToken,
    /// There is no such day.
    #[error("nothing is good for so many days")]
    Expiry,
    /// A name has one password at a time.
    #[error("{0} has a password; revoke it first")]
    HasPassword(Name),
    /// There is nothing to revoke.
    #[error("nothing that counts has the id or the name {0:?}")]
    None(String),
    /// The file system failed.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not one that this version wrote.
    #[error("{} cannot be read", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ContentError,
    },
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is cut short, or no JSON of this form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("its version is {0}; this program knows 1")]
    Version(u32),
    /// Two records say different things about one token.
    #[error("the id {0} is in it twice")]
    Twice(String),
    /// A hash or digest in it is none.
    #[error("what is kept of the secret of {0} is damaged")]
    Proof(String),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    tokens: Vec<Stored>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Stored {
    id: String,
    name: Name,
    rights: Rights,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    argon2id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    in_query: bool,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    revoked: Option<Timestamp>,
}

/// What the file at `path` holds; nothing when there is none.
pub(super) fn read(path: &Path) -> Result<Vec<Record>, TokensError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(TokensError::Io { op: "read", path: path.to_owned(), source });
        }
    };
    parse(&text).map_err(|source| TokensError::Content { path: path.to_owned(), source })
}

fn parse(text: &[u8]) -> Result<Vec<Record>, ContentError> {
    let content: Content = serde_json::from_slice(text)?;
    if content.version != VERSION {
        return Err(ContentError::Version(content.version));
    }
    let mut ids = HashSet::new();
    if let Some(twice) = content.tokens.iter().find(|stored| !ids.insert(stored.id.as_str())) {
        return Err(ContentError::Twice(twice.id.clone()));
    }
    content.tokens.into_iter().map(Record::try_from).collect()
}

/// Replaces the file. When this returns, the new one survives a power cut.
pub(super) fn write(path: &Path, records: &[Record]) -> Result<(), TokensError> {
    let tokens = records.iter().map(Stored::from).collect();
    let text = serde_json::to_string_pretty(&Content { version: VERSION, tokens })
        .expect("names, numbers and times are JSON");
    let new = path.with_extension("json.new");
    let failed = |op, path: &Path| {
        let path = path.to_owned();
        move |source| TokensError::Io { op, path, source }
    };
    // A leftover of a run that was cut off may have other permissions.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &new)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed("create", &new))?;
    file.write_all(text.as_bytes()).map_err(failed("write", &new))?;
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

impl From<&Record> for Stored {
    fn from(record: &Record) -> Self {
        let (sha256, argon2id) = match &record.proof {
            Proof::Token(sha256) => (Some(sha256.to_string()), None),
            Proof::Password(hash) => (None, Some(hash.as_str().to_owned())),
        };
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            rights: Rights::clone(&record.rights),
            sha256,
            argon2id,
            in_query: record.in_query,
            created: record.created,
            expires: record.expires,
            revoked: record.revoked,
        }
    }
}

impl TryFrom<Stored> for Record {
    type Error = ContentError;

    fn try_from(stored: Stored) -> Result<Self, ContentError> {
        let proof = match (&stored.sha256, &stored.argon2id) {
            (Some(sha256), None) => sha256.parse().ok().map(Proof::Token),
            (None, Some(hash)) => PasswordHash::read(hash).map(Proof::Password),
            _ => None,
        };
        let proof = proof.ok_or_else(|| ContentError::Proof(stored.id.clone()))?;
        let Stored { id, name, rights, in_query, created, expires, revoked, .. } = stored;
        let rights = Arc::new(rights);
        Ok(Self { id, name, rights, proof, in_query, created, expires, revoked })
    }
}

const VERSION: u32 = 1;
