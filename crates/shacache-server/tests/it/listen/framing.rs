//! One request is one request, whatever its framing says: each odd message gets a 400 or exactly
//! the answers a careful reader of RFC 9112 expects, and never one more.

use std::time::Duration;

use super::*;

/// Sends `bytes`, then nothing; the statuses and bodies of all that comes back until the server
/// has had enough of waiting.
fn exchange(server: &Server, bytes: &[u8]) -> Vec<(u16, String)> {
    let mut client = server.connect();
    client.send(bytes);
    let answers = client.answers();
    answers.into_iter().map(|a| (a.status, String::from_utf8_lossy(&a.body).into())).collect()
}

fn impatient() -> Server {
    let limit = Duration::from_millis(200);
    let flow = MinimumFlow { stall: limit, ..limits().body };
    Server::start(Limits { header: limit, idle: limit, body: flow, ..limits() })
}

#[test]
fn ambiguous_heads_are_refused() {
    let server = impatient();
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Host: a\r\n folded\r\n",
        "Host: a\rX: b\r\n",
        "Host: a\0b\r\n",
        "No colon\r\n",
        ": no name\r\n",
    ] {
        let body = "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n";
        let request = format!("POST /a HTTP/1.1\r\n{fields}\r\n{body}");
        let answers = exchange(&server, request.as_bytes());
        assert_eq!(answers, [(400, MALFORMED.into())], "{fields:?}");
    }
    assert_eq!(server.counters.requests(), 0);
}

#[test]
fn http_1_0_has_no_chunks() {
    let server = impatient();
    let request = b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(exchange(&server, request), [(400, MALFORMED.into())]);
}

#[test]
fn the_same_length_twice_is_one_length() {
    let server = impatient();
    let request = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello\
        GET /b HTTP/1.1\r\n\r\n";
    assert_eq!(
        exchange(&server, request),
        [(200, "POST /a\nhello".into()), (200, "GET /b\n".into())]
    );
}

#[test]
fn chunks_win_over_a_length_and_end_the_connection() {
    let server = impatient();
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\nContent-Length: 7\r\n",
    ] {
        let request = format!(
            "POST /a HTTP/1.1\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        );
        let answers = exchange(&server, request.as_bytes());
        assert_eq!(answers, [(200, "POST /a\nhello".into())], "{fields:?}");
    }
}

#[test]
fn a_chunked_request_is_the_last_of_its_connection() {
    let server = impatient();
    let mut client = server.connect();
    client.send(
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         2;ext=\"<\"\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: x\r\n\r\nGET /b#c HTTP/1.1\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!(answer.text(), "POST /a\nhello");
    assert!(answer.says_close(), "{}", answer.head);
    client.expect_closed();
    assert_eq!(server.counters.requests(), 1);
}

#[test]
fn broken_chunks_are_at_most_one_refusal() {
    let server = impatient();
    for chunks in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello",
        "g\r\n",
        "\r\n",
    ] {
        let request = format!(
            "POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\
             GET /smuggled HTTP/1.1\r\n\r\n"
        );
        let answers = exchange(&server, request.as_bytes());
        assert!(answers.iter().all(|(status, _)| *status == 400), "{chunks:?}: {answers:?}");
        assert!(answers.len() <= 1, "{chunks:?}: {answers:?}");
    }
}

#[test]
fn bare_line_feeds_end_no_line() {
    let server = impatient();
    for head in [
        "GET /a HTTP/1.1\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nX: y\nContent-Length: 5\r\n\r\n",
        "GET /a HTTP/1.1\r\nX: \n\nGET /smuggled HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nX: y\r\n\n",
        "GET /a HTTP/1.1\n\n",
    ] {
        assert_eq!(exchange(&server, head.as_bytes()), [(400, MALFORMED.into())], "{head:?}");
    }
    assert_eq!(server.counters.requests(), 0);
}

#[test]
fn a_body_that_looks_like_a_request_is_a_body() {
    let server = impatient();
    let body = "GET /smuggled<#> HTTP/1.1\r\n\r\n";
    let request = format!(
        "GET /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}GET /b HTTP/1.1\r\n\r\n",
        body.len()
    );
    assert_eq!(
        exchange(&server, request.as_bytes()),
        [(200, format!("GET /a\n{body}")), (200, "GET /b\n".into())]
    );
}

#[test]
fn an_offer_to_upgrade_is_declined_by_answering() {
    let server = impatient();
    let request = b"GET /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\
        HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    assert_eq!(exchange(&server, request), [(200, "GET /a\n".into()), (200, "GET /b\n".into())]);
}

#[test]
fn too_much_head_is_431() {
    let server = impatient();
    let fields = |count: usize, size: usize| {
        let field = format!("X: {}\r\n", "y".repeat(size));
        format!("GET /a HTTP/1.1\r\n{}\r\n", field.repeat(count))
    };
    assert_eq!(exchange(&server, fields(64, 10).as_bytes()), [(200, "GET /a\n".into())]);
    assert_eq!(exchange(&server, fields(65, 10).as_bytes()), [(431, TOO_LARGE.into())]);
    assert_eq!(exchange(&server, fields(60, 500).as_bytes()), [(200, "GET /a\n".into())]);
    assert_eq!(exchange(&server, fields(64, 512).as_bytes()), [(431, TOO_LARGE.into())]);
    // A head that never ends is refused once it is too long, not when the client gives up.
    let endless = format!("GET /a HTTP/1.1\r\nX: {}", "y".repeat(200_000));
    assert_eq!(exchange(&server, endless.as_bytes()), [(431, TOO_LARGE.into())]);
}

#[test]
fn as_many_fields_are_taken_as_may_be() {
    for limit in [1, 99, 100, 101, 200] {
        let idle = Duration::from_millis(200);
        let server = Server::start(Limits { headers: limit, idle, ..limits() });
        for (count, status) in [(limit, 200), (limit + 1, 431)] {
            let head = format!("GET /a HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
            assert_eq!(exchange(&server, head.as_bytes())[0].0, status, "{count} of {limit}");
        }
    }
}

#[test]
fn too_many_fields_are_told_of_however_they_come() {
    let fields = "X: y\r\n".repeat(65);
    let server = Server::start(limits());
    let mut client = server.connect();
    format!("GET /a HTTP/1.1\r\n{fields}\r\n").bytes().for_each(|byte| client.send([byte]));
    assert_eq!(client.answers()[0].status, 431);
    // Whatever else is wrong with them.
    let server = impatient();
    let malformed = format!("GET /a b HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(exchange(&server, malformed.as_bytes()), [(431, TOO_LARGE.into())]);
}

#[test]
fn a_refused_head_behind_a_request_waits_for_its_answer() {
    let server = Server::start(limits());
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\n\r\nGET /a b HTTP/1.1\r\n\r\n");
    wait_until("the first to be asked", || server.counters.requests() == 1);
    server.release();
    let answers = client.answers();
    let answers: Vec<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(answers, [(200, "held"), (400, MALFORMED)]);
}

const MALFORMED: &str = "the request is not well-formed HTTP/1.1\n";

const TOO_LARGE: &str = "the request's headers are too long or too many\n";
