//! What the path of a request names, once its mount is taken off: a blob or a key. The raw path is
//! read, never one that something has decoded or tidied: keys hold anything, `//` and `..` too.
//! Must not know what is done with the name.

use http::Uri;
use shacache_core::key::{Key, KeyError};

use super::error::Failure;
use crate::mount::MountPath;

/// The key that entries are listed under. What a query means is told by
/// [`narrowing`](super::narrowing).
pub(crate) fn key(uri: &Uri, mount: &MountPath) -> Result<Key, KeyError> {
    Key::from_path(below(uri, mount).as_bytes())
}

/// The key that an entry is put under. A query is refused: whoever puts under `q?x=1` means a key
/// of that name, and it would silently become `q`.
pub(crate) fn new_key(uri: &Uri, mount: &MountPath) -> Result<Key, Failure> {
    match uri.query() {
        None => Ok(key(uri, mount)?),
        Some(_) => Err(Failure::KeyWithQuery),
    }
}

/// What follows the mount and a slash: the digest of a blob, a key.
pub(crate) fn below<'a>(uri: &'a Uri, mount: &MountPath) -> &'a str {
    let rest = uri.path().strip_prefix(mount.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or_default()
}
