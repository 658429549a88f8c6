//! What the path of a request names, once its mount is taken off: a blob or a key. The raw path is
//! read, never one that something has decoded or tidied: keys hold anything, `//` and `..` too.
//! Must not know what is done with the name.

use axum::extract::FromRequestParts;
use http::request::Parts;
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::key::Key;

use super::Mount;
use super::error::Failure;

/// The digest that a blob is asked for by.
pub(crate) struct BlobName(pub(crate) AnyDigest);

impl FromRequestParts<Mount> for BlobName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, mount: &Mount) -> Result<Self, Failure> {
        Ok(Self(after_mount(parts, mount).parse()?))
    }
}

/// The digest that a blob is put under.
pub(crate) struct UploadName(pub(crate) Digest);

impl FromRequestParts<Mount> for UploadName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, mount: &Mount) -> Result<Self, Failure> {
        Ok(Self(after_mount(parts, mount).parse()?))
    }
}

/// The key that entries are listed under. A query is ignored, as on every other path.
pub(crate) struct EntryKey(pub(crate) Key);

impl FromRequestParts<Mount> for EntryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, mount: &Mount) -> Result<Self, Failure> {
        Ok(Self(Key::from_path(after_mount(parts, mount).as_bytes())?))
    }
}

/// The key that an entry is put under. A query is refused: whoever puts under `q?x=1` means a key
/// of that name, and it would silently become `q`.
pub(crate) struct NewEntryKey(pub(crate) Key);

impl FromRequestParts<Mount> for NewEntryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, mount: &Mount) -> Result<Self, Failure> {
        if parts.uri.query().is_some() {
            return Err(Failure::KeyWithQuery);
        }
        let EntryKey(key) = EntryKey::from_request_parts(parts, mount).await?;
        Ok(Self(key))
    }
}

fn after_mount<'a>(parts: &'a Parts, mount: &Mount) -> &'a str {
    let path = parts.uri.path();
    let rest = path.strip_prefix(mount.path.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or_default()
}
