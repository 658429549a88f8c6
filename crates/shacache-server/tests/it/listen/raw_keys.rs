//! Request lines as clients in the field send them, over the wire.

use std::time::Duration;

use super::*;

const RAW: &str = "/pypi-index-0a1b-foo>=1.0,<2`[x]~'#%zz\"{y}|\\^";
const SEEN: &str = "/pypi-index-0a1b-foo%3E=1.0,%3C2%60[x]~'%23%zz%22{y}|\\^";

#[test]
fn a_raw_key_reaches_the_service_whole() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send(format!("PUT {RAW} HTTP/1.1\r\nContent-Length: 2\r\n\r\n<#"));
    assert_eq!(client.answer().text(), format!("PUT {SEEN}\n<#"));
}

#[test]
fn a_later_raw_key_on_the_same_connection_too() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for number in 0..3 {
        client.send(format!("GET /{number}{RAW}?<#\" HTTP/1.1\r\n\r\n"));
        assert_eq!(client.answer().text(), format!("GET /{number}{SEEN}?%3C%23%22\n"));
    }
}

#[test]
fn a_request_cut_anywhere_is_the_same_request() {
    let server = Server::start(limits());
    let request = format!("\r\nPOST {RAW} HTTP/1.1\r\nContent-Length: 3\r\n\r\nb<y");
    let mut client = server.connect();
    for cut in 1..request.len() {
        let (before, after) = request.split_at(cut);
        client.send(before);
        // Not until the first part is read on its own can the cut matter; an answer to another
        // client shows that the server had its turn.
        server.answers_a_good_client();
        client.send(after);
        assert_eq!(client.answer().text(), format!("POST {SEEN}\nb<y"), "cut at {cut}");
    }
}

#[test]
fn a_line_of_the_longest_length_is_served_and_one_byte_more_is_414() {
    let server = Server::start(Limits { request_line_bytes: 100, ..limits() });
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "<".repeat(length - 16));
    let mut client = server.connect();
    client.send(line(100));
    assert_eq!(client.answer().text(), format!("GET /{}\n", "%3C".repeat(84)));

    client.send(line(101));
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (414, "the request line is too long\n"));
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();

    let mut client = server.connect();
    client.send(line(101));
    assert_eq!(client.answer().status, 414);
    client.expect_closed();
    assert_eq!(server.counters.lines_too_long(), 2);
}

#[test]
fn the_usual_limit_is_4_kib() {
    let server = Server::start(limits());
    for (length, status) in [(4096, 200), (4097, 414)] {
        let mut client = server.connect();
        client.send(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 16)));
        assert_eq!(client.answer().status, status, "{length} bytes");
    }
}

#[test]
fn a_line_without_end_is_414_and_the_client_gets_to_read_it() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send(vec![b'a'; 1_000_000]);
    assert_eq!(client.answer().status, 414);
    client.expect_closed();
}

#[test]
fn a_long_line_behind_a_request_waits_for_its_answer() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send(format!("GET /hold HTTP/1.1\r\n\r\nGET /{}", "a".repeat(10_000)));
    wait_until("the first to be asked", || server.counters.requests() == 1);
    assert!(client.is_silent_for(Duration::from_millis(50)));
    server.release();
    let answers = client.answers();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 414]);
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("\r\n\n\r\n\r\nGET /a HTTP/1.1\r\n\r\n");
        assert_eq!(client.answer().text(), "GET /a\n");
    }
}

#[test]
fn a_line_that_is_none_is_refused_at_once() {
    let server = Server::start(limits());
    let tls: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for line in [
        tls,
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /a\tb HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET a#b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\rX: y\r\n\r\n",
        b"\rGET / HTTP/1.1\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"G<T / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(line);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{}", line.escape_ascii());
        assert_eq!(answer.text(), "the request is not well-formed HTTP/1.1\n");
        assert!(answer.says_close(), "{}", answer.head);
        client.expect_closed();
    }
    assert_eq!(server.counters.requests(), 0);
}
