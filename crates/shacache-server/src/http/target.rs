//! What the path of a request names, once its mount is taken off: a blob or a key. The raw path is
//! read, never one that something has decoded or tidied: keys hold anything, `//` and `..` too.
//! Must not know what is done with the name.

use axum::extract::FromRequestParts;
use http::request::Parts;
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::key::Key;

use super::call::Call;
use super::error::Failure;

/// The digest that a blob is asked for by.
pub(crate) struct BlobName(pub(crate) AnyDigest);

impl FromRequestParts<Call> for BlobName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(after_mount(parts, call).parse()?))
    }
}

/// The digest that a blob is put under.
pub(crate) struct UploadName(pub(crate) Digest);

impl FromRequestParts<Call> for UploadName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(after_mount(parts, call).parse()?))
    }
}

/// The key that entries are listed under. A query is ignored, as on every other path.
pub(crate) struct EntryKey(pub(crate) Key);

impl FromRequestParts<Call> for EntryKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, call: &Call) -> Result<Self, Failure> {
        Ok(Self(Key::from_path(after_mount(parts, call).as_bytes())?))
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

fn after_mount<'a>(parts: &'a Parts, call: &Call) -> &'a str {
    let path = parts.uri.path();
    let rest = path.strip_prefix(call.path().as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or_default()
}
