//! The headers of answers about a blob. Owns what clients and caches are told about its bytes;
//! must not know where they come from.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION,
};
use http::{HeaderName, HeaderValue, StatusCode};
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::{
    self, BLOB_MEDIA_TYPE, CACHE_AFTER_ASKING, CACHE_FOR_EVER, TEXT_MEDIA_TYPE, UNCLAIMED_SECONDS,
};
use shacache_store::blob::{Blob, Stored};

use crate::mount::MountPath;

/// An answer about one blob, short of its status and body.
pub(super) struct BlobAnswer {
    digest: Digest,
    size: u64,
    /// With its quotes.
    tag: String,
    cache_control: &'static str,
    content_location: Option<String>,
}

impl BlobAnswer {
    /// For `blob`, asked for as `name` below `mount`.
    pub(super) fn new(mount: &MountPath, name: &AnyDigest, blob: &Blob) -> Self {
        let digest = *blob.digest();
        let (cache_control, content_location) = match name {
            AnyDigest::Sha512(_) => (CACHE_FOR_EVER, None),
            AnyDigest::Alias(alias) => {
                // What a weak digest stands for can become ambiguous any day.
                let cache_control =
                    if alias.is_weak() { CACHE_AFTER_ASKING } else { CACHE_FOR_EVER };
                (cache_control, Some(wire::blob_path(mount.as_str(), &digest)))
            }
        };
        let tag = wire::entity_tag(&digest);
        Self { digest, size: blob.size(), tag, cache_control, content_location }
    }

    /// The strong entity tag, without its quotes.
    pub(super) fn tag(&self) -> &str {
        self.tag.trim_matches('"')
    }

    /// 304: the client has it.
    pub(super) fn not_modified(self) -> Response {
        self.named(StatusCode::NOT_MODIFIED, Body::empty())
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
        let (digest, size) = (self.digest, self.size);
        let mut response = match part {
            None => self.named(StatusCode::OK, body),
            Some(Range { start, end }) => {
                let mut response = self.named(StatusCode::PARTIAL_CONTENT, body);
                let range = format!("bytes {start}-{}/{size}", end - 1);
                response.headers_mut().insert(CONTENT_RANGE, ascii(range));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(BLOB_MEDIA_TYPE));
        // The Python client compares this with "bytes" and resumes only if it is that.
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static(wire::ACCEPT_RANGES));
        // RFC 9530: of the whole blob, in a 206 too.
        headers.insert(REPR_DIGEST, ascii(wire::repr_digest(&digest)));
        // A blob is never a page of this site, whoever put it here.
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        response
    }

    /// What the answer is about, and for how long it holds.
    fn named(self, status: StatusCode, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        // Once, rather than with every few of them.
        headers.reserve(HEADERS);
        headers.insert(ETAG, ascii(self.tag));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        if let Some(location) = self.content_location {
            headers.insert(CONTENT_LOCATION, ascii(location));
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

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value)
        .expect("digests, numbers and mount paths are made of printable ASCII characters")
}
