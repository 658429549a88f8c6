//! The blob service: GET, HEAD, POST and PUT. Each handler reads the request, asks the store once
//! and builds the answer. Must not know how blobs are kept, nor what they mean.

use axum::extract::Request;
use axum::response::Response;
use http::Method;
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::BLOB_MEDIA_TYPE;
use shacache_store::blob::{Blob, Resolved, Stored};

use self::answer::BlobAnswer;
use self::body::BlobBody;
use super::call::Call;
use super::condition::Condition;
use super::error::Failure;
use super::write::WriteBody;
use super::{range, target};
use crate::access::Terms;
use crate::metrics::Route;

mod answer;
mod body;

/// `GET` and `HEAD` by any digest.
pub(crate) async fn get(call: Call, request: Request) -> Result<Response, Failure> {
    let headers = request.headers();
    let name: AnyDigest = target::below(request.uri(), call.path()).parse()?;
    let blob = find(&call, &name).await?.ok_or(Failure::NoBlob)?;
    let size = blob.size();
    let answer = BlobAnswer::new(call.path(), &name, &blob);
    if Condition::evaluate(headers, answer.tag())? == Condition::NotModified {
        return Ok(answer.not_modified());
    }
    // A range means something for GET only (RFC 9110 §14.2).
    if request.method() == Method::HEAD {
        return Ok(answer.head());
    }
    let part = range::requested(headers, answer.tag(), size)
        .map_err(|source| Failure::Range { source, size })?;
    let wanted = part.clone().unwrap_or(0..size);
    let body = BlobBody::read(call.app().metrics(), blob, wanted).await?;
    Ok(answer.bytes(part, body))
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
