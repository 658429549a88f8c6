//! The directory service: GET, HEAD, PUT and POST of a key. Each handler reads the request, asks
//! the store once and builds the answer. Must not know what makes an entry well-formed.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use shacache_core::entry::SignedEntry;
use shacache_core::wire::{CACHE_AFTER_ASKING, ENTRY_MEDIA_TYPE};

use super::call::Call;
use super::condition::Condition;
use super::error::Failure;
use super::write::WriteBody;
use super::{narrowing, target};
use crate::access::Terms;
use crate::metrics::Route;

/// `GET` and `HEAD`: the entries of a key as one JSON list; all, or those that a query asks for.
pub(crate) async fn get(call: Call, request: Request) -> Result<Response, Failure> {
    let key = target::key(request.uri(), call.path())?;
    let directory = call.app().store().directory();
    let listing = match narrowing::wanted(request.uri().query())? {
        None => directory.get(&key).await?,
        Some(wanted) => Box::pin(directory.get_narrowed(&key, wanted)).await?,
    };
    let listing = listing.ok_or(Failure::NoEntry)?;
    let condition = Condition::evaluate(request.headers(), listing.tag())?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    let tag = HeaderValue::try_from(format!("\"{}\"", listing.tag()))
        .expect("a listing's tag is made of hex digits");
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_AFTER_ASKING));
    match condition {
        Condition::NotModified => *response.status_mut() = StatusCode::NOT_MODIFIED,
        Condition::Met => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(ENTRY_MEDIA_TYPE));
            *response.body_mut() = Body::from(listing.json().clone());
        }
    }
    Ok(response)
}

/// `PUT`, and `POST` as ERP5 documents it: one more entry under a key.
pub(crate) async fn put(call: Call, request: Request) -> Result<StatusCode, Failure> {
    let key = target::new_key(request.uri(), call.path())?;
    let method = request.method().clone();
    let body =
        WriteBody::accept(&call, request, ENTRY_MEDIA_TYPE, SignedEntry::MAX_BODY_BYTES as u64)?;
    let body = body.whole().await?;
    let mut entry = SignedEntry::from_body(&body)?;
    if call.terms() == Terms::Signed {
        entry = call.app().admit(entry)?;
    }
    call.app().store().directory().append(&key, entry).await?;
    call.app().metrics().received(&method, Route::Key, body.len() as u64);
    Ok(StatusCode::CREATED)
}

/// What an answer has in the end, those that every answer gets included.
const HEADERS: usize = 8;
