//! A server that answers byte by byte as a test wants it, lies and silences included, and remembers
//! what it was asked for.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::running::PATIENCE;

/// Stops when dropped.
pub(crate) struct OtherServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What a request looked like.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) head: String,
}

impl OtherServer {
    /// Each connection is one request, which `answer` answers; it is closed when that returns.
    pub(crate) fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let stopped: Arc<AtomicBool> = Arc::default();
        let (all, stop, answer) = (Arc::clone(&asked), Arc::clone(&stopped), Arc::new(answer));
        let accepting = thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let mut connection = connection.expect("a connection");
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                thread::spawn(move || {
                    connection.set_read_timeout(Some(PATIENCE)).expect("a socket");
                    connection.set_write_timeout(Some(PATIENCE)).expect("a socket");
                    let Some(asked) = read(&connection) else { return };
                    let path = asked.path.clone();
                    all.lock().expect("nobody panics with it").push(asked);
                    answer(&path, &mut connection);
                });
            }
        });
        Self { address, asked, stopped, accepting: Some(accepting) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// How often something below `prefix` was asked for.
    pub(crate) fn times(&self, prefix: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.starts_with(prefix)).count()
    }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("it does not panic");
        }
    }
}

/// A whole answer with its length.
pub(crate) fn send(connection: &mut TcpStream, status: &str, body: &[u8]) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    write(connection, head.as_bytes());
    write(connection, body);
}

/// Says whether somebody still reads.
pub(crate) fn write(connection: &mut TcpStream, bytes: &[u8]) -> bool {
    connection.write_all(bytes).is_ok()
}

fn read(connection: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Asked { path, head })
}
