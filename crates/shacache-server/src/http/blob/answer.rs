//! The headers of answers about a blob. Owns what clients and caches are told about its bytes;
//! must not know where they come from.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use foldhash::fast::RandomState;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::{
    self, BLOB_MEDIA_TYPE, CACHE_AFTER_ASKING, CACHE_FOR_EVER, TEXT_MEDIA_TYPE, UNCLAIMED_SECONDS,
};
use shacache_store::blob::{Blob, Stored};

use crate::http::browser;
use crate::mount::MountPath;

/// What answers say about blobs that are asked for again and again. All of it follows from the
/// digest, and to write it down anew costs more than to find the blob.
#[derive(Debug)]
pub(crate) struct BlobHeaders(Cache<Digest, HeaderMap, UnitWeighter, RandomState>);

impl BlobHeaders {
    pub(crate) fn new() -> Self {
        Self(Cache::with(
            KEPT,
            KEPT as u64,
            UnitWeighter,
            RandomState::default(),
            DefaultLifecycle::default(),
        ))
    }

    /// Those of an answer with all of the blob, asked for by its own digest.
    fn of(&self, blob: &Blob) -> HeaderMap {
        match blob.is_at_hand() {
            true => self.kept(blob.digest()),
            // It may never be asked for again.
            false => whole(blob.digest()),
        }
    }

    fn kept(&self, digest: &Digest) -> HeaderMap {
        self.0.get(digest).unwrap_or_else(|| {
            let headers = whole(digest);
            self.0.insert(*digest, headers.clone());
            headers
        })
    }
}

fn whole(digest: &Digest) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(ETAG, ascii(wire::entity_tag(digest)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_FOR_EVER));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BLOB_MEDIA_TYPE));
    // The Python client compares this with "bytes" and resumes only if it is that.
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static(wire::ACCEPT_RANGES));
    // RFC 9530: of the whole blob, in a 206 too.
    headers.insert(REPR_DIGEST, ascii(wire::repr_digest(digest)));
    // A blob is never a page of this site, whoever put it here.
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    browser::protect(&mut headers);
    headers
}

/// An answer about one blob, short of its status and body.
pub(super) struct BlobAnswer {
    size: u64,
    headers: HeaderMap,
}

impl BlobAnswer {
    /// For `blob`, asked for as `name` below `mount`.
    pub(super) fn new(
        known: &BlobHeaders,
        mount: &MountPath,
        name: &AnyDigest,
        blob: &Blob,
    ) -> Self {
        let mut headers = known.of(blob);
        if let AnyDigest::Alias(alias) = name {
            // What a weak digest stands for can become ambiguous any day.
            if alias.is_weak() {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_AFTER_ASKING));
            }
            let location = wire::blob_path(mount.as_str(), blob.digest());
            headers.insert(CONTENT_LOCATION, ascii(location));
        }
        Self { size: blob.size(), headers }
    }

    /// The strong entity tag, without its quotes.
    pub(super) fn tag(&self) -> &[u8] {
        match self.headers[ETAG].as_bytes() {
            [b'"', tag @ .., b'"'] => tag,
            tag => tag,
        }
    }

    /// Which bytes `part` is, or all of them.
    pub(super) fn range(&self, part: Option<&Range<u64>>) -> Range<u64> {
        part.cloned().unwrap_or(0..self.size)
    }

    /// 304: the client has it.
    pub(super) fn not_modified(mut self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        // What the answer is about, and for how long it holds.
        for name in [ETAG, CACHE_CONTROL, CONTENT_LOCATION] {
            if let Some(value) = self.headers.remove(&name) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// What a GET would be told, without the bytes.
    pub(super) fn head(self) -> Response {
        let size = self.size;
        let mut response = self.bytes(None, Body::empty());
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        response
    }

    /// 206 with the bytes of `part`, or 200 with all of them; the body knows how many they are.
    pub(super) fn bytes(self, part: Option<Range<u64>>, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.headers_mut() = self.headers;
        if let Some(Range { start, end }) = part {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{}/{}", end - 1, self.size);
            response.headers_mut().insert(CONTENT_RANGE, ascii(range));
        }
        response
    }
}

/// 201. The body is exactly the digest, without a line end: clients in the field compare bytes.
pub(super) fn stored(mount: &MountPath, stored: &Stored) -> Response {
    let mut response = Response::new(Body::from(stored.digest().to_string()));
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_MEDIA_TYPE));
    if let Some(unclaimed_for) = stored.unclaimed_for() {
        let seconds = HeaderValue::from(unclaimed_for.as_secs());
        headers.insert(HeaderName::from_static(UNCLAIMED_SECONDS), seconds);
    }
    headers.insert(LOCATION, ascii(wire::blob_path(mount.as_str(), stored.digest())));
    response
}

const REPR_DIGEST: HeaderName = HeaderName::from_static(wire::REPR_DIGEST);

/// What most answers have in the end, those that every answer gets included.
const HEADERS: usize = 12;

/// Less than 4 MiB.
const KEPT: usize = 2_048;

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value)
        .expect("digests, numbers and mount paths are made of printable ASCII characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_headers_are_kept_than_there_is_room_for() {
        let headers = BlobHeaders::new();
        for number in 0..3 * KEPT {
            let digest = Digest::of(&number.to_le_bytes());
            assert_eq!(headers.kept(&digest)[ETAG], wire::entity_tag(&digest));
            assert_eq!(headers.kept(&digest), whole(&digest));
        }
        assert!((KEPT / 2..=KEPT).contains(&headers.0.len()), "{}", headers.0.len());
    }
}
