//! The names that files in an archive have, read from the path below it: what a file with this name
//! has to hold, and whether the format knows such a name at all. Owns the judgment of names and of
//! what small files hold.

use std::path::{Path, PathBuf};

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::{Key, KeyFileName};

use crate::error::Fault;
use crate::hold::{self, HoldName};
use crate::layout::{FORMAT, KEY_FILE, Layout, RecordName, digest_of_path};
use crate::scan::{self, Content};
use crate::verify::Code;

/// A name of the archive format, relative to the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    path: Box<str>,
    kind: Kind,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Says which format it is.
    Version,
    /// Bytes with this digest.
    Blob(Digest),
    /// The tombstone of this blob.
    Ban(Digest),
    /// One entry.
    Entry,
    /// The tombstone of an entry.
    Tombstone,
    /// Says which long key a folder is of.
    KeyFile,
    /// What somebody holds on to.
    Hold,
    /// A line of the operators' diary.
    Audit,
}

impl ArchiveFile {
    /// The largest file that is no blob, in bytes.
    pub const MAX_TEXT_BYTES: u64 = 16 << 20;

    /// Reads a path; `None` when the format has no such name.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let kind = match parts.as_slice() {
            ["VERSION"] => Kind::Version,
            ["blobs", _, _, _] => Kind::Blob(digest_of_path(Path::new(path))?),
            ["tombstones", "blobs", _, _, _] => {
                Kind::Ban(digest_of_path(Path::new(path.strip_suffix(".json")?))?)
            }
            ["entries", fan_out, key, file] if is_key_folder(fan_out, key) => {
                match RecordName::parse(file) {
                    Some(_) => Kind::Entry,
                    None if *file == KEY_FILE && is_long(key) => Kind::KeyFile,
                    None => return None,
                }
            }
            ["tombstones", "entries", fan_out, key, file] if is_key_folder(fan_out, key) => {
                RecordName::parse(file).map(|_| Kind::Tombstone)?
            }
            ["holds", name, file] if name.parse::<HoldName>().is_ok() && is_plain_json(file) => {
                Kind::Hold
            }
            ["audit", year, file] if is_plain(year) && is_plain_json(file) => Kind::Audit,
            _ => return None,
        };
        Some(Self { path: path.into(), kind })
    }

    /// The name of a blob.
    #[must_use]
    pub fn blob(digest: &Digest) -> Self {
        Self { path: Layout::blob_path(digest).into(), kind: Kind::Blob(*digest) }
    }

    /// Says which format an archive has.
    pub(crate) fn version() -> Self {
        Self { path: "VERSION".into(), kind: Kind::Version }
    }

    /// Where it lies, relative to the archive.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its content is small, and text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(self.kind, Kind::Blob(_))
    }

    /// What is wrong with `text` under this name, if anything is.
    pub(crate) fn damage(&self, text: &[u8]) -> Option<(Code, String)> {
        match self.kind {
            Kind::Version if text != format!("{FORMAT}\n").as_bytes() => {
                Some((Code::VersionWrong, format!("not {FORMAT}")))
            }
            Kind::Version => None,
            Kind::Blob(digest) if Digest::of(text) != digest => {
                Some((Code::BlobDamaged, "the bytes have another digest".to_owned()))
            }
            Kind::Blob(_) => None,
            Kind::Entry => match SignedEntry::from_body(text) {
                Ok(entry) if Some(entry.id()) == self.record().map(|record| record.id).as_ref() => {
                    None
                }
                Ok(_) => Some((Code::EntryDamaged, "it is another entry".to_owned())),
                Err(error) => Some((Code::EntryDamaged, error.to_string())),
            },
            Kind::KeyFile if self.is_key(text) => None,
            Kind::KeyFile => Some((Code::KeyDamaged, "the folder is of another key".to_owned())),
            Kind::Hold if hold::is_hold(Path::new(&*self.path), text) => None,
            Kind::Hold => Some((Code::HoldDamaged, "nobody can tell what it holds".to_owned())),
            Kind::Ban(_) | Kind::Tombstone | Kind::Audit => {
                let read = serde_json::from_slice::<serde_json::Map<_, _>>(text);
                read.err().map(|error| (Code::TombstoneDamaged, error.to_string()))
            }
        }
    }

    /// Of an entry and of an entry's tombstone: the file's own name.
    pub(crate) fn record(&self) -> Option<RecordName> {
        RecordName::parse(self.path.rsplit('/').next()?)
    }

    /// Of a file of the directory: its key's folder, fan-out and name.
    pub(crate) fn key_folder(&self) -> PathBuf {
        let mut parts = self.path.rsplit('/').skip(1);
        let (name, fan_out) = (parts.next(), parts.next());
        [fan_out, name].into_iter().flatten().collect()
    }

    /// Whether a whole file with this name is at `path`. Blocking.
    pub(crate) fn is_at(&self, path: &Path) -> Result<bool, Fault> {
        Ok(match scan::content(path, Self::MAX_TEXT_BYTES + 1)? {
            Content::Bytes(text) => self.damage(&text).is_none(),
            Content::Missing | Content::NotAFile => false,
        })
    }

    fn is_key(&self, text: &[u8]) -> bool {
        let key = str::from_utf8(text).ok().and_then(|text| text.parse::<Key>().ok());
        key.is_some_and(|key| {
            let name = key.file_name();
            *self.path == *format!("entries/{}/{}/{KEY_FILE}", name.fan_out(), name.name())
        })
    }
}

/// Whether a key's files may lie in a folder of this name. Nothing in it says which long key it is.
fn is_key_folder(fan_out: &str, name: &str) -> bool {
    match KeyFileName::decode(name) {
        Some(key) => key.file_name().fan_out() == fan_out,
        None => KeyFileName::fan_out_of_digest(name) == Some(fan_out),
    }
}

fn is_long(name: &str) -> bool {
    KeyFileName::fan_out_of_digest(name).is_some()
}

/// Names that are made by this program have no other bytes, and cannot lead anywhere.
fn is_plain(name: &str) -> bool {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"._=@,+-%".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_kept)
}

fn is_plain_json(name: &str) -> bool {
    is_plain(name) && name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> Option<Kind> {
        ArchiveFile::parse(path).map(|file| file.kind())
    }

    #[test]
    fn names_of_the_format_are_known() {
        let digest = Digest::of(b"x");
        let hex = digest.to_string();
        let fanned_out = format!("{}/{}/{hex}", &hex[..2], &hex[2..4]);
        let key: Key = "a key".parse().expect("a key");
        let long: Key = "x".repeat(300).parse().expect("a key");
        let record = format!("20261122T151200.123456Z-{hex}.json");
        for (path, expected) in [
            ("VERSION".to_owned(), Kind::Version),
            (format!("blobs/{fanned_out}"), Kind::Blob(digest)),
            (format!("tombstones/blobs/{fanned_out}.json"), Kind::Ban(digest)),
            (format!("entries/{}/{record}", key.file_name()), Kind::Entry),
            (format!("entries/{}/{record}", long.file_name()), Kind::Entry),
            (format!("entries/{}/%key", long.file_name()), Kind::KeyFile),
            (format!("tombstones/entries/{}/{record}", key.file_name()), Kind::Tombstone),
            ("holds/release-1/0a.json".to_owned(), Kind::Hold),
            ("audit/2026/20261122T151200.123456Z-0a.json".to_owned(), Kind::Audit),
        ] {
            assert_eq!(kind(&path), Some(expected), "{path}");
        }
    }

    #[test]
    fn other_names_are_not() {
        let hex = Digest::of(b"x").to_string();
        let record = format!("20261122T151200.123456Z-{hex}.json");
        let key = "k".parse::<Key>().expect("a key").file_name();
        for path in [
            "".to_owned(),
            "/VERSION".to_owned(),
            "blobs".to_owned(),
            format!("blobs/{hex}"),
            format!("blobs/00/00/{hex}"),
            format!("blobs/{}/{}/{}", &hex[..2], &hex[2..4], hex.to_uppercase()),
            format!("blobs/{}/../{}/{hex}", &hex[..2], &hex[2..4]),
            format!("entries/00/k/{record}"),
            format!("entries/{key}/%key"),
            format!("entries/{key}/{record}.part"),
            format!("entries/{key}/.{record}.aBc123"),
            format!("entries/{key}/../{record}"),
            "holds/../x.json".to_owned(),
            "holds/A/x.json".to_owned(),
            "holds/a/.x.json".to_owned(),
            "audit/2026/x".to_owned(),
        ] {
            assert_eq!(kind(&path), None, "{path}");
        }
    }

    #[test]
    fn what_a_file_holds_is_judged_by_its_name() {
        let digest = Digest::of(b"x");
        let text = format!("{{\"sha512\": \"{digest}\"}}");
        let entry = SignedEntry::from_texts(&text, "").expect("an entry");
        let key: Key = "x".repeat(300).parse().expect("a key");
        let name = key.file_name();
        let record = format!("20261122T151200.123456Z-{}.json", entry.id());
        let damage = |path: &str, text: &[u8]| {
            let file = ArchiveFile::parse(path).expect("a name of the format");
            file.damage(text).map(|(code, _)| code)
        };
        let at = format!("entries/{name}/{record}");
        assert_eq!(damage(&at, entry.body().as_bytes()), None);
        assert_eq!(damage(&at, b"[]"), Some(Code::EntryDamaged));
        let other = SignedEntry::from_texts(&format!("{text} "), "").expect("an entry");
        assert_eq!(damage(&at, other.body().as_bytes()), Some(Code::EntryDamaged));
        let at = format!("entries/{name}/%key");
        assert_eq!(damage(&at, key.as_str().as_bytes()), None);
        assert_eq!(damage(&at, b"another"), Some(Code::KeyDamaged));
        let at = format!("tombstones/entries/{name}/{record}");
        assert_eq!(damage(&at, b"{}\n"), None);
        assert_eq!(damage(&at, b"{"), Some(Code::TombstoneDamaged));
        let held = format!("{{\"digest\":\"{digest}\",\"when\":\"\",\"who\":\"\",\"why\":\"\"}}");
        let at = format!("holds/h/{}.json", Digest::of(format!("digest:{digest}").as_bytes()));
        assert_eq!(damage(&at, held.as_bytes()), None);
        assert_eq!(damage("holds/h/0a.json", held.as_bytes()), Some(Code::HoldDamaged));
        assert_eq!(damage(&at, b"{}"), Some(Code::HoldDamaged));
        assert_eq!(damage("VERSION", b"1\n"), None);
        assert_eq!(damage("VERSION", b"2\n"), Some(Code::VersionWrong));
    }
}
