//! What the path of a request names, once its mount is taken off: a blob or a key. The raw path is
//! read, never one that something has decoded or tidied: keys hold anything, `//` and `..` too.
//! Must not know what is done with the name.

use axum::extract::FromRequestParts;
use http::Uri;
use http::request::Parts;
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::key::{Key, KeyError};

use super::call::Call;
use super::error::Failure;
use crate::mount::MountPath;

/// The digest that a blob is asked for by.
pub(crate) struct BlobName(pub(crate) AnyDigest);

impl FromRequestParts<Call> for BlobName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(below(&parts.uri, call.path()).parse()?))
    }
}

/// The digest that a blob is put under.
pub(crate) struct UploadName(pub(crate) Digest);

impl FromRequestParts<Call> for UploadName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(below(&parts.uri, call.path()).parse()?))
    }
}

/// The key that entries are listed under. What a query means is told by
/// [`narrowing`](super::narrowing).
pub(crate) struct EntryKey(pub(crate) Key);

impl FromRequestParts<Call> for EntryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(key(&parts.uri, call.path())?))
    }
}

/// The key that an entry is put under. A query is refused: whoever puts under `q?x=1` means a key
/// of that name, and it would silently become `q`.
pub(crate) struct NewEntryKey(pub(crate) Key);

impl FromRequestParts<Call> for NewEntryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        if parts.uri.query().is_some() {
            return Err(Failure::KeyWithQuery);
        }
        let EntryKey(key) = EntryKey::from_request_parts(parts, call).await?;
        Ok(Self(key))
    }
}

/// The key that a target names below `mount`.
pub(crate) fn key(uri: &Uri, mount: &MountPath) -> Result<Key, KeyError> {
    Key::from_path(below(uri, mount).as_bytes())
}

fn below<'a>(uri: &'a Uri, mount: &MountPath) -> &'a str {
    let rest = uri.path().strip_prefix(mount.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or_default()
}
