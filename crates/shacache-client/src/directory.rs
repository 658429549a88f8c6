//! The directory service: put entries, list the entries of a key. What is believed of them is the
//! matter of `selection.rs`.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use shacache_core::entry::{Listing, SignedEntry};
use shacache_core::key::Key;
use shacache_core::wire;
use tokio::time::timeout;

use crate::error::ClientError;
use crate::transport::{Answer, Pauses, Transport, TransportError};

/// Every entry under `key` that can be read, in the server's order; at least one.
pub(crate) async fn entries(
    service: &Transport,
    key: &Key,
) -> Result<Vec<SignedEntry>, ClientError> {
    let body = listing(service, key, MAX_LISTING_BYTES).await?;
    let listing = Listing::read(&body, MAX_LISTING_BYTES).map_err(|error| {
        match service.download_url(&key.to_path()) {
            Ok(url) => ClientError::corrupt(format!("{url}: {error}")),
            Err(error) => error.into(),
        }
    })?;
    let mut entries = Vec::with_capacity(listing.len());
    for entry in listing.entries() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => tracing::warn!("an entry under `{key}` is skipped: {error}"),
        }
    }
    if entries.is_empty() {
        return Err(nothing(key));
    }
    Ok(entries)
}

/// The list of `key` as the server sends it, unread.
pub(crate) async fn listing(
    service: &Transport,
    key: &Key,
    max_bytes: usize,
) -> Result<Bytes, ClientError> {
    let url = service.download_url(&key.to_path())?;
    let mut pauses = Pauses::new(service.retries);
    loop {
        let body = match service.get(&url, HeaderMap::new()).await {
            Ok(answer) => answer.whole(max_bytes).await,
            Err(error) => Err(error),
        };
        match body {
            Ok(Some(body)) => return Ok(body),
            Ok(None) => {
                let what = format!("{url} lists more than {max_bytes} bytes");
                return Err(ClientError::corrupt(what));
            }
            Err(error) if error.is_not_found() => return Err(nothing(key)),
            Err(error) => pauses.after(error).await.map_err(|error| error.at(&url))?,
        }
    }
}

/// Puts one entry under `key`.
pub(crate) async fn put(
    service: &Transport,
    key: &Key,
    entry: &SignedEntry,
) -> Result<(), ClientError> {
    let url = service.upload_url(Some(&key.to_path()))?;
    let limit = service.timeouts.connect + service.timeouts.upload_answer;
    let mut pauses = Pauses::new(service.retries);
    loop {
        let request = service
            .upload_request(Method::PUT, &url)
            .header(CONTENT_TYPE, wire::ENTRY_MEDIA_TYPE)
            .body(entry.body().to_owned());
        let answer = match timeout(limit, request.send()).await {
            Ok(Ok(response)) => service.checked(response).await.and_then(created),
            Ok(Err(error)) => Err(TransportError::Send(error.without_url())),
            Err(_) => Err(TransportError::NoAnswer { waited: limit }),
        };
        match answer {
            Ok(()) => return Ok(()),
            Err(error) => pauses.after(error).await.map_err(|error| error.at(&url))?,
        }
    }
}

fn nothing(key: &Key) -> ClientError {
    ClientError::not_found(format!("no entry under `{key}`"))
}

fn created(answer: Answer) -> Result<(), TransportError> {
    match answer.status() {
        StatusCode::CREATED => Ok(()),
        status => {
            let what = format!("{status} to an entry, which is answered 201 Created");
            Err(TransportError::Nonsense { what: what.into() })
        }
    }
}

/// Room for a thousand of the largest entries.
const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;
