//! A server that answers byte by byte as a test wants it, lies and silences included.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use shacache_client::blocking::Client;
use shacache_client::config::{Config, Retries, Timeouts};

/// What a request looked like.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Counted from 0 over the life of the stub.
    pub(crate) number: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body, as far as Content-Length announced it.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn is(&self, method: &str) -> bool {
        self.head.starts_with(method)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The first byte that a Range header asks for, else 0.
    pub(crate) fn first_byte(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        let first = range.and_then(|range| range.strip_suffix('-'));
        first.map_or(0, |first| first.parse().unwrap())
    }
}

/// The server. Stops when dropped.
pub(crate) struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Stub {
    /// Starts a server; each connection is one request, which `answer` answers. The connection is
    /// closed when `answer` returns.
    pub(crate) fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stopped: Arc<AtomicBool> = Arc::default();
        let (seen, stop, answer) = (Arc::clone(&requests), Arc::clone(&stopped), Arc::new(answer));
        let accepting = thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (mut connection, seen, answer) =
                    (connection.unwrap(), Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some((head, body)) = read_request(&mut connection) else { return };
                    let request = {
                        let mut seen = seen.lock().unwrap();
                        let request = Request { number: seen.len(), head, body };
                        seen.push(request.clone());
                        request
                    };
                    answer(&request, &mut connection);
                });
            }
        });
        Self { address, requests, stopped, accepting: Some(accepting) }
    }

    /// A server that always sends these bytes.
    pub(crate) fn sending(answer: Vec<u8>) -> Self {
        Self::start(move |_, connection| {
            let _ = connection.write_all(&answer);
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How it can be reached, with limits that suit a test.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::for_server(&self.url()).unwrap();
        config.timeouts = Timeouts {
            connect: Duration::from_secs(5),
            answer: Duration::from_millis(400),
            stall: Duration::from_millis(400),
            upload_answer: Duration::from_millis(800),
        };
        config.retries =
            Retries { fruitless: 2, resumes: 500, first_pause: Duration::from_millis(1) };
        config
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.config()).unwrap()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// A complete answer with a Content-Length.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn read_request(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_length = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match connection.read(&mut buffer) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    };
    let mut body = bytes.split_off(head_length);
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    while body.len() < length.unwrap_or_default() {
        match connection.read(&mut buffer) {
            Ok(read) if read > 0 => body.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    Some((head, body))
}
