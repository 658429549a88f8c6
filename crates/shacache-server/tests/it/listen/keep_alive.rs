//! Connections that go on, and those that say they do not.

use super::*;

#[test]
fn an_answer_to_connection_close_says_so_and_the_server_closes() {
    let server = Server::start(limits());
    for close in ["close", "Close", "foo, close", "keep-alive, close"] {
        let mut client = server.connect();
        client.send(format!("GET /a HTTP/1.1\r\nConnection: {close}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.says_close(), "{close}: {}", answer.head);
        client.expect_closed();
    }
}

#[test]
fn an_upload_with_connection_close_is_answered_in_full() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("POST /up HTTP/1.1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nbytes");
    let answer = client.answer();
    assert!(answer.says_close(), "{}", answer.head);
    assert_eq!(answer.text(), "POST /up\nbytes");
    client.expect_closed();
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "GET /a\n"));
    assert!(answer.head.starts_with("HTTP/1.0 200 "), "{}", answer.head);
    client.expect_closed();
}

#[test]
fn http_1_0_may_ask_to_go_on() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.head.to_ascii_lowercase().contains("connection: keep-alive"));
    }
}

#[test]
fn a_connection_takes_one_request_after_another() {
    let server = Server::start(limits());
    let mut client = server.connect();
    for number in 0..50 {
        client.send(format!("POST /{number} HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"));
        let answer = client.answer();
        assert_eq!(answer.text(), format!("POST /{number}\nbody"));
        assert!(!answer.says_close());
    }
    assert_eq!((server.counters.accepted(), server.counters.requests()), (1, 50));
}

#[test]
fn a_hundred_requests_sent_at_once_are_answered_in_order() {
    let server = Server::start(limits());
    let mut client = server.connect();
    let requests: Vec<_> = (0..100)
        .map(|number| match number % 3 {
            0 => format!("GET /{number}<raw> HTTP/1.1\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /"),
            _ => format!("\r\nGET /{number} HTTP/1.1\r\nX: y\r\n\r\n"),
        })
        .collect();
    client.send(requests.concat());
    for number in 0..100 {
        let expected = match number % 3 {
            0 => format!("GET /{number}%3Craw%3E\n"),
            1 => format!("POST /{number}\nGET /"),
            _ => format!("GET /{number}\n"),
        };
        assert_eq!(client.answer().text(), expected);
    }
}

#[test]
fn pipelined_requests_wait_for_a_slow_answer() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\nGET /a#b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n");
    wait_until("the first to be asked", || server.counters.requests() == 1);
    server.release();
    assert_eq!(client.answer().text(), "held");
    assert_eq!(client.answer().text(), "GET /a%23b\n");
    assert_eq!(client.answer().text(), "GET /c\n");
}

#[test]
fn large_bodies_pass_unchanged_in_both_directions() {
    let server = Server::start(limits());
    let mut client = server.connect();
    let body: Vec<u8> = (0..3_000_017_u32).map(|i| i.wrapping_mul(i) as u8).collect();
    for _ in 0..2 {
        client.send(format!("POST /up HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert!(client.answer().body["POST /up\n".len()..] == body, "the body came back changed");
        client.send("GET /big/5000000 HTTP/1.1\r\n\r\n");
        assert_eq!(client.answer().body, vec![b'x'; 5_000_000]);
    }
}

#[test]
fn the_service_learns_who_is_there() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /peer HTTP/1.1\r\n\r\n");
    let own = client.stream.local_addr().expect("an address");
    assert_eq!(client.answer().text(), format!("{:?} false {}", Some(own), server.address));
}
