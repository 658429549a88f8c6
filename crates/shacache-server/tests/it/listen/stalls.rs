//! Clients that stop at any stage of a request are closed when that stage's limit has run out, and
//! cost the others nothing.

use std::io::{Read, Write};
use std::time::Duration;

use super::*;

const LIMIT: Duration = Duration::from_millis(400);

#[test]
fn a_silent_connection() {
    let server = Server::start(Limits { first_byte: LIMIT, ..limits() });
    let mut client = server.connect();
    takes(LIMIT, || {
        server.answers_a_good_client();
        client.expect_closed();
    });
    assert_eq!(server.counters.first_byte_timeouts(), 1);
    server.wait_for_open(0);
}

#[test]
fn half_a_request_line() {
    let server = Server::start(Limits { first_byte: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET /half");
    takes(LIMIT, || {
        server.answers_a_good_client();
        client.expect_closed();
    });
    assert_eq!(server.counters.first_byte_timeouts(), 1);
}

#[test]
fn empty_lines_for_ever() {
    let server = Server::start(Limits { first_byte: LIMIT, ..limits() });
    let mut client = server.connect();
    takes(LIMIT, || {
        // Fails once the server has closed the connection.
        let patient = patiently();
        while patient() && client.stream.write_all(b"\r\n").is_ok() {}
    });
    assert_eq!(server.counters.first_byte_timeouts(), 1);
}

#[test]
fn half_a_head() {
    let server = Server::start(Limits { header: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    takes(LIMIT, || {
        server.answers_a_good_client();
        client.expect_closed();
    });
    assert_eq!(server.counters.header_timeouts(), 1);
}

#[test]
fn a_head_that_grows_a_little_now_and_then() {
    let server = Server::start(Limits { header: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nX: ");
    client.stream.set_read_timeout(Some(LIMIT / 10)).expect("a timeout");
    takes(LIMIT, || {
        let patient = patiently();
        while patient()
            && client.stream.read(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
            && client.stream.write_all(b"x").is_ok()
        {}
    });
    assert_eq!(server.counters.header_timeouts(), 1);
}

#[test]
fn no_further_request() {
    let server = Server::start(Limits { idle: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    takes(LIMIT, || {
        server.answers_a_good_client();
        client.expect_closed();
    });
    assert_eq!(server.counters.idle_timeouts(), 1);
}

#[test]
fn half_a_further_head() {
    let server = Server::start(Limits { header: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    client.send("GET / HTTP/1.1\r\n");
    takes(LIMIT, || client.expect_closed());
    assert_eq!(server.counters.header_timeouts(), 1);
}

#[test]
fn half_a_body() {
    let body = MinimumFlow { stall: LIMIT, ..limits().body };
    // Nor is the client waited for any further.
    let (drain, drain_idle) = (20 * PATIENCE, 20 * PATIENCE);
    let server = Server::start(Limits { body, drain, drain_idle, ..limits() });
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
    takes(LIMIT, || {
        server.answers_a_good_client();
        let answer = client.answer();
        assert_eq!(answer.status, 408);
        assert!(answer.says_close(), "{}", answer.head);
        client.expect_closed();
    });
    server.wait_for_open(0);
    assert_eq!(server.counters.body_timeouts(), 1);
}

#[test]
fn a_body_that_trickles() {
    let body = MinimumFlow { window: LIMIT, window_bytes: 1024, ..limits().body };
    let server = Server::start(Limits { body, ..limits() });
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
    takes(LIMIT, || {
        let patient = patiently();
        while patient() && client.is_silent_for(LIMIT / 20) {
            client.send("x");
        }
        assert_eq!(client.answer().status, 408);
    });
    assert_eq!(server.counters.body_timeouts(), 1);
}

#[test]
fn a_chunked_body_that_stops() {
    let body = MinimumFlow { stall: LIMIT, ..limits().body };
    let server = Server::start(Limits { body, ..limits() });
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    takes(LIMIT, || assert_eq!(client.answer().status, 408));
}

#[test]
fn a_body_broken_off_is_no_timeout() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
    client.end_of_requests();
    server.wait_for_open(0);
    assert_eq!(server.counters.body_timeouts(), 0);
}

#[test]
fn a_reader_that_stops() {
    let response = MinimumFlow { stall: LIMIT, ..limits().response };
    let server = Server::start(Limits { response, ..limits() });
    let mut client = server.connect();
    client.send("GET /big/1000000000 HTTP/1.1\r\n\r\n");
    takes(LIMIT, || {
        server.answers_a_good_client();
        wait_until("the stall to be seen", || server.counters.response_timeouts() == 1);
    });
    server.wait_for_open(0);
}

#[test]
fn a_reader_that_takes_too_little() {
    let response = MinimumFlow { window: LIMIT, window_bytes: u64::MAX, ..limits().response };
    let server = Server::start(Limits { response, ..limits() });
    let mut client = server.connect();
    client.send("GET /big/100000000000 HTTP/1.1\r\n\r\n");
    takes(LIMIT, || {
        // Ends when the server closes the connection short of the answer's length.
        let mut chunk = [0; 1024];
        let patient = patiently();
        while patient() && client.stream.read(&mut chunk).is_ok_and(|bytes| bytes > 0) {}
    });
    assert_eq!(server.counters.response_timeouts(), 1);
}

#[test]
fn a_reader_that_was_slow_has_its_idle_time_from_the_end() {
    let server = Server::start(Limits { idle: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET /whole/20000000 HTTP/1.1\r\n\r\n");
    // The handler is done at once, and an idle client given up, before this one takes anything.
    for _ in 0..2 {
        let mut bystander = server.connect();
        bystander.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(bystander.answer().status, 200);
        bystander.expect_closed();
    }
    assert_eq!(client.answer().body.len(), 20_000_000);
    takes(LIMIT, || client.expect_closed());
}

#[test]
fn a_slow_handler_is_not_the_clients_fault() {
    let response = MinimumFlow { stall: LIMIT, ..limits().response };
    let server = Server::start(Limits {
        first_byte: LIMIT,
        header: LIMIT,
        idle: LIMIT,
        response,
        ..limits()
    });
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\n");
    // By the time a connection opened later is given up, every limit has passed.
    for _ in 0..2 {
        server.connect().expect_closed();
    }
    server.release();
    assert_eq!(client.answer().text(), "held");
}

#[test]
fn half_a_pipelined_head_leaves_the_answer_before_it_alone() {
    let server = Server::start(Limits { first_byte: LIMIT, header: LIMIT, ..limits() });
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\nGET /half HTTP/1.1\r\n");
    for _ in 0..2 {
        server.connect().expect_closed();
    }
    server.release();
    assert_eq!(client.answer().text(), "held");
    takes(LIMIT, || client.expect_closed());
    assert_eq!(server.counters.header_timeouts(), 1);
}

#[test]
fn a_hang_up_ends_the_handler() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\n");
    wait_until("the handler to run", || server.counters.requests() == 1);
    drop(client);
    server.wait_for_open(0);
}
