//! Downloads from servers that truncate, lie, stall and cut: the right bytes or a clear error, soon.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use shacache_client::blob::Prefix;
use shacache_client::{ClientError, TransportError};
use shacache_core::digest::Digest;

use crate::stub::{Request, Stub, answer};

/// Bytes without a pattern that a mistake could repeat.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}

/// What a download gives: everything, or what came before the error, and the error.
fn download(stub: &Stub, digest: &Digest) -> Result<Vec<u8>, (Vec<u8>, ClientError)> {
    let mut received = Vec::new();
    let mut reader = match stub.client().download(digest) {
        Ok(reader) => reader,
        Err(error) => return Err((received, error)),
    };
    match reader.read_to_end(&mut received) {
        Ok(_) => Ok(received),
        Err(error) => {
            let error = error.into_inner().unwrap().downcast::<ClientError>().unwrap();
            Err((received, *error))
        }
    }
}

fn failure(stub: &Stub, content: &[u8]) -> ClientError {
    let (received, error) = download(stub, &Digest::of(content)).expect_err("no right bytes");
    assert!(received.len() < content.len(), "as many bytes as the blob has were handed out");
    error
}

/// Serves `body` as a good server does, but at most `most` bytes on each connection.
fn serve_at_most(request: &Request, connection: &mut TcpStream, body: &[u8], most: usize) {
    let first = request.first_byte();
    let rest = &body[first..];
    let head = match request.header("range") {
        Some(_) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{}/{}\r\n",
            body.len() - 1,
            body.len()
        ),
        None => "HTTP/1.1 200 OK\r\n".into(),
    };
    let head = format!("{head}Accept-Ranges: bytes\r\nContent-Length: {}\r\n\r\n", rest.len());
    let _ = connection.write_all(head.as_bytes());
    let _ = connection.write_all(&rest[..rest.len().min(most)]);
}

#[test]
fn a_broken_connection_is_taken_up_by_range() {
    let body = content(300_000);
    let served = body.clone();
    let stub = Stub::start(move |request, connection| {
        serve_at_most(request, connection, &served, 100_000);
    });
    assert_eq!(download(&stub, &Digest::of(&body)).unwrap(), body);
    let firsts: Vec<_> = stub.requests().iter().map(Request::first_byte).collect();
    assert_eq!(firsts, [0, 100_000, 200_000]);
}

#[test]
fn two_hundred_random_cuts_give_the_right_file() {
    let body = content(2_000_000);
    let mut cuts = content(4 * 300);
    cuts[0] = 0;
    let served = body.clone();
    let stub = Stub::start(move |request, connection| {
        let at = 4 * (request.number % 300);
        let random = u32::from_le_bytes(cuts[at..at + 4].try_into().unwrap()) as usize;
        // Now and then the cut comes before the answer begins.
        if !random.is_multiple_of(17) {
            serve_at_most(request, connection, &served, random % 20_000);
        }
    });
    let mut config = stub.config();
    config.retries.fruitless = 20;
    let client = shacache_client::blocking::Client::new(&config).unwrap();
    let mut received = Vec::new();
    client.download(&Digest::of(&body)).unwrap().read_to_end(&mut received).unwrap();
    assert_eq!(Digest::of(&received), Digest::of(&body));
    assert!(stub.requests().len() > 200, "only {} connections", stub.requests().len());
}

#[test]
fn a_server_without_ranges_starts_over_and_is_compared() {
    let body = content(200_000);
    let served = body.clone();
    let stub = Stub::start(move |request, connection| {
        let most = if request.number < 2 { 90_000 } else { usize::MAX };
        let whole = answer("200 OK", "", &served);
        let _ = connection.write_all(&whole[..whole.len().min(most)]);
    });
    assert_eq!(download(&stub, &Digest::of(&body)).unwrap(), body);
}

#[test]
fn other_bytes_when_starting_over_are_noticed() {
    let body = content(200_000);
    let (first, mut second) = (body.clone(), body.clone());
    second[5] ^= 1;
    let stub = Stub::start(move |request, connection| {
        let whole = answer("200 OK", "", if request.number == 0 { &second } else { &first });
        let most = if request.number == 0 { 90_000 } else { usize::MAX };
        let _ = connection.write_all(&whole[..whole.len().min(most)]);
    });
    assert!(matches!(failure(&stub, &body), ClientError::Corrupt { .. }));
}

#[test]
fn parts_are_joined_only_where_they_belong() {
    let body = content(100_000);
    for wrong in [
        "Content-Range: bytes 0-99999/100000\r\n",
        "Content-Range: bytes 50000-99998/100000\r\n",
        "Content-Range: bytes 50000-99999/100001\r\n",
        "Content-Range: bytes 50001-99999/100000\r\n",
        "Content-Range: lines 50000-99999/100000\r\n",
        "",
    ] {
        let served = body.clone();
        let stub = Stub::start(move |request, connection| {
            let _ = match request.number {
                0 => {
                    let whole = answer("200 OK", "Accept-Ranges: bytes\r\n", &served);
                    let head = whole.len() - served.len();
                    connection.write_all(&whole[..head + 50_000])
                }
                _ => connection.write_all(&answer("206 Partial Content", wrong, &served[50_000..])),
            };
        });
        let error = failure(&stub, &body);
        let ClientError::Transport { source: TransportError::Nonsense { .. }, .. } = error else {
            panic!("{wrong:?}: {error}");
        };
    }
}

#[test]
fn wrong_bytes_are_never_handed_out_whole() {
    let body = content(500_000);
    let mut wrong = body.clone();
    wrong[499_999] ^= 1;
    let stub = Stub::sending(answer("200 OK", "Accept-Ranges: bytes\r\n", &wrong));
    assert!(matches!(failure(&stub, &body), ClientError::Corrupt { .. }));
    for other in [b"".as_slice(), &body[..499_999]] {
        let stub = Stub::sending(answer("200 OK", "", other));
        assert!(matches!(failure(&stub, &body), ClientError::Corrupt { .. }));
    }
    let mut longer = body.clone();
    longer.push(0);
    let stub = Stub::sending(answer("200 OK", "", &longer));
    let (_, error) = download(&stub, &Digest::of(&body)).expect_err("a byte too many");
    assert!(matches!(error, ClientError::Corrupt { .. }), "{error}");
}

#[test]
fn html_is_called_html() {
    let stub = Stub::sending(answer(
        "200 OK",
        "Content-Type: text/html; charset=utf-8\r\n",
        b"<html>Log in",
    ));
    let error = failure(&stub, &content(100)).to_string();
    assert!(error.contains("HTML"), "{error}");
}

#[test]
fn an_end_without_length_is_checked_too() {
    let body = content(100_000);
    let mut short = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    short.extend_from_slice(&body[..99_999]);
    let stub = Stub::sending(short);
    assert!(matches!(failure(&stub, &body), ClientError::Corrupt { .. }));
}

#[test]
fn a_server_that_always_breaks_off_is_given_up() {
    let body = content(1000);
    let stub = Stub::sending(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec());
    let error = failure(&stub, &body);
    let ClientError::Transport { source: TransportError::GaveUp { .. }, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn silence_ends_in_an_error() {
    let body = content(1000);
    for said in [
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome",
    ] {
        let stub = Stub::start(move |_, connection| {
            let _ = connection.write_all(said.as_bytes());
            // Keeps the connection open until the client hangs up.
            let _ = connection.read(&mut [0; 1]);
        });
        let mut config = stub.config();
        config.timeouts.connect = Duration::from_millis(200);
        let started = Instant::now();
        let client = shacache_client::blocking::Client::new(&config).unwrap();
        let outcome =
            client.download(&Digest::of(&body)).map_err(|error| error.to_string()).and_then(
                |mut reader| reader.read_to_end(&mut Vec::new()).map_err(|error| error.to_string()),
            );
        assert!(outcome.is_err(), "{said:?}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(6), "{said:?} took {took:?}");
    }
}

#[test]
fn a_trickle_is_not_waited_for() {
    let stub = Stub::start(|_, connection| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        let mut sent = connection.write_all(head);
        // Each byte comes in time, the last one would come after a minute.
        while sent.is_ok() {
            std::thread::sleep(Duration::from_millis(60));
            sent = connection.write_all(b"x");
        }
    });
    let started = Instant::now();
    let error = failure(&stub, &content(1000));
    let ClientError::Transport { source: TransportError::GaveUp { source, .. }, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(*source, TransportError::Crawled { .. }), "{source}");
    assert_eq!(stub.requests().len(), 3);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_reader_that_takes_its_time_is_no_slow_server() {
    let body = content(3_000_000);
    let stub = Stub::sending(answer("200 OK", "", &body));
    let mut reader = stub.client().download(&Digest::of(&body)).unwrap();
    let mut received = Vec::new();
    let mut buffer = vec![0; 500_000];
    loop {
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        received.extend_from_slice(&buffer[..read]);
        // Longer than the server may be silent.
        std::thread::sleep(
            Duration::from_millis(450).min(Duration::from_millis(read as u64 / 100)),
        );
    }
    assert!(received == body);
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn redirects_are_not_followed() {
    let stub = Stub::start(|request, connection| {
        let host = request.header("host").unwrap();
        let there = format!("Location: http://{host}/elsewhere\r\n");
        let _ = connection.write_all(&answer("302 Found", &there, b""));
    });
    let error = failure(&stub, &content(10));
    let ClientError::Transport { source: TransportError::Status { status, .. }, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(status.as_u16(), 302);
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn a_content_encoding_is_refused() {
    let stub = Stub::sending(answer("200 OK", "Content-Encoding: gzip\r\n", b"x"));
    assert!(matches!(failure(&stub, &content(10)), ClientError::Transport { .. }));
    assert_eq!(stub.requests()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_miss_is_not_found_and_asked_once() {
    let stub = Stub::sending(answer("404 Not Found", "", b""));
    assert!(matches!(failure(&stub, &content(10)), ClientError::NotFound { .. }));
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn a_busy_server_is_asked_again() {
    let body = content(10);
    let served = body.clone();
    let stub = Stub::start(move |request, connection| {
        let _ = connection.write_all(&match request.number {
            0 => answer("503 Service Unavailable", "Retry-After: 0\r\n", b""),
            _ => answer("200 OK", "", &served),
        });
    });
    assert_eq!(download(&stub, &Digest::of(&body)).unwrap(), body);
}

#[test]
fn what_is_there_already_is_not_asked_for() {
    let body = content(100_000);
    let served = body.clone();
    let stub = Stub::start(move |request, connection| {
        if request.first_byte() < served.len() {
            serve_at_most(request, connection, &served, usize::MAX);
        } else {
            let _ = connection.write_all(&answer("416 Range Not Satisfiable", "", b""));
        }
    });
    for (had, right) in [(60_000, true), (100_000, true), (60_000, false), (100_000, false)] {
        let mut prefix = Prefix::default();
        let mut bytes = body[..had].to_vec();
        bytes[0] ^= u8::from(!right);
        prefix.update(&bytes);
        let mut rest = Vec::new();
        let outcome = stub
            .client()
            .resume(&Digest::of(&body), prefix)
            .is_ok_and(|mut reader| reader.read_to_end(&mut rest).is_ok());
        assert_eq!(outcome, right);
        if right {
            assert_eq!(rest, &body[had..]);
        }
    }
}

#[test]
fn credentials_go_to_the_server_and_into_no_message() {
    let stub = Stub::sending(answer("403 Forbidden", "Content-Type: text/plain\r\n", b"no\nmore"));
    let url = stub.url().replace("http://", "http://me:s%40cret@");
    let config = shacache_client::config::Config {
        timeouts: stub.config().timeouts,
        ..shacache_client::config::Config::for_server(&url).unwrap()
    };
    let client = shacache_client::blocking::Client::new(&config).unwrap();
    let error = client.download(&Digest::of(b"")).err().unwrap();
    // As `printf me:s@cret | base64` says.
    assert_eq!(stub.requests()[0].header("authorization"), Some("Basic bWU6c0BjcmV0"));
    let text = format!("{error} {error:?} {config:?} {client:?}");
    assert!(!text.contains("cret") && !text.contains("bWU6"), "{text}");
    let ClientError::Transport { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the server answered 403 Forbidden: no");
}
