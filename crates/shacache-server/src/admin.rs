//! Commands for a server that is running, over a Unix socket in its data folder that only its own
//! user may open. This half answers them; [`client`] asks. No other socket offers these routes.

use std::error::Error;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use shacache_store::error::Chain;
use shacache_store::{Health, Reindexed, Store};
use tokio::net::UnixListener;
use tokio::task::{JoinSet, spawn_blocking};

use self::command::Request;
use self::import::ImportCommand;
use self::token::TokenCommand;
use crate::app::App;

pub mod client;
pub mod command;
pub mod import;
pub mod token;

/// The socket of a data folder's server. Dropping it removes the file.
#[derive(Debug)]
pub struct AdminSocket {
    socket: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds the socket of the data folder that `_holder` has open: because of that hold, a socket
    /// found there is a leftover. To be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind(_holder: &Store, data: &Path) -> io::Result<Self> {
        let path = data.join(SOCKET);
        let private = data.join(PRIVATE);
        remove_leftover(&private)?;
        // Everyone whom the umask lets in may open a new socket. Nobody can reach it in this
        // folder before its permissions are set.
        DirBuilder::new().mode(0o700).create(&private)?;
        let bound = bind_privately(&private).and_then(|socket| {
            fs::rename(private.join(SOCKET), &path)?;
            UnixListener::from_std(socket)
        });
        fs::remove_dir_all(&private)?;
        Ok(Self { socket: bound?, path })
    }

    /// Answers commands until dropped.
    pub async fn serve(self, app: App) {
        let routes = Router::new()
            .route(REINDEX, post(reindex))
            .route(VERIFY, post(verify))
            .route(HEALTH, get(health))
            .route(TOKEN, post(token))
            .route(ADMINISTRATION, post(administration))
            .route(IMPORT, post(import))
            .route(&format!("{IMPORT_BLOB}/{{digest}}/{{banned_there}}"), post(import_blob))
            .layer(DefaultBodyLimit::max(COMMAND_BYTES))
            .with_state(app);
        let mut connections = JoinSet::new();
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let service = TowerToHyperService::new(routes.clone());
                    let connection =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // A client that goes away has its reasons.
                    connections.spawn(async { connection.await.ok() });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the admin socket stays behind");
        }
    }
}

/// What `reindex` prints, whoever did the work.
#[must_use]
pub fn report(found: &Reindexed) -> String {
    let Reindexed { blobs, bytes, damaged, entries, lost } = found;
    format!("indexed {blobs} blobs ({bytes} bytes) and {entries} entries\n")
        + &match damaged {
            0 => String::new(),
            damaged => format!("moved {damaged} damaged blobs to quarantine\n"),
        }
        + &match lost {
            0 => String::new(),
            lost => {
                format!("{lost} blobs are gone that the old index listed: the log names them\n")
            }
        }
}

/// Goes on when the client leaves: half an index is worse than one nobody waits for.
async fn reindex(State(app): State<App>) -> Result<String, Failed> {
    let found = tokio::spawn(async move { app.store().reindex().await }).await??;
    Ok(report(&found))
}

/// Ends after the part at hand when the client leaves: it is there to read the report.
async fn verify(State(app): State<App>, options: Bytes) -> Result<Vec<u8>, Failed> {
    let options = serde_json::from_slice(&options)?;
    let waiting = Arc::new(());
    let asked = Arc::downgrade(&waiting);
    let report = app.store().verify(options, move |_| asked.strong_count() > 0).await?;
    Ok(serde_json::to_vec(&report)?)
}

/// Whether writes are taken.
async fn health(State(app): State<App>) -> Result<&'static str, (StatusCode, &'static str)> {
    match app.store().health() {
        Health::Healthy => Ok("healthy\n"),
        Health::ReadOnly { .. } => Err((
            StatusCode::INTERNAL_SERVER_ERROR,
            "writes are refused until it is restarted; its log says why",
        )),
    }
}

/// Done to the end whether the client waits for it or not.
async fn token(State(app): State<App>, command: Bytes) -> Result<Vec<u8>, Failed> {
    let command: TokenCommand = serde_json::from_slice(&command)?;
    let done = spawn_blocking(move || command.run(app.access().tokens()));
    Ok(serde_json::to_vec(&done.await??)?)
}

/// Done to the end whether the client waits for it or not.
async fn administration(State(app): State<App>, request: Bytes) -> Result<Vec<u8>, Failed> {
    let Request { who, command } = serde_json::from_slice(&request)?;
    let answer = command.run(app.store().administration(), &who).await?;
    Ok(serde_json::to_vec(&answer)?)
}

/// Once begun it goes to its end.
async fn import(State(app): State<App>, command: Bytes) -> Result<Vec<u8>, Failed> {
    let command: ImportCommand = serde_json::from_slice(&command)?;
    let done = tokio::spawn(async move { command.run(app.store()).await });
    Ok(serde_json::to_vec(&done.await??)?)
}

/// Nothing is taken when the client leaves before the end.
async fn import_blob(
    State(app): State<App>,
    UrlPath((digest, banned_there)): UrlPath<(String, bool)>,
    body: Body,
) -> Result<Vec<u8>, Failed> {
    let taken = import::take_blob(app.store(), &digest, banned_there, body).await?;
    Ok(serde_json::to_vec(&taken)?)
}

/// What a command answers when it cannot do its work.
struct Failed(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, Chain(&*self.0).to_string()).into_response()
    }
}

fn bind_privately(private: &Path) -> io::Result<StdUnixListener> {
    let folder = ShortPath::to(private)?;
    let socket = StdUnixListener::bind(folder.join(SOCKET))?;
    fs::set_permissions(private.join(SOCKET), Permissions::from_mode(0o600))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn remove_leftover(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A way to a folder that fits in the 108 bytes of a socket's address (unix(7)), however long the
/// folder's own path is. Good as long as it lives.
struct ShortPath {
    folder: File,
}

impl ShortPath {
    fn to(folder: &Path) -> io::Result<Self> {
        Ok(Self { folder: File::open(folder)? })
    }

    fn join(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()))
    }
}

const SOCKET: &str = "admin.sock";
const PRIVATE: &str = "admin.new";
const REINDEX: &str = "/reindex";
const VERIFY: &str = "/verify";
const HEALTH: &str = "/health";
const TOKEN: &str = "/token";
const ADMINISTRATION: &str = "/administration";
const IMPORT: &str = "/import";
const IMPORT_BLOB: &str = "/import/blob";
/// A file of an archive as JSON text may be longer than the file.
const COMMAND_BYTES: usize = 64 << 20;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
