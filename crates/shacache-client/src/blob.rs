//! The blob service: put bytes, get bytes, always checked against their digest. Bytes that the
//! server has are never sent.

use std::time::Duration;

use futures_util::future::{Either, select};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Body, Method, Response, StatusCode, Url};
use shacache_core::digest::Digest;
use tokio::sync::watch;

pub use self::download::{Download, Prefix};
pub use self::payload::{Payload, Progress};

use crate::error::ClientError;
use crate::transport::{Answer, Pauses, Transport, TransportError};

mod download;
mod payload;

/// What an upload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The bytes were sent.
    Sent,
    /// The server had them already.
    AlreadyThere,
}

/// Sees to it that the server has `payload`.
pub(crate) async fn upload(
    service: &Transport,
    payload: &Payload,
) -> Result<Uploaded, ClientError> {
    let url = service.upload_url(None)?;
    let mut pauses = Pauses::new(service.retries);
    loop {
        if is_there(service, payload).await? {
            return Ok(Uploaded::AlreadyThere);
        }
        let error = match send(service, &url, payload).await {
            Ok(answer) => return confirm(answer, payload).await.map_err(|error| error.at(&url)),
            Err(error) => error,
        };
        payload.check_unchanged()?;
        pauses.after(error).await.map_err(|error| error.at(&url))?;
    }
}

/// Asks for the blob and hangs up: the one probe that every server in the field answers rightly.
/// A refusal of any kind means that the bytes have to be sent, whose own answer then tells why.
async fn is_there(service: &Transport, payload: &Payload) -> Result<bool, ClientError> {
    let path = payload.digest().to_string();
    let url = service.download_url(&path).or_else(|_| service.upload_url(Some(&path)))?;
    let mut pauses = Pauses::new(service.retries);
    loop {
        let error = match service.get(&url, HeaderMap::new()).await {
            Ok(answer) => return Ok(is_copy(&answer, payload)),
            Err(error) => error,
        };
        match error.status() {
            Some(status) if !error.is_transient() || status.is_server_error() => return Ok(false),
            _ => pauses.after(error).await.map_err(|error| error.at(&url))?,
        }
    }
}

/// Whether an answer looks like the bytes. One of another length is a damaged copy, which sending
/// the bytes again mends; a page is what proxies and log-in forms answer to anything.
fn is_copy(answer: &Answer, payload: &Payload) -> bool {
    let is_page = answer.content_type().is_some_and(|kind| kind.starts_with("text/html"));
    let fits = answer.content_length().is_none_or(|length| length == payload.len());
    answer.status() == StatusCode::OK && fits && !is_page
}

async fn send(service: &Transport, url: &Url, payload: &Payload) -> Result<Answer, TransportError> {
    let (sent, mut progress) = watch::channel(0);
    let body =
        if payload.is_empty() { Body::from("") } else { Body::wrap_stream(payload.pieces(sent)) };
    let request = service
        .upload_request(Method::POST, url)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, payload.len())
        .body(body);
    let watchdog = stalled(service, &mut progress, payload.len());
    let response: Response = match select(Box::pin(request.send()), Box::pin(watchdog)).await {
        Either::Left((response, _)) => {
            response.map_err(|error| TransportError::Send(error.without_url()))?
        }
        Either::Right((waited, _)) => return Err(TransportError::Stalled { waited }),
    };
    service.checked(response).await
}

/// Returns how long nothing moved, once that is too long.
async fn stalled(
    service: &Transport,
    progress: &mut watch::Receiver<u64>,
    length: u64,
) -> Duration {
    loop {
        let taken = *progress.borrow_and_update();
        let limit = match taken {
            0 => service.timeouts.connect + service.timeouts.stall,
            taken if taken == length => service.timeouts.upload_answer,
            _ => service.timeouts.stall,
        };
        // The channel closes with the body: from then on only the answer is awaited.
        match tokio::time::timeout(limit, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                tokio::time::sleep(service.timeouts.upload_answer).await;
                return service.timeouts.upload_answer;
            }
            Err(_) => return limit,
        }
    }
}

/// The answer to an upload is the digest of what the server stored.
async fn confirm(answer: Answer, payload: &Payload) -> Result<Uploaded, TransportError> {
    let status = answer.status();
    if status != StatusCode::CREATED {
        let what = format!("{status} to an upload, which is answered 201 Created");
        return Err(TransportError::Nonsense { what: what.into() });
    }
    let body = answer.whole(ANSWER_BYTES).await?.unwrap_or_default();
    if body.as_ref() == payload.digest().to_string().as_bytes() {
        return Ok(Uploaded::Sent);
    }
    let stored = std::str::from_utf8(&body).ok().and_then(|text| text.parse::<Digest>().ok());
    let what = match stored {
        Some(_) => "it stored other bytes than the ones sent; did the file change meanwhile?",
        None => "the digest of what it stored is missing",
    };
    Err(TransportError::Nonsense { what: what.into() })
}

const ANSWER_BYTES: usize = 64 * 1024;
