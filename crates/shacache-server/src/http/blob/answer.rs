//! The headers of an answer that has a blob in it. Owns what clients and caches are told about a
//! blob's bytes; must not know where they come from.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
};
use http::{HeaderValue, StatusCode};
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::{self, BLOB_MEDIA_TYPE, CACHE_AFTER_ASKING, CACHE_FOR_EVER, REPR_DIGEST};

use crate::mount::MountPath;

/// An answer about one blob, short of its status and body.
pub(super) struct BlobAnswer {
    digest: Digest,
    tag: String,
    cache_control: &'static str,
    content_location: Option<String>,
}

impl BlobAnswer {
    /// For the blob `digest`, asked for as `name` below `mount`.
    pub(super) fn new(mount: &MountPath, name: &AnyDigest, digest: &Digest) -> Self {
        let tag = digest.to_string();
        let (cache_control, content_location) = match name {
            AnyDigest::Sha512(_) => (CACHE_FOR_EVER, None),
            AnyDigest::Alias(alias) => {
                // What a weak digest stands for can become ambiguous any day.
                let cache_control =
                    if alias.is_weak() { CACHE_AFTER_ASKING } else { CACHE_FOR_EVER };
                (cache_control, Some(wire::blob_path(mount.as_str(), digest)))
            }
        };
        Self { digest: *digest, tag, cache_control, content_location }
    }

    /// The strong entity tag, without its quotes.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// 304: the client has it.
    pub(super) fn not_modified(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        let headers = response.headers_mut();
        headers.insert(ETAG, ascii(wire::entity_tag(&self.digest)));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        if let Some(location) = &self.content_location {
            headers.insert(CONTENT_LOCATION, ascii(location.clone()));
        }
        response
    }

    /// 200 with all `size` bytes, or with none of them for a HEAD.
    pub(super) fn whole(&self, size: u64, body: Body) -> Response {
        self.bytes(StatusCode::OK, size, body)
    }

    /// 206 with the bytes of `part`, which is not empty, out of `size`.
    pub(super) fn part(&self, part: &Range<u64>, size: u64, body: Body) -> Response {
        let length = part.end - part.start;
        let mut response = self.bytes(StatusCode::PARTIAL_CONTENT, length, body);
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        response.headers_mut().insert(CONTENT_RANGE, ascii(range));
        response
    }

    fn bytes(&self, status: StatusCode, length: u64, body: Body) -> Response {
        let mut response = self.not_modified();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(BLOB_MEDIA_TYPE));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        // The Python client compares this with "bytes" and resumes only if it is that.
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static(wire::ACCEPT_RANGES));
        // RFC 9530: of the whole blob, in a 206 too.
        headers.insert(REPR_DIGEST, ascii(wire::repr_digest(&self.digest)));
        // A blob is never a page of this site, whoever put it here.
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        *response.body_mut() = body;
        response
    }
}

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value)
        .expect("digests, numbers and mount paths are made of printable ASCII characters")
}
