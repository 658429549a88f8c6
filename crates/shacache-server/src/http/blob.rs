//! The blob service: GET, HEAD, POST and PUT. Each handler reads the request, asks the store once
//! and builds the answer. Must not know how blobs are kept, nor what they mean.

use std::ops::Range;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method};
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::BLOB_MEDIA_TYPE;
use shacache_store::blob::{Blob, Resolved, Stored};

use self::answer::BlobAnswer;
pub(crate) use self::answer::BlobHeaders;
use self::body::BlobBody;
use super::call::{Call, OpenRead};
use super::condition::{self, Condition};
use super::error::Failure;
use super::write::WriteBody;
use super::{range, target};
use crate::access::Terms;
use crate::metrics::Route;

mod answer;
mod body;

/// `GET` and `HEAD` by any digest.
pub(crate) async fn get(call: Call, request: Request) -> Result<Response, Failure> {
    let name: AnyDigest = target::below(request.uri(), call.path()).parse()?;
    let blob = find(&call, &name).await?.ok_or(Failure::NoBlob)?;
    let answer = BlobAnswer::new(call.app().blob_headers(), call.path(), &name, &blob);
    match wanted(request.method(), request.headers(), &answer, blob.size())? {
        Wanted::Nothing => Ok(answer.not_modified()),
        Wanted::Headers => Ok(answer.head()),
        Wanted::Bytes(part) => {
            let range = answer.range(part.as_ref());
            let body = BlobBody::read(call.app().metrics(), blob, range).await?;
            Ok(answer.bytes(part, body))
        }
    }
}

/// `GET` by a blob's own digest, as far as the first bytes are in memory.
pub(crate) fn at_hand(read: OpenRead<'_>) -> Option<Response> {
    let digest: Digest = target::below(read.uri(), read.path()).parse().ok()?;
    let blob = read.app().store().blobs().at_hand(&digest)?;
    let name = AnyDigest::Sha512(digest);
    let answer = BlobAnswer::new(read.app().blob_headers(), read.path(), &name, &blob);
    match wanted(&Method::GET, read.headers(), &answer, blob.size()).ok()? {
        Wanted::Nothing => Some(answer.not_modified()),
        Wanted::Headers => None,
        Wanted::Bytes(part) => {
            let range = answer.range(part.as_ref());
            let body = BlobBody::at_hand(read.app().metrics(), blob, range)?;
            Some(answer.bytes(part, body))
        }
    }
}

/// What a request for a blob that is there comes to.
enum Wanted {
    /// The client has it already.
    Nothing,
    Headers,
    /// This part, or all of it.
    Bytes(Option<Range<u64>>),
}

fn wanted(
    method: &Method,
    headers: &HeaderMap,
    answer: &BlobAnswer,
    size: u64,
) -> Result<Wanted, Failure> {
    let is_unconditional = condition::is_unconditional(headers);
    if !is_unconditional && Condition::evaluate(headers, answer.tag())? == Condition::NotModified {
        return Ok(Wanted::Nothing);
    }
    // A range means something for GET only (RFC 9110 §14.2).
    if *method == Method::HEAD {
        return Ok(Wanted::Headers);
    }
    if is_unconditional {
        return Ok(Wanted::Bytes(None));
    }
    let part = range::requested(headers, answer.tag(), size)
        .map_err(|source| Failure::Range { source, size })?;
    Ok(Wanted::Bytes(part))
}

/// `POST` of new bytes; `PUT` to the same place is the older verb for it.
pub(crate) async fn post(call: Call, request: Request) -> Result<Response, Failure> {
    let stored = store(&call, Route::Blobs, request, None).await?;
    Ok(answer::stored(call.path(), &stored))
}

/// `PUT` under the digest that the bytes must have.
pub(crate) async fn put(call: Call, request: Request) -> Result<Response, Failure> {
    let digest: Digest = target::below(request.uri(), call.path()).parse()?;
    let stored = store(&call, Route::Blob, request, Some(&digest)).await?;
    Ok(answer::stored(call.path(), &stored))
}

async fn find(call: &Call, name: &AnyDigest) -> Result<Option<Blob>, Failure> {
    let blobs = call.app().store().blobs();
    let digest = match name {
        AnyDigest::Sha512(digest) => *digest,
        AnyDigest::Alias(alias) => match Box::pin(blobs.resolve(alias)).await? {
            Resolved::One(digest) => digest,
            Resolved::Missing => return Ok(None),
            Resolved::Ambiguous => return Err(Failure::Ambiguous),
        },
    };
    Ok(blobs.get(&digest).await?)
}

/// Takes the body of a write into the store. Dropped on the way, it leaves nothing there.
async fn store(
    call: &Call,
    route: Route,
    request: Request,
    expected: Option<&Digest>,
) -> Result<Stored, Failure> {
    let method = request.method().clone();
    let app = call.app();
    let mut body = WriteBody::accept(call, request, BLOB_MEDIA_TYPE, app.blob_limit_bytes())?;
    let (blobs, announced_bytes) = (app.store().blobs(), body.announced_bytes());
    let mut incoming = match call.terms() {
        Terms::Unconditional => blobs.incoming(announced_bytes)?,
        Terms::Signed => blobs.incoming_unclaimed(announced_bytes, call.holder()).await?,
    };
    while let Some(bytes) = body.next().await? {
        incoming.write(bytes).await?;
    }
    let stored = incoming.commit(expected).await?;
    call.app().metrics().received(&method, route, stored.size());
    Ok(stored)
}
