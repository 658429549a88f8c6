//! The blob service: GET, HEAD, POST and PUT. Each handler reads the request, asks the store once
//! and builds the answer. Must not know how blobs are kept, nor what they mean.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use shacache_core::digest::{AnyDigest, Digest};
use shacache_core::wire::BLOB_MEDIA_TYPE;
use shacache_store::blob::{Blob, Resolved, Stored};

use self::answer::BlobAnswer;
use self::body::BlobBody;
use super::condition::Condition;
use super::error::Failure;
use super::target::{BlobName, UploadName};
use super::write::WriteBody;
use super::{Mount, range};
use crate::metrics::Route;

mod answer;
mod body;

/// `GET` and `HEAD` by any digest.
pub(crate) async fn get(
    State(mount): State<Mount>,
    BlobName(name): BlobName,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let blob = find(&mount, &name).await?.ok_or(Failure::NoBlob)?;
    let size = blob.size();
    let answer = BlobAnswer::new(&mount.path, &name, &blob);
    if Condition::evaluate(&headers, answer.tag())? == Condition::NotModified {
        return Ok(answer.not_modified());
    }
    let part = range::requested(&method, &headers, answer.tag(), size)
        .map_err(|source| Failure::Range { source, size })?;
    if method == Method::HEAD {
        return Ok(answer.bytes(part, Body::empty()));
    }
    let wanted = part.clone().unwrap_or(0..size);
    let body = BlobBody::read(mount.app.metrics(), blob, wanted).await?;
    Ok(answer.bytes(part, body))
}

/// `POST` of new bytes; `PUT` to the same place is the older verb for it.
pub(crate) async fn post(
    State(mount): State<Mount>,
    request: Request,
) -> Result<Response, Failure> {
    let stored = store(&mount, Route::Blobs, request, None).await?;
    Ok(answer::stored(&mount.path, &stored))
}

/// `PUT` under the digest that the bytes must have.
pub(crate) async fn put(
    State(mount): State<Mount>,
    UploadName(digest): UploadName,
    request: Request,
) -> Result<Response, Failure> {
    let stored = store(&mount, Route::Blob, request, Some(&digest)).await?;
    Ok(answer::stored(&mount.path, &stored))
}

async fn find(mount: &Mount, name: &AnyDigest) -> Result<Option<Blob>, Failure> {
    let blobs = mount.app.store().blobs();
    let digest = match name {
        AnyDigest::Sha512(digest) => *digest,
        AnyDigest::Alias(alias) => match blobs.resolve(alias).await? {
            Resolved::One(digest) => digest,
            Resolved::Missing => return Ok(None),
            Resolved::Ambiguous => return Err(Failure::Ambiguous),
        },
    };
    Ok(blobs.get(&digest).await?)
}

/// Takes the body of a write into the store. Dropped on the way, it leaves nothing there.
async fn store(
    mount: &Mount,
    route: Route,
    request: Request,
    expected: Option<&Digest>,
) -> Result<Stored, Failure> {
    let method = request.method().clone();
    let mut body = WriteBody::accept(request, BLOB_MEDIA_TYPE, mount.app.blob_limit_bytes())?;
    let mut incoming = mount.app.store().blobs().incoming(body.announced_bytes())?;
    while let Some(bytes) = body.next().await? {
        incoming.write(bytes).await?;
    }
    let stored = incoming.commit(expected).await?;
    mount.app.metrics().received(&method, route, stored.size());
    Ok(stored)
}
