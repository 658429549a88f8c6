//! A source that lies, or does not come to an end: what is said about it, and that nothing of it is
//! published.

use std::future;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use shacache_core::digest::Digest;
use shacache_server::upstream::{Slow, Upstream, UpstreamError};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::*;
use crate::other_server::write;

/// One way to lie about a key or a blob.
struct Lie {
    name: &'static str,
    list: fn(&mut TcpStream),
    blob: fn(&mut TcpStream),
    /// What has to be said about it.
    codes: &'static [&'static str],
    says: &'static str,
}

fn endless(connection: &mut TcpStream, piece: &[u8]) {
    let mut goes_on = write(connection, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    while goes_on {
        goes_on = write(connection, piece);
    }
}

fn crawl(connection: &mut TcpStream) {
    trickle(connection, 5);
}

fn trickle(connection: &mut TcpStream, length: u64) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut goes_on = write(connection, head.as_bytes());
    while goes_on {
        // What is slow about it.
        thread::sleep(Duration::from_millis(700));
        goes_on = write(connection, b"s");
    }
}

fn redirect(connection: &mut TcpStream) {
    let address = connection.local_addr().expect("connected");
    let head = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{address}/shadir/key\r\nContent-Length: 0\r\n\r\n"
    );
    write(connection, head.as_bytes());
}

const LIES: &[Lie] = &[
    Lie {
        name: "other bytes",
        list: good_list,
        blob: |connection| send(connection, "200 OK", b"SMALL"),
        codes: &["blob-damaged", "unreadable"],
        says: "bytes with another digest",
    },
    Lie {
        name: "a page for a blob",
        list: good_list,
        blob: |connection| {
            let page =
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
            write(connection, page);
        },
        codes: &["blob-damaged", "unreadable"],
        says: "it sends HTML",
    },
    Lie {
        name: "fewer bytes than announced",
        list: good_list,
        blob: |connection| {
            write(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nsmall");
        },
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "a blob without end",
        list: good_list,
        blob: |connection| endless(connection, &[0; 65_536]),
        codes: &["unreadable", "unreadable"],
        says: "longer than 5000000 bytes",
    },
    Lie {
        name: "a blob of all the bytes there are",
        list: good_list,
        blob: |connection| trickle(connection, 1_000_000_000_000_000_000),
        codes: &["unreadable", "unreadable"],
        says: "longer than 5000000 bytes",
    },
    Lie {
        name: "a blob that trickles",
        list: good_list,
        blob: crawl,
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "a blob that fails",
        list: good_list,
        blob: |connection| send(connection, "500 Oh", b""),
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries: the server answered 500",
    },
    Lie {
        name: "a page for a list",
        list: |connection| send(connection, "200 OK", b"<html>"),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "not a JSON list",
    },
    Lie {
        name: "half a list",
        list: |connection| send(connection, "200 OK", b"[[\"{"),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "ends early",
    },
    Lie {
        name: "a list without end",
        list: |connection| endless(connection, &[b' '; 65_536]),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "lists more than 33554432 bytes",
    },
    Lie {
        name: "a list of what is none",
        list: |connection| send(connection, "200 OK", b"[7, [\"{}\", \"\"], [\"x\"], null]"),
        blob: good_blob,
        codes: &["entry-damaged", "entry-damaged", "entry-damaged", "entry-damaged"],
        says: "",
    },
    Lie {
        name: "a list that trickles",
        list: crawl,
        blob: good_blob,
        codes: &["unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "round and round",
        list: redirect,
        blob: good_blob,
        codes: &["unreadable"],
        says: "the server answered 302",
    },
];

#[test]
fn a_lie_is_told_and_nothing_of_it_is_published() {
    let served = Home::new();
    let _server = served.serve(&[]);
    let served_data = served.data();
    thread::scope(|scope| {
        for lie in LIES {
            for data in [None, Some(&served_data)] {
                scope.spawn(move || is_told(lie, data.map(PathBuf::as_path)));
            }
        }
    });
    for folder in ["archive/blobs", "archive/entries"] {
        assert_eq!(files(&served_data.join(folder)), Vec::<PathBuf>::new());
    }
}

/// In the data folder of a server, or in one that nobody has open.
fn is_told(lie: &Lie, served: Option<&Path>) {
    let (list, blob) = (lie.list, lie.blob);
    let source = OtherServer::start(move |path, connection| {
        if path.starts_with("/shadir/") { list(connection) } else { blob(connection) }
    });
    let home = Home::new();
    let data = home.data();
    let started = Instant::now();
    let options = soon_given_up(&source.url()).map(str::to_owned);
    let options = options.each_ref().map(String::as_str);
    let said = import_into(served.unwrap_or(&data), &home, &options, &["key"]);
    assert!(started.elapsed() < LIMIT, "{}: {:?}", lie.name, started.elapsed());
    assert_eq!(said.code, Some(4), "{}: {}", lie.name, said.errors);
    assert_eq!(said.codes(), lie.codes, "{}: {}", lie.name, said.details());
    assert!(said.details().contains(lie.says), "{}: {}", lie.name, said.details());
    assert_eq!(said.counts()[..2], [0, 0], "{}", lie.name);
    is_empty(&home);
}

/// Fast enough never to count as silent, and too slow to come to an end.
#[test]
fn what_takes_too_long_as_a_whole_is_given_up() {
    let source = OtherServer::start(|path, connection| {
        let mut goes_on = write(connection, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let piece = if path.starts_with("/shadir/") { [b' '; 8192] } else { [0; 8192] };
        while goes_on {
            // What is slow about it.
            thread::sleep(Duration::from_millis(100));
            goes_on = write(connection, &piece);
        }
    });
    let upstream = upstream(&source, Duration::from_millis(200), 1);
    let runtime = Runtime::new().expect("a runtime");
    let (list, blob) = runtime.block_on(async {
        let key = "key".parse().expect("a key");
        let list = upstream.listing(&key, 1 << 30);
        let both = async { tokio::join!(list, fetch(&upstream)) };
        timeout(LIMIT, both).await.expect("an end")
    });
    // Nothing but this was ever seen of that service.
    let Err(UpstreamError::Gone { source: list, .. }) = list else { panic!("{list:?}") };
    assert!(list.is::<Slow>(), "{list}");
    slow(blob);
}

/// A connection breaks, and everything begins anew, as slowly as can be: no new byte ever comes.
#[test]
fn a_blob_that_begins_anew_for_ever_is_given_up() {
    let source = OtherServer::start(|_, connection| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * AT_FIRST);
        let mut goes_on = write(connection, head.as_bytes());
        if BEGUN.swap(true, Ordering::SeqCst) {
            while goes_on {
                // What is slow about it.
                thread::sleep(Duration::from_millis(300));
                goes_on = write(connection, &[0; 4096]);
            }
        } else {
            write(connection, &[0; AT_FIRST]);
        }
    });
    let upstream = upstream(&source, Duration::from_millis(500), 2);
    let runtime = Runtime::new().expect("a runtime");
    let fetched = runtime.block_on(async { timeout(LIMIT, fetch(&upstream)).await });
    let waited = slow(fetched.expect("an end"));
    // Ten waits, and one for each 64 KiB that had come.
    assert!(waited < Duration::from_secs(11), "{waited:?}");
}

async fn fetch(upstream: &Upstream) -> Result<(), UpstreamError> {
    let blob = upstream.blob(&Digest::of(SMALL), 1 << 30).await.expect("an answer");
    blob.expect("a blob").pieces.try_for_each(|_| future::ready(Ok(()))).await
}

fn slow(fetched: Result<(), UpstreamError>) -> Duration {
    let Err(UpstreamError::Failed(error)) = fetched else { panic!("{fetched:?}") };
    error.downcast::<Slow>().expect("it was slow").waited
}

/// For what ends after two tries of a second each, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);
const AT_FIRST: usize = 256 << 10;
static BEGUN: AtomicBool = AtomicBool::new(false);
