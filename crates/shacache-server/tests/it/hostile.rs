//! Requests that make no sense get an answer that is the client's fault, and harm nobody.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

use crate::raw_http::{exchange, request};
use crate::running::Running;

/// Targets near what the server serves, with any bytes in them that do not end the line.
fn targets() -> impl Strategy<Value = Vec<u8>> {
    let start = proptest::sample::select(vec!["/shacache/", "/shadir/", "/shacache", "/", ""]);
    let odd = proptest::sample::select(vec![
        "%00", "%2e%2e", "%252f", "..", "//", "\\", "%", "%zz", "?", "#", "%c0%af", "%FF", "*", "[",
    ]);
    let piece = odd.prop_map(|odd| odd.as_bytes().to_vec());
    let piece = proptest::prop_oneof![piece, vec(any::<u8>(), 0..8)];
    (start, vec(piece, 0..8)).prop_map(|(start, pieces)| {
        let mut target = [start.as_bytes(), &pieces.concat()].concat();
        target.retain(|byte| !b"\r\n".contains(byte));
        target
    })
}

#[test]
fn no_target_is_the_servers_fault() {
    let server = Running::start("");
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let methods = proptest::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]);
    let result = runner.run(&(methods, targets()), |(method, target)| {
        let head = b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        let request = [method.as_bytes(), b" ", &target, head].concat();
        let answer = exchange(server.address(), &request).expect("well-formed");
        let status = answer.expect("an answer").status;
        assert!(status < 500, "{status}");
        Ok(())
    });
    result.expect("no case fails");
    assert_eq!(request(server.address(), "GET", "/healthz", b"").status, 200);
    assert!(server.data().join("tmp").read_dir().expect("a folder").next().is_none());
}

#[test]
fn no_header_is_the_servers_fault() {
    let server = Running::start("");
    let stored = request(server.address(), "POST", "/shacache", b"hello");
    let names = proptest::sample::select(vec![
        "Range",
        "If-Range",
        "If-Match",
        "If-None-Match",
        "Accept",
        "Request-Id",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Encoding",
        "Content-Type",
        "Origin",
        "Expect",
        "Connection",
    ]);
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let methods = proptest::sample::select(vec!["GET", "PUT"]);
    let result = runner.run(&(methods, names, "[ -~]{0,24}"), |(method, name, value)| {
        let target = format!("{method} /shacache/{} HTTP/1.1\r\nHost: a\r\n", stored.text());
        let head = format!("{target}{name}: {value}\r\nConnection: close\r\n\r\n");
        // A body may be asked for that never comes: closing ends that.
        let stream = crate::raw_http::connect(server.address()).expect("a connection");
        use std::io::Write as _;
        (&stream).write_all(head.as_bytes()).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let answer = crate::raw_http::read_answer(&mut std::io::BufReader::new(stream), false);
        if let Some(answer) = answer.expect("well-formed") {
            assert!(answer.status < 500, "{}", answer.status);
        }
        Ok(())
    });
    result.expect("no case fails");
}

#[test]
fn an_upload_with_more_trailers_than_may_be_leaves_nothing() {
    let server = Running::start("[limit]\nheaders = 5\n");
    for (count, status) in [(5, 201), (6, 400)] {
        let head = "POST /shacache HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        let body = format!("Transfer-Encoding: chunked\r\n\r\n2\r\nh{count}\r\n0\r\n");
        let message = [head, &body, &"X: y\r\n".repeat(count), "\r\n"].concat();
        let answer = exchange(server.address(), message.as_bytes()).expect("well-formed");
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status, "{count}: {}", answer.text());
        let is_told = answer.text().starts_with("more trailer fields follow the body");
        assert_eq!(is_told, status == 400, "{}", answer.text());
    }
    let asked = format!("/shacache/{}", shacache_core::digest::Digest::of(b"h6"));
    assert_eq!(request(server.address(), "GET", &asked, b"").status, 404);
    assert!(server.data().join("tmp").read_dir().expect("a folder").next().is_none());
}
