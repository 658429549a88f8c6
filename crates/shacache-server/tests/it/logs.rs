//! What the server writes to standard error: one line for each event, nothing that a client chose
//! goes raw to a terminal, and clients that go away are nobody's error.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use crate::program::{Home, wait_until};
use crate::raw_http::{connect, exchange, request};

const JSON: [&str; 0] = [];

fn accesses(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line"));
    lines.filter(|line: &Value| line["target"] == "shacached::access").collect()
}

#[test]
fn each_request_is_one_line() {
    let home = Home::new();
    let server = home.serve(&JSON);
    let stored = request(server.address(), "POST", "/shacache", b"hello");
    let path = format!("/shacache/{}?token=secret", stored.text());
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: tester\r\nRequest-Id: r-1\r\n");
    exchange(server.address(), format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("ok");

    let log = server.stop();
    let accesses = accesses(&log);
    assert_eq!(accesses.len(), 2, "{log}");
    let get = &accesses[1];
    assert_eq!(get["client"], "127.0.0.1");
    assert_eq!(get["method"], "GET");
    assert_eq!(get["path"], format!("/shacache/{}", stored.text()));
    assert_eq!(get["status"], 200);
    assert_eq!(get["sent_bytes"], 5);
    assert_eq!(get["whole"], true);
    assert_eq!(get["user_agent"], "tester");
    assert_eq!(get["request_id"], "r-1");
    assert!(get["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{get}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_client_that_hangs_up_is_one_line_and_one_count() {
    let home = Home::new();
    let server = home.serve(&JSON);
    let address = server.address();
    let bytes = vec![7; 20_000_000];
    let digest = request(address, "POST", "/shacache", &bytes).text();

    // While its body is read, as soon as the body is sent, and in the middle of the answer.
    let mut early = connect(address).expect("a connection");
    write!(early, "POST /shacache HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel").expect("");
    drop(early);
    let mut late = connect(address).expect("a connection");
    write!(late, "PUT /shacache HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
        .expect("");
    late.write_all(&bytes).expect("sent");
    drop(late);
    let mut reader = connect(address).expect("a connection");
    write!(reader, "GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    reader.read_exact(&mut [0; 1000]).expect("the answer begins");
    drop(reader);

    wait_until("three more lines", || accesses(&server.log()).len() >= 4);
    let metrics = request(address, "GET", "/metrics", b"").text();
    let counted = |method: &str, route: &str| -> u64 {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",");
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("shacache_requests_total"));
        let lines = lines.filter(|line| line.starts_with(&labels));
        lines
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()))
            .map(Option::unwrap)
            .sum()
    };
    assert_eq!((counted("POST", "blobs"), counted("PUT", "blobs")), (2, 1), "{metrics}");
    assert_eq!(counted("GET", "blob"), 1, "{metrics}");

    let log = server.stop();
    let lines = |method: &str| -> Vec<Value> {
        let of = accesses(&log).into_iter().filter(|line| line["method"] == method);
        of.filter(|line| line["path"] != "/metrics").collect()
    };
    let (posts, puts, gets) = (lines("POST"), lines("PUT"), lines("GET"));
    assert_eq!((posts.len(), puts.len(), gets.len()), (2, 1, 1), "{log}");
    assert_eq!((&gets[0]["status"], &gets[0]["whole"]), (&200.into(), &false.into()), "{log}");
    // The handler may have been quicker than the end of the connection.
    for line in [&posts[1], &puts[0]] {
        let abandoned = line["status"] == 499 && line["message"] == "abandoned";
        let answered = line["message"] == "answered" && line["status"] != 499;
        assert!(abandoned || answered, "{line}");
    }
}

#[test]
fn nothing_from_a_client_controls_a_terminal() {
    // An escape that has to be encoded, then a raw right-to-left override and a C1 escape.
    let path = "/shadir/%1b[31m\u{202e}\u{9b}31m";
    for format in ["text", "json"] {
        let home = Home::new();
        let config = home.path().join("server.toml");
        std::fs::write(&config, format!("log.format = \"{format}\"")).expect("a file");
        let server = home.serve(&["--config", &config.display().to_string()]);
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: a\tb\"c\r\n");
        let request = format!("{head}Connection: close\r\n\r\n");
        exchange(server.address(), request.as_bytes()).expect("well-formed");
        let log = server.stop();
        assert!(log.contains("/shadir/%1b[31m%E2%80%AE%C2%9B31m"), "{log}");
        assert!(log.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{log:?}");
    }
}

#[test]
fn clients_that_go_away_are_no_error() {
    let home = Home::new();
    let server = home.serve(&JSON);
    let address = server.address();
    let bytes = vec![7; 8_000_000];
    let digest = request(address, "POST", "/shacache", &bytes).text();
    for _ in 0..5 {
        let mut probe = connect(address).expect("a connection");
        write!(probe, "GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        drop(probe);
        let mut upload = connect(address).expect("a connection");
        write!(upload, "POST /shacache HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello")
            .expect("sent");
        drop(upload);
        let mut entry = connect(address).expect("a connection");
        write!(entry, "PUT /shadir/key HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n[")
            .expect("");
        drop(entry);
    }
    wait_until("all uploads to be noticed", || {
        home.data().join("tmp").read_dir().expect("a folder").next().is_none()
    });
    let log = server.stop();
    let levels = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert!(levels.into_iter().all(|line| line["level"] == "INFO"), "{log}");
}
