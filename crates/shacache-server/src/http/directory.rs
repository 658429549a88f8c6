//! The directory service: GET, HEAD, PUT and POST of a key. Each handler reads the request, asks
//! the store once and builds the answer. Must not know what makes an entry well-formed.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use shacache_core::entry::SignedEntry;
use shacache_core::wire::{CACHE_AFTER_ASKING, ENTRY_MEDIA_TYPE};
use shacache_store::directory::Listing;

use super::call::{Call, OpenRead};
use super::condition::Condition;
use super::error::Failure;
use super::write::WriteBody;
use super::{browser, narrowing, target};
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
    answer(request.headers(), &*listing.ok_or(Failure::NoEntry)?)
}

/// `GET` of all of them, if the list is in memory.
pub(crate) fn at_hand(read: OpenRead<'_>) -> Option<Response> {
    let key = target::key(read.uri(), read.path()).ok()?;
    let listing = read.app().store().directory().at_hand(&key)?;
    answer(read.headers(), &listing).ok()
}

fn answer(headers: &HeaderMap, listing: &Listing) -> Result<Response, Failure> {
    let condition = Condition::evaluate(headers, listing.tag().as_bytes())?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    *headers = LIST_HEADERS.clone();
    headers.insert(ETAG, entity_tag(listing.tag()));
    match condition {
        Condition::NotModified => {
            headers.remove(CONTENT_TYPE);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        Condition::Met => *response.body_mut() = Body::from(listing.json().clone()),
    }
    Ok(response)
}

/// What is said about every list; its tag is put in its place.
static LIST_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, HeaderValue::from_static(""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_AFTER_ASKING));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ENTRY_MEDIA_TYPE));
    browser::protect(&mut headers);
    headers
});

fn entity_tag(tag: &str) -> HeaderValue {
    let mut quoted = String::with_capacity(tag.len() + 2);
    quoted.push('"');
    quoted.push_str(tag);
    quoted.push('"');
    HeaderValue::try_from(quoted).expect("a listing's tag is made of hex digits")
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
