//! Stopping: what was begun is finished, within the grace.

use std::time::Duration;

use super::*;

#[test]
fn a_request_in_flight_is_answered_and_no_new_one_taken() {
    let mut server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\n");
    wait_until("the handler to run", || server.counters.requests() == 1);
    server.begin_shutdown();
    assert!(TcpStream::connect(server.address).is_err(), "no new connection is taken");
    server.release();
    let answer = client.answer();
    assert_eq!(answer.text(), "held");
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();
    assert_eq!(server.drained(), Drain::Complete);
}

#[test]
fn a_download_in_flight_is_finished() {
    let mut server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /big/50000000 HTTP/1.1\r\n\r\n");
    wait_until("the handler to run", || server.counters.requests() == 1);
    server.begin_shutdown();
    assert_eq!(client.answer().body.len(), 50_000_000);
    client.expect_closed();
    assert_eq!(server.drained(), Drain::Complete);
}

#[test]
fn an_upload_in_flight_is_finished() {
    let mut server = Server::start(limits());
    let mut client = server.connect();
    client.send("POST /read HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
    wait_until("the handler to run", || server.counters.requests() == 1);
    server.begin_shutdown();
    client.send(vec![b'x'; 1_000_000]);
    let answer = client.answer();
    assert_eq!(answer.text(), "1000000");
    assert!(answer.says_close(), "{}", answer.head);
    assert_eq!(server.drained(), Drain::Complete);
}

#[test]
fn a_head_half_sent_is_still_answered() {
    let mut server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /a HTTP/1.1\r\n\r\nGET /half<");
    assert_eq!(client.answer().status, 200);
    server.answers_a_good_client();
    server.begin_shutdown();
    client.send("key> HTTP/1.1\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.text(), "GET /half%3Ckey%3E\n");
    assert!(answer.says_close(), "{}", answer.head);
    assert_eq!(server.drained(), Drain::Complete);
}

#[test]
fn connections_without_a_request_are_closed_at_once() {
    let mut server = Server::start(limits());
    let mut silent = server.connect();
    let mut idle = server.connect();
    idle.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(idle.answer().status, 200);
    server.wait_for_open(2);
    server.begin_shutdown();
    assert_eq!(server.drained(), Drain::Complete);
    silent.expect_closed();
    idle.expect_closed();
}

#[test]
fn a_request_the_server_had_no_time_to_accept_is_answered() {
    let mut server = Server::start(limits());
    let mut busy = server.connect();
    busy.send("GET /block HTTP/1.1\r\n\r\n");
    wait_until("the handler to block the server", || server.counters.requests() == 1);
    let mut late = server.connect();
    late.send("GET /late HTTP/1.1\r\n\r\n");
    server.stop.take().expect("stopped once").send(()).expect("the server runs");
    assert_eq!(server.counters.accepted(), 1);
    server.release();
    assert_eq!(late.answer().text(), "GET /late\n");
    assert_eq!(busy.answer().status, 200);
    assert_eq!(server.drained(), Drain::Complete);
}

#[test]
fn what_outlasts_the_grace_is_cut_off_and_counted() {
    let shutdown_grace = Duration::from_millis(300);
    let mut server = Server::start(Limits { shutdown_grace, ..limits() });
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.send("GET /hold HTTP/1.1\r\n\r\n");
    }
    wait_until("the handlers to run", || server.counters.requests() == 2);
    server.begin_shutdown();
    takes(shutdown_grace, || {
        assert_eq!(server.drained(), Drain::Aborted { connections: 2 });
    });
    for client in &mut clients {
        client.expect_closed();
    }
    assert_eq!(server.counters.open(), 0);
}
