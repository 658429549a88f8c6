//! The accept loop over real sockets: a small service behind `serve`, spoken to in raw bytes.
//!
//! [`Server`] runs it on a thread of its own with limits scaled down, [`Client`] is one connection.
//! Every wait has a deadline ([`PATIENCE`]); time only passes where a limit has to run out.

mod caps;
mod descriptors;
mod framing;
mod keep_alive;
mod raw_keys;
mod refusals;
mod shutdown;
mod stalls;
mod tls;
mod unix;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::service::TowerToHyperService;
use shacache_server::listen::{
    Address, BodyError, Counters, Drain, Limits, Listener, MinimumFlow, Peer, RequestBody, Tls,
    serve,
};
use tokio::sync::{oneshot, watch};
use tower::ServiceExt as _;
use tracing_subscriber::fmt::MakeWriter;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// By how much a limit may be exceeded on a busy machine.
const MARGIN: Duration = Duration::from_secs(2);

/// `serve` on a thread, stopped when dropped. Nothing a client does may be logged as a warning, so
/// a drop with warnings fails the test.
struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    hold: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drain>>,
    warnings: Warnings,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::start_on(&"127.0.0.1:0".parse().expect("an address"), limits)
    }

    fn start_on(address: &Address, limits: Limits) -> Self {
        Self::start_with(address, None, limits)
    }

    fn start_with(address: &Address, tls: Option<Tls>, limits: Limits) -> Self {
        let (hold, held) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let (bound, binding) = std::sync::mpsc::channel();
        let counters = Arc::<Counters>::default();
        let warnings = Warnings::default();
        let (address, sink, counted) = (address.clone(), warnings.clone(), Arc::clone(&counters));
        let thread = std::thread::spawn(move || {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::WARN)
                .with_writer(sink)
                .finish();
            let _log = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = match (address, tls) {
                    (Address::Tls(address), Some(tls)) => Listener::bind_tls(address, tls),
                    (address, _) => Listener::bind(&address),
                };
                let listener = listener.expect("a free address");
                bound.send(listener.local_addr().clone()).expect("the test waits");
                let stopped = async {
                    let _ = stopped.await;
                };
                let service =
                    router(held).map_request(|mut request: http::Request<RequestBody>| {
                        let peer = request.body().peer().clone();
                        request.extensions_mut().insert(peer);
                        request
                    });
                let service = TowerToHyperService::new(service);
                let serving = serve(vec![listener], service, limits, counted, stopped);
                tokio::spawn(serving).await.expect("no panic")
            })
        });
        let address = match binding.recv_timeout(PATIENCE).expect("a bound socket") {
            Address::Tcp(address) | Address::Tls(address) => address,
            Address::Unix(_) | Address::Systemd { .. } => ([0, 0, 0, 0], 0).into(),
        };
        let (stop, thread) = (Some(stop), Some(thread));
        Self { address, counters, hold, stop, thread, warnings }
    }

    fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client { stream, buffer: Vec::new() }
    }

    /// What a client that does nothing wrong gets, while others do.
    fn answers_a_good_client(&self) {
        let asked = Instant::now();
        let mut client = self.connect();
        client.send("GET /good HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        assert!(asked.elapsed() < MARGIN, "{:?}", asked.elapsed());
    }

    /// Lets every `/hold` request be answered.
    fn release(&self) {
        self.hold.send_replace(true);
    }

    /// Returns once the port is closed and every connection knows.
    fn begin_shutdown(&mut self) {
        let mut silent = self.connect();
        let stop = self.stop.take().expect("stopped once");
        stop.send(()).expect("the server runs");
        silent.expect_closed();
    }

    fn drained(&mut self) -> Drain {
        self.thread.take().expect("joined once").join().expect("no panic")
    }

    fn wait_for_open(&self, connections: u64) {
        wait_until(&format!("{connections} open connections"), || {
            self.counters.open() == connections
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        self.release();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            assert_eq!(self.warnings.text(), "", "clients cause no warnings");
        }
    }
}

/// True for as long as something that must end may take: for loops a broken server would not end.
fn patiently() -> impl Fn() -> bool {
    let deadline = Instant::now() + PATIENCE;
    move || Instant::now() < deadline
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let patient = patiently();
    while !condition() {
        assert!(patient(), "still waiting for {what}");
        std::thread::yield_now();
    }
}

/// Limits far from each other, so that a test sees which one ran out.
fn limits() -> Limits {
    let patient = MinimumFlow { stall: 20 * PATIENCE, window: 20 * PATIENCE, window_bytes: 0 };
    Limits {
        first_byte: 20 * PATIENCE,
        header: 20 * PATIENCE,
        idle: 20 * PATIENCE,
        body: patient,
        response: patient,
        shutdown_grace: PATIENCE,
        ..Limits::default()
    }
}

fn router(held: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/read", post(read))
        .route("/refuse", post(refuse))
        .route("/hold", get(hold))
        .route("/block", get(block))
        .route("/big/{bytes}", get(big))
        .route("/whole/{bytes}", get(whole))
        .route("/peer", get(peer))
        .route("/certificate", get(certificate))
        .fallback(echo)
        .with_state(held)
}

/// Answers with the request itself: its method, target and body.
async fn echo(request: Request) -> Response {
    let head = format!("{} {}\n", request.method(), request.uri());
    match request.into_body().collect().await {
        Ok(body) => [head.as_bytes(), &body.to_bytes()].concat().into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Answers with how many bytes came, or with why they did not.
async fn read(request: Request) -> Response {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => {
                let timeout = BodyError::within(&error).expect("our error").is_timeout();
                let status =
                    if timeout { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
                return status.into_response();
            }
        }
    }
    bytes.to_string().into_response()
}

async fn refuse() -> Response {
    (StatusCode::PAYLOAD_TOO_LARGE, "too large").into_response()
}

async fn hold(State(mut held): State<watch::Receiver<bool>>) -> Response {
    let _ = held.wait_for(|released| *released).await;
    "held".into_response()
}

/// Keeps the server's only thread to itself.
async fn block(State(held): State<watch::Receiver<bool>>) -> Response {
    while !*held.borrow() {
        std::thread::yield_now();
    }
    "blocked".into_response()
}

/// That many bytes, made as they are sent.
async fn big(Path(bytes): Path<usize>) -> Response {
    const CHUNK: usize = 64 * 1024;
    let chunks = stream::unfold(bytes, |left| async move {
        let next = left.min(CHUNK);
        (next > 0).then(|| (Ok::<_, io::Error>(Bytes::from(vec![b'x'; next])), left - next))
    });
    ([(http::header::CONTENT_LENGTH, bytes)], Body::from_stream(chunks)).into_response()
}

/// That many bytes, handed over in one piece.
async fn whole(Path(bytes): Path<usize>) -> Response {
    vec![b'x'; bytes].into_response()
}

async fn peer(Extension(peer): Extension<Peer>) -> String {
    format!("{:?} {} {}", peer.address(), peer.is_unix(), peer.listener())
}

/// Answers with the fingerprint of the client's key, if it has proven to hold one.
async fn certificate(Extension(peer): Extension<Peer>) -> String {
    peer.certificate().map_or_else(|| "none".to_owned(), |it| it.fingerprint().to_string())
}

/// One connection, with what was read of it and not used yet.
struct Client<S> {
    stream: S,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn says_close(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl<S: Read + Write> Client<S> {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes it");
    }

    fn answer(&mut self) -> Answer {
        self.next_answer().expect("an answer, not the end of the connection")
    }

    /// The next answer; nothing when the server closed the connection before it.
    fn next_answer(&mut self) -> Option<Answer> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("ASCII");
            }
            if !self.fill() {
                assert_eq!(self.buffer, b"", "half an answer");
                return None;
            }
        };
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let length = head.to_ascii_lowercase().split("\r\n").find_map(|line| {
            line.strip_prefix("content-length: ").map(|n| n.parse::<usize>().expect("a length"))
        });
        let length = if status == 100 { 0 } else { length.expect("a content-length") };
        while self.buffer.len() < length {
            assert!(self.fill(), "half a body");
        }
        Some(Answer { status, head, body: self.buffer.drain(..length).collect() })
    }

    /// All answers until the server closes the connection.
    fn answers(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.next_answer()).collect()
    }

    /// Waits for the server to close the connection, with nothing more to say.
    fn expect_closed(&mut self) {
        let more = self.next_answer();
        assert!(more.is_none(), "{more:?}");
    }

    /// Reads once; whether there was anything. A reset counts as an end.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(bytes) => {
                self.buffer.extend_from_slice(&chunk[..bytes]);
                bytes > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("waited for {PATIENCE:?}: {error}"),
        }
    }
}

impl Client<TcpStream> {
    /// Whether the server has neither sent anything nor closed within `time`.
    fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout");
        let mut byte = [0];
        let read = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn end_of_requests(&self) {
        self.stream.shutdown(Shutdown::Write).expect("open until now");
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Runs `wait` and checks that it took `limit`, give or take.
fn takes(limit: Duration, wait: impl FnOnce()) {
    let began = Instant::now();
    wait();
    let took = began.elapsed();
    assert!(took < limit + MARGIN, "{took:?} is much longer than {limit:?}");
    assert!(took > limit / 2, "{took:?} is much shorter than {limit:?}");
}

/// Collects the log of a server.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl Write for Warnings {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Warnings {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
