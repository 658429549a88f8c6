//! The directory service: put entries, list the entries of a key. What is believed of them is the
//! matter of `selection.rs`.

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
    let url = service.download_url(&key.to_path())?;
    let nothing = || ClientError::not_found(format!("no entry under `{key}`"));
    let mut pauses = Pauses::new(service.retries);
    let body = loop {
        let body = match service.get(&url, HeaderMap::new()).await {
            Ok(answer) => answer.whole(MAX_LISTING_BYTES).await,
            Err(error) => Err(error),
        };
        match body {
            Ok(Some(body)) => break body,
            Ok(None) => {
                let what = format!("{url} lists more than {MAX_LISTING_BYTES} bytes");
                return Err(ClientError::corrupt(what));
            }
            Err(error) if error.is_not_found() => return Err(nothing()),
            Err(error) => pauses.after(error).await.map_err(|error| error.at(&url))?,
        }
    };
    let listing = Listing::read(&body, MAX_LISTING_BYTES)
        .map_err(|error| ClientError::corrupt(format!("{url}: {error}")))?;
    let mut entries = Vec::with_capacity(listing.len());
    for entry in listing.entries() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => tracing::warn!("an entry under `{key}` is skipped: {error}"),
        }
    }
    if entries.is_empty() {
        return Err(nothing());
    }
    Ok(entries)
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
