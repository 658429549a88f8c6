//! The API for operators: one path for each command, below `/admin`, with its words as a JSON body.
//! Must not know what a command does.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use shacache_core::wire::CACHE_NEVER;

use super::call::Call;
use super::error::Failure;
use super::routes::{Handler, Place, Resource};
use super::write::WriteBody;
use crate::access::Right;
use crate::admin::command::{Command, Malformed};
use crate::metrics::Route;

/// All of it.
pub(super) fn resources() -> Vec<Resource> {
    vec![
        post(&["/admin/search"], "postSearch", "Entries that are asked for", search),
        post(&["/admin/keys"], "postKeys", "Keys that have entries", keys),
        post(&["/admin/blobs"], "postBlobs", "Blobs that are there", blobs),
        post(&["/admin/delete"], "postDelete", "Delete entries", delete),
        post(&["/admin/ban"], "postBan", "Ban a blob", ban),
        post(&["/admin/unban"], "postUnban", "End a ban", unban),
        post(&["/admin/collect"], "postCollect", "Collect what nothing needs", collect),
        post(&["/admin/hold"], "postHold", "Hold keys and blobs", hold),
        post(&["/admin/release"], "postRelease", "Let go of what is held", release),
        Resource::new(Place::Server, &["/admin/holds"], Route::Administration).get(
            Right::Administer,
            "getHolds",
            "What is held",
            &[200],
            holds,
        ),
    ]
}

fn post(
    paths: &'static [&'static str],
    name: &'static str,
    summary: &'static str,
    handler: impl Handler,
) -> Resource {
    let resource = Resource::new(Place::Server, paths, Route::Administration);
    resource.post(Right::Administer, name, summary, &[200], handler)
}

async fn search(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Search(words(&call, request).await?)).await
}

async fn keys(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Keys(words(&call, request).await?)).await
}

async fn blobs(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Blobs(words(&call, request).await?)).await
}

async fn delete(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Delete(words(&call, request).await?)).await
}

async fn ban(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Ban(words(&call, request).await?)).await
}

async fn unban(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Unban(words(&call, request).await?)).await
}

async fn collect(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Collect(words(&call, request).await?)).await
}

async fn hold(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Hold(words(&call, request).await?)).await
}

async fn release(call: Call, request: Request) -> Result<Response, Failure> {
    run(&call, Command::Release(words(&call, request).await?)).await
}

async fn holds(call: Call, _: Request) -> Result<Response, Failure> {
    run(&call, Command::Holds).await
}

/// The body of a command.
async fn words<T: DeserializeOwned>(call: &Call, request: Request) -> Result<T, Failure> {
    let body = WriteBody::accept(call, request, JSON, LIMIT_BYTES)?.whole().await?;
    Ok(serde_json::from_slice(&body).map_err(Malformed::from)?)
}

async fn run(call: &Call, command: Command) -> Result<Response, Failure> {
    // The right is granted to nobody without a name.
    let who = call.name().map(ToString::to_string).unwrap_or_default();
    let answer = command.run(call.app().store().administration(), &who).await?;
    let mut text = answer.to_json().map_err(Malformed::from)?.to_string();
    text.push('\n');
    Ok(([(CONTENT_TYPE, JSON), (CACHE_CONTROL, CACHE_NEVER)], text).into_response())
}

const JSON: &str = "application/json";
/// Some thousand holds at once.
const LIMIT_BYTES: u64 = 4 << 20;
