//! Uploads to servers that have the bytes already, refuse them, store others or go silent.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use shacache_client::blob::{Payload, Uploaded};
use shacache_client::{ClientError, TransportError};

use crate::stub::{Request, Stub, answer};

fn payload() -> Payload {
    Payload::from_bytes(vec![b'x'; 700_000].into())
}

/// Answers the probe with 404 and the upload with `uploaded`.
fn missing_then(uploaded: Vec<u8>) -> Stub {
    Stub::start(move |request, connection| {
        let _ = connection.write_all(&if request.is("GET") {
            answer("404 Not Found", "", b"")
        } else {
            uploaded.clone()
        });
    })
}

fn methods(stub: &Stub) -> Vec<String> {
    let method = |request: &Request| request.head.split(' ').next().unwrap().to_owned();
    stub.requests().iter().map(method).collect()
}

#[test]
fn missing_bytes_are_sent_once_and_whole() {
    let digest = payload().digest().to_string();
    let stub = missing_then(answer("201 Created", "", digest.as_bytes()));
    assert_eq!(stub.client().upload(&payload()).unwrap(), Uploaded::Sent);
    assert_eq!(methods(&stub), ["GET", "POST"]);
    let post = &stub.requests()[1];
    assert_eq!(post.body.len(), 700_000);
    assert_eq!(post.header("content-type"), Some("application/octet-stream"));
    assert!(post.head.starts_with("POST /shacache HTTP/1.1\r\n"), "{}", post.head);
}

#[test]
fn bytes_that_are_there_are_not_sent() {
    let body = vec![b'x'; 700_000];
    let stub = Stub::sending(answer("200 OK", "", &body));
    assert_eq!(stub.client().upload(&payload()).unwrap(), Uploaded::AlreadyThere);
    assert_eq!(methods(&stub), ["GET"]);
}

#[test]
fn a_damaged_copy_is_mended() {
    let digest = payload().digest().to_string();
    let stub = Stub::start(move |request, connection| {
        let _ = connection.write_all(&if request.is("GET") {
            answer("200 OK", "", b"short")
        } else {
            answer("201 Created", "", digest.as_bytes())
        });
    });
    assert_eq!(stub.client().upload(&payload()).unwrap(), Uploaded::Sent);
}

#[test]
fn a_page_for_everything_is_no_copy() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\nLog in";
    for probe in [page.to_vec(), answer("204 No Content", "", b"")] {
        let stub = Stub::sending(probe);
        let error = stub.client().upload(&payload()).unwrap_err();
        assert!(matches!(error, ClientError::Transport { .. }), "{error}");
        assert_eq!(methods(&stub), ["GET", "POST"]);
    }
}

#[test]
fn nothing_is_sent_as_nothing() {
    let empty = Payload::from_bytes(Vec::new().into());
    let digest = empty.digest().to_string();
    let stub = missing_then(answer("201 Created", "", digest.as_bytes()));
    assert_eq!(stub.client().upload(&empty).unwrap(), Uploaded::Sent);
    assert_eq!(stub.requests()[1].header("content-length"), Some("0"));
}

#[test]
fn an_answer_without_the_right_digest_is_an_error() {
    let other = "0".repeat(128);
    for (status, body) in [
        ("201 Created", "incorrect"),
        ("201 Created", ""),
        ("201 Created", other.as_str()),
        ("200 OK", &payload().digest().to_string()),
    ] {
        let stub = missing_then(answer(status, "", body.as_bytes()));
        let error = stub.client().upload(&payload()).unwrap_err();
        let ClientError::Transport { source: TransportError::Nonsense { .. }, .. } = error else {
            panic!("{status} {body:?}: {error}");
        };
    }
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let stub = missing_then(answer("403 Forbidden", "", b"not you\nat all"));
    let error = stub.client().upload(&payload()).unwrap_err();
    let ClientError::Transport { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the server answered 403 Forbidden: not you");
}

#[test]
fn a_passing_failure_is_tried_again_after_another_probe() {
    let digest = payload().digest().to_string();
    let stub = Stub::start(move |request, connection| {
        let _ = connection.write_all(&match (request.number, request.is("GET")) {
            (_, true) => answer("404 Not Found", "", b""),
            (1, _) => answer("503 Service Unavailable", "", b""),
            _ => answer("201 Created", "", digest.as_bytes()),
        });
    });
    assert_eq!(stub.client().upload(&payload()).unwrap(), Uploaded::Sent);
    assert_eq!(methods(&stub), ["GET", "POST", "GET", "POST"]);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let stub = Stub::start(move |request, connection| {
        if request.is("GET") {
            let _ = connection.write_all(&answer("404 Not Found", "", b""));
        } else {
            let _ = connection.read(&mut [0; 1]);
        }
    });
    let started = Instant::now();
    let error = stub.client().upload(&payload()).unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![1; 1_000_000]).unwrap();
    let payload = Payload::from_file(file.reopen().unwrap()).unwrap();
    file.as_file().set_len(10).unwrap();
    let stub = missing_then(answer("201 Created", "", b"x"));
    let error = stub.client().upload(&payload).unwrap_err();
    assert!(matches!(error, ClientError::Local { .. }), "{error}");
}
