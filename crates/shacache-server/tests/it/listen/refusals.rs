//! A refused upload: the client gets to read why, and the server reads no more than it must.

use std::io::Write;
use std::time::Duration;

use super::*;

#[test]
fn a_client_that_sends_its_whole_body_first_reads_the_refusal() {
    let server = Server::start(limits());
    let mut client = server.connect();
    let body = vec![b'x'; 8 * 1024 * 1024];
    client.send(format!("POST /refuse HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (413, "too large"));
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();
    server.wait_for_open(0);
}

#[test]
fn so_does_one_that_sends_chunks() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    for _ in 0..64 {
        client.send(&chunk);
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    client.expect_closed();
}

#[test]
fn a_refusal_comes_before_the_body_has_to() {
    let (drain, drain_idle) = (20 * PATIENCE, 20 * PATIENCE);
    let server = Server::start(Limits { drain, drain_idle, ..limits() });
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();
}

#[test]
fn a_long_answer_to_an_unread_body_is_written_to_its_end() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /big/20000000 HTTP/1.1\r\nContent-Length: 1000\r\n\r\nsome");
    let answer = client.answer();
    assert_eq!(answer.body.len(), 20_000_000);
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();
}

#[test]
fn a_body_without_end_is_drained_up_to_a_size() {
    let server = Server::start(Limits { drain_bytes: 1024 * 1024, ..limits() });
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n");
    let mut sent = 0_usize;
    let chunk = vec![b'x'; 64 * 1024];
    while client.stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
        assert!(sent < 100 * 1024 * 1024, "the server reads on and on");
    }
    server.wait_for_open(0);
}

#[test]
fn a_body_that_trickles_is_drained_for_a_time() {
    let drain = Duration::from_millis(400);
    let server = Server::start(Limits { drain, ..limits() });
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
    takes(drain, || {
        assert_eq!(client.answer().status, 413);
        client.expect_closed();
        let patient = patiently();
        while patient() && server.counters.open() == 1 {
            let _ = client.stream.write_all(b"x");
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_client_that_stops_sending_is_not_waited_for() {
    let drain_idle = Duration::from_millis(300);
    let server = Server::start(Limits { drain_idle, drain: 20 * PATIENCE, ..limits() });
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 1000\r\n\r\nsome");
    takes(drain_idle, || {
        assert_eq!(client.answer().status, 413);
        server.wait_for_open(0);
    });
}

#[test]
fn a_refusal_sends_no_100() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("POST /refuse HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert!(answer.says_close(), "the client may or may not send its body: {}", answer.head);
    client.expect_closed();
}

#[test]
fn reading_the_body_sends_the_100() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("POST /read HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.answer().status, 100);
        client.send("hello");
        assert_eq!(client.answer().text(), "5");
    }
}

#[test]
fn a_refusal_without_a_body_leaves_the_connection_open() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("POST /refuse HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 413);
        assert!(!answer.says_close(), "{}", answer.head);
    }
}
