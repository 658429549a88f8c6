//! Asks the server that holds a data folder to do something. Must not open the store.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use shacache_core::digest::Digest;
use shacache_store::import::Taken;
use shacache_store::verify::{Report, VerifyOptions};
use tokio::net::UnixStream;

use super::command::{Answer, Request as CommandRequest};
use super::import::{ImportAnswer, ImportCommand};
use super::token::{TokenAnswer, TokenCommand};
use super::{
    ADMINISTRATION, HEALTH, IMPORT, IMPORT_BLOB, REINDEX, SOCKET, ShortPath, TOKEN, VERIFY,
};

/// Has the server of `data` make its index anew; gives what it says to that.
///
/// # Errors
/// When no server answers, or it could not do it.
pub async fn reindex(data: &Path) -> Result<String, AskError> {
    let text = ask(data, Method::POST, REINDEX, Body::empty()).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Has the server of `data` check its archive.
///
/// # Errors
/// When no server answers, or it could not do it.
pub async fn verify(data: &Path, options: &VerifyOptions) -> Result<Report, AskError> {
    let options = serde_json::to_vec(options).map_err(AskError::Unreadable)?;
    let report = ask(data, Method::POST, VERIFY, Body::from(options)).await?;
    serde_json::from_slice(&report).map_err(AskError::Unreadable)
}

/// Asks the server of `data` whether it takes writes; gives its word for it.
///
/// # Errors
/// When no server answers, or it takes none.
pub async fn health(data: &Path) -> Result<String, AskError> {
    let text = ask(data, Method::GET, HEALTH, Body::empty()).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Has the server of `data` make, list or revoke tokens.
///
/// # Errors
/// When no server answers, or it could not do it.
pub async fn token(data: &Path, command: &TokenCommand) -> Result<TokenAnswer, AskError> {
    let command = serde_json::to_vec(command).map_err(AskError::Unreadable)?;
    let answer = ask(data, Method::POST, TOKEN, Body::from(command)).await?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

/// Has the server of `data` do what an operator asks for.
///
/// # Errors
/// When no server answers, or it could not do it.
pub async fn administration(data: &Path, request: &CommandRequest) -> Result<Answer, AskError> {
    let request = serde_json::to_vec(request).map_err(AskError::Unreadable)?;
    let answer = ask(data, Method::POST, ADMINISTRATION, Body::from(request)).await?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

/// Has the server of `data` take a file or entry of another archive.
///
/// # Errors
/// When no server answers, or it could not do it.
pub async fn import(data: &Path, command: &ImportCommand) -> Result<ImportAnswer, AskError> {
    let command = serde_json::to_vec(command).map_err(AskError::Unreadable)?;
    let answer = ask(data, Method::POST, IMPORT, Body::from(command)).await?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

/// Has the server of `data` take a blob of another archive, of so many `bytes` if that is known.
///
/// # Errors
/// When no server answers, it could not do it, or the body broke off.
pub async fn import_blob(
    data: &Path,
    digest: &Digest,
    bytes: Option<u64>,
    banned_there: bool,
    body: Body,
) -> Result<Taken, AskError> {
    let mut request =
        request(Method::POST, &format!("{IMPORT_BLOB}/{digest}/{banned_there}"), body);
    if let Some(bytes) = bytes {
        request.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    }
    let answer = send(data, request).await?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

async fn ask(data: &Path, method: Method, command: &str, body: Body) -> Result<Bytes, AskError> {
    send(data, request(method, command, body)).await
}

fn request(method: Method, command: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(command)
        .header(HOST, "shacached")
        .body(body)
        .expect("constant parts and digits make a request")
}

async fn send(data: &Path, request: Request<Body>) -> Result<Bytes, AskError> {
    let stream = connect(data)
        .await
        .map_err(|source| AskError::NoAnswer { path: data.join(SOCKET), source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong in it shows there too.
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK {
        return Err(AskError::Failed(String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(text)
}

/// Why a running server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Its socket cannot be reached.
    #[error("the server that has the data folder open does not answer at {}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It went away meanwhile.
    #[error("the server broke off")]
    BrokenOff(#[from] hyper::Error),
    /// It speaks differently; it may be of another version.
    #[error("the server is of another version")]
    Unreadable(#[source] serde_json::Error),
    /// It tried, and failed.
    #[error("the server says: {0}")]
    Failed(String),
}

async fn connect(data: &Path) -> io::Result<UnixStream> {
    let folder = ShortPath::to(data)?;
    UnixStream::connect(folder.join(SOCKET)).await
}
