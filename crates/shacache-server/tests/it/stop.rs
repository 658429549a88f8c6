//! The end of a server: requests in flight finish, new ones find nobody, and the exit code says
//! how it went.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::program::{Home, Program, wait_until};
use crate::raw_http::{connect, request};

const BYTES: usize = 64_000_000;

/// A download of which nothing but the beginning was read.
fn begin_download(server: &Program) -> TcpStream {
    let digest = request(server.address(), "POST", "/shacache", &vec![7; BYTES]).text();
    let mut stream = connect(server.address()).expect("a connection");
    write!(stream, "GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("sent");
    stream.read_exact(&mut [0; 15]).expect("the status line");
    stream
}

fn wait_until_nobody_listens(server: &Program) {
    wait_until("the socket to be closed", || TcpStream::connect(server.address()).is_err());
}

#[test]
fn a_download_in_flight_is_finished() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let mut download = begin_download(&server);
    server.signal("TERM");
    wait_until_nobody_listens(&server);
    let mut rest = Vec::new();
    download.read_to_end(&mut rest).expect("all of it");
    assert!(rest.len() > BYTES, "{} bytes", rest.len());
    assert_eq!(server.ended(), Some(0), "{}", server.log());
}

#[test]
fn an_upload_in_flight_is_stored() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let mut upload = connect(server.address()).expect("a connection");
    let (bytes, length) = (vec![7; BYTES / 8], BYTES / 8 + 5);
    write!(upload, "POST /shacache HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
        .and_then(|()| upload.write_all(&bytes))
        .expect("sent");
    wait_until("the upload to begin", || {
        home.data().join("tmp").read_dir().expect("a folder").next().is_some()
    });
    server.signal("TERM");
    wait_until_nobody_listens(&server);
    write!(upload, "hello").expect("sent");
    let mut answer = String::new();
    upload.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.ended(), Some(0), "{}", server.log());
}

#[test]
fn the_grace_has_an_end() {
    let home = Home::new();
    let config = home.path().join("server.toml");
    std::fs::write(&config, "limit.shutdown-grace-seconds = 1").expect("a file");
    let mut server = home.serve(&["--config", &config.display().to_string()]);
    let _download = begin_download(&server);
    server.signal("TERM");
    assert_eq!(server.ended(), Some(1));
    let log = server.log();
    assert!(
        log.ends_with("shacached: 1 connections were cut off at the end of the grace\n"),
        "{log}"
    );
}

#[test]
fn a_second_interrupt_does_not_wait() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let _download = begin_download(&server);
    server.signal("INT");
    wait_until_nobody_listens(&server);
    server.signal("INT");
    assert_eq!(server.ended(), Some(1));
    let log = server.log();
    assert!(log.ends_with("shacached: stopped at once by a second interrupt\n"), "{log}");
}
