//! The places that files come from before any cache has them: http, https and file URLs. Redirects
//! are followed here, and nothing of the cache's credentials is ever sent.

use std::fs::File;
use std::io::{self, Write};

use reqwest::{Url, redirect};
use tokio::task::spawn_blocking;

use crate::blob::Payload;
use crate::config::{ConfigError, Timeouts};
use crate::error::ClientError;
use crate::transport::{Answer, TransportError, shown};

/// Fetches what a URL points to; the bytes are kept in a temporary file.
///
/// # Errors
/// [`ClientError::Config`] for a URL of another kind, [`ClientError::NotFound`] when the origin does
/// not have it, [`ClientError::Transport`] and [`ClientError::Local`] when it cannot be fetched.
pub async fn fetch(url: &str) -> Result<Payload, ClientError> {
    let parsed = Url::parse(url).map_err(|source| ConfigError::Url { url: url.into(), source })?;
    match parsed.scheme() {
        "http" | "https" => fetch_http(&parsed).await,
        "file" => fetch_file(&parsed).await,
        _ => Err(ConfigError::Scheme { url: url.into() }.into()),
    }
}

async fn fetch_file(url: &Url) -> Result<Payload, ClientError> {
    let path = url.to_file_path().map_err(|()| ConfigError::Scheme { url: url.as_str().into() })?;
    let open = move || match File::open(&path).and_then(Payload::from_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ClientError::not_found(path.display().to_string()))
        }
        payload => payload
            .map_err(|error| ClientError::local(format!("cannot read {}", path.display()), error)),
    };
    blocking(open).await?
}

async fn fetch_http(url: &Url) -> Result<Payload, ClientError> {
    let Timeouts { connect, answer, stall, .. } = Timeouts::default();
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("shacache/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .connect_timeout(connect)
    };
    let http = match builder().build() {
        // A machine that believes no authority can still speak http; a redirect to https fails then.
        Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build(),
        http => http,
    }
    .map_err(|source| ConfigError::Tls { files: "this machine".into(), source })?;
    let limit = connect + answer;
    let response = tokio::time::timeout(limit, http.get(url.clone()).send())
        .await
        .map_err(|_| TransportError::NoAnswer { waited: limit }.at(url))?
        .map_err(|error| TransportError::Send(error.without_url()).at(url))?;
    let mut answer = match Answer::checked(response, stall).await {
        Ok(answer) => answer,
        Err(error) if error.is_not_found() => return Err(ClientError::not_found(shown(url))),
        Err(error) => return Err(error.at(url)),
    };
    let spool = |error| ClientError::local("cannot keep what was fetched", error);
    let mut file = tempfile::tempfile().map_err(spool)?;
    while let Some(piece) = answer.piece().await.map_err(|error| error.at(url))? {
        file = blocking(move || file.write_all(&piece).map(|()| file)).await?.map_err(spool)?;
    }
    blocking(move || Payload::from_file(file)).await?.map_err(spool)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    spawn_blocking(work)
        .await
        .map_err(|error| ClientError::local("a worker thread", io::Error::other(error)))
}

const MAX_REDIRECTS: usize = 10;
