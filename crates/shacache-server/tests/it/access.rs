//! Credentials over real connections: what the program makes, accepts, refuses and keeps to itself.

use std::io::{BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use data_encoding::BASE64;

use crate::program::{Home, Program};
use crate::raw_http::{Answer, connect, exchange, read_answer, request};

const CREDENTIALS: &str = "SHACACHED_UPLOAD__POLICY";

fn token(home: &Home, arguments: &[&str]) -> Result<String, String> {
    let data = home.data().display().to_string();
    let output = home.run(&[&["token"], arguments, &["--data", &data]].concat());
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()),
        _ => Err(String::from_utf8(output.stderr).expect("UTF-8")),
    }
}

fn new_token(home: &Home, name: &str, more: &[&str]) -> String {
    token(home, &[&["new", name, "--role", "upload", "--role", "put"], more].concat())
        .expect("a token is made")
}

fn set_password(home: &Home, name: &str, password: &str) -> Option<i32> {
    let mut command = home.shacached(&["token", "new", name, "--role", "upload", "--password"]);
    command.arg("--data").arg(home.data()).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("the program starts");
    let mut input = process.stdin.take().expect("it was asked for");
    input.write_all(password.as_bytes()).expect("it reads");
    drop(input);
    process.wait().expect("a child").code()
}

fn serve(home: &Home) -> Program {
    home.serve_with(&[(CREDENTIALS, "credentials")])
}

fn upload(server: &Program, target: &str, header: &str) -> Answer {
    let address = server.address();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\
         Content-Length: 5\r\n\r\nhello"
    );
    exchange(address, head.as_bytes()).expect("well-formed").expect("an answer")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(name: &str, password: &str) -> String {
    let pair = BASE64.encode(format!("{name}:{password}").as_bytes());
    format!("Authorization: Basic {pair}\r\n")
}

#[test]
fn a_token_made_beside_a_server_counts_at_once_until_it_is_revoked() {
    let home = Home::new();
    let server = serve(&home);
    assert_eq!(upload(&server, "/shacache", "").status, 403, "nobody can have credentials yet");
    let secret = new_token(&home, "builder", &[]);
    assert_eq!(upload(&server, "/shacache", &bearer(&secret)).status, 201);
    let refused = upload(&server, "/shacache", "");
    assert_eq!(refused.status, 401);
    assert!(refused.header("WWW-Authenticate").expect("a challenge").starts_with("Basic "));
    assert_eq!(refused.text(), "this needs credentials\n");

    let list = token(&home, &["list"]).expect("a list");
    assert!(list.contains("  builder  token  upload,put  keys *  made 20"), "{list}");
    assert!(!list.contains(secret.rsplit('_').next().expect("a secret")), "{list}");
    token(&home, &["revoke", "builder"]).expect("it is there");
    assert_eq!(upload(&server, "/shacache", &bearer(&secret)).status, 401);
    let error = token(&home, &["revoke", "builder"]).expect_err("it is revoked");
    assert!(error.contains("nothing that counts has the id or the name \"builder\""), "{error}");
}

#[test]
fn tokens_and_passwords_made_without_a_server_are_there_when_it_starts() {
    let home = Home::new();
    let secret = new_token(&home, "builder", &["--key", "a*", "--expires-days", "1"]);
    assert_eq!(set_password(&home, "alice", "twelve chars\n"), Some(0));
    assert_eq!(set_password(&home, "alice", "twelve chars\n"), Some(1), "she has one");
    assert_eq!(set_password(&home, "bob", "short\n"), Some(1));
    let server = serve(&home);
    for header in [
        bearer(&secret),
        basic("builder", &secret),
        basic("alice", "twelve chars"),
        basic("alice", "twelve chars"),
    ] {
        assert_eq!(upload(&server, "/shacache", &header).status, 201);
    }
    assert_eq!(upload(&server, "/shacache", &basic("alice", "twelve charS")).status, 401);
}

#[test]
fn after_ten_wrong_passwords_further_ones_wait_and_the_right_one_does_not() {
    let home = Home::new();
    assert_eq!(set_password(&home, "alice", "twelve chars\n"), Some(0));
    let server = serve(&home);
    assert_eq!(upload(&server, "/shacache", &basic("alice", "twelve chars")).status, 201);
    for number in 0..10 {
        let wrong = basic("alice", &format!("wrong {number}"));
        assert_eq!(upload(&server, "/shacache", &wrong).status, 401);
    }
    let late = upload(&server, "/shacache", &basic("alice", "wrong again"));
    assert_eq!(late.status, 429);
    let wait: u64 = late.header("Retry-After").expect("it").parse().expect("seconds");
    assert!((1..=7).contains(&wait), "{wait}");
    // Loopback speaks for many: by name they are told apart.
    assert_eq!(upload(&server, "/shacache", &basic("bob", "wrong again")).status, 401);
    assert_eq!(upload(&server, "/shacache", &basic("alice", "twelve chars")).status, 201);
}

#[test]
fn a_right_token_does_not_wait_for_those_who_guess() {
    let home = Home::new();
    let secret = new_token(&home, "builder", &["--query"]);
    let server = serve(&home);
    let wrong = format!("{}{}", &secret[..secret.len() - 8], "00000000");
    for header in [basic("builder", &wrong), bearer(&wrong)] {
        for _ in 0..10 {
            assert_eq!(upload(&server, "/shacache", &header).status, 401);
        }
        assert_eq!(upload(&server, "/shacache", &header).status, 429);
    }
    for header in [basic("builder", &secret), bearer(&secret)] {
        assert_eq!(upload(&server, "/shacache", &header).status, 201);
    }
    assert_eq!(upload(&server, &format!("/shacache?token={secret}"), "").status, 201);
    // What is right and does not count is a try as any other.
    token(&home, &["revoke", "builder"]).expect("it is there");
    assert_eq!(upload(&server, "/shacache", &bearer(&secret)).status, 429);
}

#[test]
fn no_secret_is_logged() {
    let home = Home::new();
    let secret = new_token(&home, "builder", &["--query"]);
    assert_eq!(set_password(&home, "alice", "twelve chars\n"), Some(0));
    let server =
        home.serve_with(&[(CREDENTIALS, "credentials"), ("SHACACHED_LOG__LEVEL", "trace")]);
    let with_query = format!("/shacache?token={secret}");
    let referred = format!("Referer: http://a/?token={secret}\r\n");
    assert_eq!(upload(&server, &with_query, &referred).status, 201);
    assert_eq!(upload(&server, "/shacache", &basic("alice", "twelve chars")).status, 201);
    let malformed = format!("/shacache?token={secret}0");
    assert_eq!(upload(&server, &malformed, "").status, 401);
    assert_eq!(upload(&server, &format!("/nowhere?token={secret}"), "").status, 404);
    let line = format!("GET /shacache/%zz <?token={secret} HTTP/1.1\r\n\r\n");
    let _refused = exchange(server.address(), line.as_bytes());
    let log = server.stop();
    assert!(log.contains("builder") && log.contains("alice"), "it names them: {log}");
    for hidden in [&secret[22..], "twelve chars", &BASE64.encode(b"alice:twelve chars")] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
    }
}

#[test]
fn a_query_that_is_a_token_is_not_a_part_of_the_key() {
    let home = Home::new();
    let secret = new_token(&home, "builder", &["--query"]);
    let server = serve(&home);
    let entry = format!("[\"{{\\\"sha512\\\": \\\"{}\\\"}}\", \"\"]", "0".repeat(128));
    let target = format!("/shadir/key?token={secret}");
    assert_eq!(request(server.address(), "PUT", &target, entry.as_bytes()).status, 201);
    let target = format!("/shadir/key?a&token={secret}");
    assert_eq!(request(server.address(), "PUT", &target, entry.as_bytes()).status, 400);
    assert_eq!(request(server.address(), "GET", "/shadir/key", b"").status, 200);
}

#[test]
fn who_is_refused_never_sends_the_body() {
    let home = Home::new();
    let _token = new_token(&home, "builder", &[]);
    let server = serve(&home);
    for (header, status) in [("", 401), ("Authorization: Bearer x\r\n", 401)] {
        let mut stream = connect(server.address()).expect("a connection");
        let head = format!(
            "PUT /shadir/key HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\
             Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer, then the end");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "no 100 before it: {text}");
    }
}

#[test]
fn who_sends_the_body_unasked_still_reads_why() {
    let home = Home::new();
    let _token = new_token(&home, "builder", &[]);
    let server = serve(&home);
    let mut stream = connect(server.address()).expect("a connection");
    let size = 8 << 20;
    let head = format!("POST /shacache HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
    let mut writer = stream.try_clone().expect("a clone");
    stream.write_all(head.as_bytes()).expect("sent");
    let sending = thread::spawn(move || writer.write_all(&vec![0; size]));
    let answer = read_answer(&mut BufReader::new(stream), false).expect("well-formed");
    assert_eq!(answer.expect("an answer").status, 401);
    // The server drains some of it and may end before the rest.
    let _sent = sending.join().expect("no panic");
}

#[test]
fn a_server_that_others_reach_is_read_only_by_default_and_says_so() {
    let home = Home::new();
    let mut server = home.serve_with(&[("SHACACHED_LISTEN", "127.0.0.1:0")]);
    assert_eq!(upload(&server, "/shacache", "").status, 201, "nobody else reaches this one");
    server.signal("TERM");
    assert!(!server.output().contains("read-only"));
    drop(server);

    let mut server = home.serve(&["--listen", "0.0.0.0:0"]);
    let refused = upload(&server, "/shacache", "");
    assert_eq!((refused.status, refused.text().as_str()), (403, "this server is read-only\n"));
    server.signal("TERM");
    let output = server.output();
    let lines = output.lines().filter(|line| line.starts_with("read-only: ")).count();
    assert_eq!(lines, 1, "{output}");
    assert_eq!(server.log().matches("read-only").count(), 1);
}

#[test]
fn what_only_some_may_read_stays_out_of_shared_caches() {
    let home = Home::new();
    let secret = token(&home, &["new", "reader", "--role", "read", "--role", "upload"]);
    let header = bearer(&secret.expect("a token"));
    let server = home
        .serve_with(&[(CREDENTIALS, "credentials"), ("SHACACHED_DOWNLOAD__POLICY", "credentials")]);
    let digest = upload(&server, "/shacache", &header).text();
    let get = |header: &str| {
        let head = format!(
            "GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n"
        );
        exchange(server.address(), head.as_bytes()).expect("well-formed").expect("an answer")
    };
    assert_eq!(get("").status, 401);
    let answer = get(&header);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Cache-Control"), Some("private, max-age=31536000, immutable"));
}

#[test]
fn a_damaged_list_of_tokens_is_no_empty_list() {
    let home = Home::new();
    let _token = new_token(&home, "builder", &[]);
    let path = home.data().join("state/tokens.json");
    std::fs::write(&path, "{").expect("the file");
    let listed = token(&home, &["list"]).expect_err("it cannot be read");
    assert!(listed.contains("tokens.json cannot be read: "), "{listed}");
    let data = home.data().display().to_string();
    let mut serve: Command = home.shacached(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    let output = serve.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
}
