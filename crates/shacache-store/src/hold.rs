//! Holds: what must not be deleted, whatever else is asked for. Each is a file in the archive that
//! says which blob or key is held, by whom and why. Owns these files, and the answer to whether
//! something is held; must not know what is deleted, nor how.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use shacache_core::digest::Digest;
use shacache_core::key::Key;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::blocking::blocking;
use crate::defence::Defence;
use crate::error::{Fault, StoreError};
use crate::layout::Layout;
use crate::scan::{self, Content};
use crate::timestamp::Timestamp;
use crate::tombstone::Deletion;
use crate::walk;

/// What a hold is called: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, no dot at the start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HoldName(String);

/// What can be held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Held {
    /// A blob, and every entry that names it.
    Blob(Digest),
    /// Every entry under a key, now and later, and with them the blobs that they name.
    Key(Key),
}

/// One thing that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The hold's name; several things share it.
    pub name: HoldName,
    /// What is held.
    pub held: Held,
    /// When it was added, as the archive spells times.
    pub when: String,
    /// Who added it, and why.
    pub deletion: Deletion,
}

/// The text of a hold's file.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    when: String,
    who: String,
    why: String,
}

/// The holds of an archive.
#[derive(Debug)]
pub(crate) struct Holds {
    layout: Layout,
    /// Shared by those who delete, held alone by who changes a hold.
    changing: RwLock<()>,
    changes: AtomicU64,
}

/// Everything that is held, as it was read at one time.
#[derive(Debug, Clone)]
pub(crate) struct AllHeld {
    blobs: Arc<HashMap<Digest, HoldName>>,
    keys: Arc<HashMap<Key, HoldName>>,
    changes: u64,
}

impl Holds {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, changing: RwLock::default(), changes: AtomicU64::new(0) }
    }

    /// What is held, and the promise that nothing more is as long as the guard lives. What was read
    /// before is read again only if a hold was changed since.
    ///
    /// # Errors
    /// When a hold cannot be read: then nobody knows what is held, and nothing may be deleted.
    pub(crate) async fn look(
        &self,
        known: Option<&AllHeld>,
    ) -> Result<(RwLockReadGuard<'_, ()>, AllHeld), StoreError> {
        let guard = self.changing.read().await;
        let changes = self.changes.load(Ordering::Acquire);
        if let Some(known) = known.filter(|known| known.changes == changes) {
            return Ok((guard, known.clone()));
        }
        let mut held = AllHeld { blobs: Arc::default(), keys: Arc::default(), changes };
        if Defence::Holds.is_up() {
            let all = self.list().await?;
            let (mut blobs, mut keys) = (HashMap::new(), HashMap::new());
            for Hold { name, held, .. } in all {
                match held {
                    Held::Blob(digest) => drop(blobs.insert(digest, name)),
                    Held::Key(key) => drop(keys.insert(key, name)),
                }
            }
            (held.blobs, held.keys) = (Arc::new(blobs), Arc::new(keys));
        }
        Ok((guard, held))
    }

    /// The right to change a hold: nothing is deleted meanwhile.
    pub(crate) async fn change(&self) -> RwLockWriteGuard<'_, ()> {
        let guard = self.changing.write().await;
        self.changes.fetch_add(1, Ordering::AcqRel);
        guard
    }

    /// Every hold, in the order of names.
    pub(crate) async fn list(&self) -> Result<Vec<Hold>, StoreError> {
        let layout = self.layout.clone();
        blocking(move || read_all(&layout)).await
    }

    /// The file of a hold.
    pub(crate) fn path(&self, name: &HoldName, held: &Held) -> PathBuf {
        self.layout.holds().join(&name.0).join(held.file_name())
    }
}

impl AllHeld {
    /// The hold on this blob itself.
    pub(crate) fn blob(&self, digest: &Digest) -> Option<&HoldName> {
        self.blobs.get(digest)
    }

    /// The hold on this key.
    pub(crate) fn key(&self, key: &Key) -> Option<&HoldName> {
        self.keys.get(key)
    }

    /// The hold on an entry, be it for its key or for the blob that it names.
    pub(crate) fn entry(&self, key: &Key, digest: &Digest) -> Option<&HoldName> {
        self.key(key).or_else(|| self.blob(digest))
    }

    /// Every held key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Key, &HoldName)> {
        self.keys.iter()
    }
}

impl Hold {
    /// The text of its file.
    pub(crate) fn to_json(&self) -> String {
        let (digest, key) = match &self.held {
            Held::Blob(digest) => (Some(digest.to_string()), None),
            Held::Key(key) => (None, Some(key.as_str().to_owned())),
        };
        let Deletion { who, why } = self.deletion.clone();
        let text = Text { digest, key, when: self.when.clone(), who, why };
        // Texts and nothing else always serialise.
        let mut json = serde_json::to_string(&text).unwrap_or_default();
        json.push('\n');
        json
    }

    fn read(name: &HoldName, path: &Path, text: &[u8]) -> Option<Self> {
        let Text { digest, key, when, who, why } = serde_json::from_slice(text).ok()?;
        let held = match (digest, key) {
            (Some(digest), None) => Held::Blob(digest.parse().ok()?),
            (None, Some(key)) => Held::Key(key.parse().ok()?),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let is_named_so = path.file_name().is_some_and(|name| *name == *held.file_name());
        let hold = Self { name: name.clone(), held, when, deletion: Deletion { who, why } };
        is_named_so.then_some(hold)
    }
}

impl Held {
    /// `<id>.json`, the id being the SHA-512 of the word `digest` or `key`, a colon, and the text.
    fn file_name(&self) -> String {
        format!("{}.json", Digest::of(self.to_string().as_bytes()))
    }
}

impl fmt::Display for Held {
    /// `digest:<digest>` or `key:<key>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(digest) => write!(f, "digest:{digest}"),
            Self::Key(key) => write!(f, "key:{}", key.as_str()),
        }
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HoldName {
    type Err = HoldNameError;

    fn from_str(text: &str) -> Result<Self, HoldNameError> {
        let is_kept = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = |byte: u8| is_kept(byte) || matches!(byte, b'.' | b'_' | b'-');
        let is_one = (1..=LONGEST_NAME).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(fits);
        if is_one { Ok(Self(text.to_owned())) } else { Err(HoldNameError) }
    }
}

impl TryFrom<String> for HoldName {
    type Error = HoldNameError;

    fn try_from(text: String) -> Result<Self, HoldNameError> {
        text.parse()
    }
}

impl From<HoldName> for String {
    fn from(name: HoldName) -> Self {
        name.0
    }
}

/// A text is no name of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hold's name has 1 to {LONGEST_NAME} of a-z, 0-9, ., _ and -, and no dot at the start")]
pub struct HoldNameError;

fn read_all(layout: &Layout) -> Result<Vec<Hold>, StoreError> {
    let mut holds = Vec::new();
    for hold in read_each(layout)? {
        holds.push(hold.map_err(|path| StoreError::Unsure(layout.shown(&path)))?);
    }
    holds.sort_unstable_by(|a, b| (&a.name, &a.held).cmp(&(&b.name, &b.held)));
    Ok(holds)
}

/// What lies among the holds and may be one that cannot be read. Blocking.
pub(crate) fn unreadable(layout: &Layout) -> Result<Vec<PathBuf>, Fault> {
    Ok(read_each(layout)?.into_iter().filter_map(Result::err).collect())
}

/// Reads every hold; gives the path of whatever else lies there.
fn read_each(layout: &Layout) -> Result<Vec<Result<Hold, PathBuf>>, Fault> {
    let mut holds = Vec::new();
    for folder in walk::paths(&layout.holds())? {
        let name = folder.file_name().and_then(|name| name.to_str()?.parse::<HoldName>().ok());
        let (Some(name), true) = (name, folder.is_dir()) else {
            holds.push(Err(folder));
            continue;
        };
        for path in walk::paths(&folder)? {
            match scan::content(&path, LIMIT_BYTES)? {
                Content::Missing => {}
                Content::NotAFile => holds.push(Err(path)),
                Content::Bytes(text) => holds.push(Hold::read(&name, &path, &text).ok_or(path)),
            }
        }
    }
    Ok(holds)
}

/// Whether this text, in a file so named, is a hold.
pub(crate) fn is_hold(path: &Path, text: &[u8]) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = folder.and_then(|name| name.parse().ok());
    name.is_some_and(|name| Hold::read(&name, path, text).is_some())
}

/// A hold to be written now.
pub(crate) fn new(name: HoldName, held: Held, deletion: Deletion) -> Hold {
    Hold { name, held, when: Timestamp::now().to_string(), deletion }
}

/// Whether there is such a file. Blocking.
pub(crate) fn is_there(path: &Path) -> Result<bool, Fault> {
    Ok(scan::status(path)?.is_some())
}

const LONGEST_NAME: usize = 64;
/// More than a hold of ours has, whoever gave the reason.
const LIMIT_BYTES: u64 = 16 << 20;
