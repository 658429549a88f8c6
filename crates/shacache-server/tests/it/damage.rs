//! Bytes that changed on disk: no client takes them for the blob.

use std::fs;
use std::os::unix::fs::symlink;

use shacache_core::digest::{AliasHasher, Digest};

use crate::program::{Home, Program, wait_until};
use crate::raw_http::{exchange, request};

/// A blob of many chunks of which one byte is another one on disk now.
fn damaged_blob(home: &Home, server: &Program) -> String {
    let mut bytes = vec![7; 1_000_000];
    let digest = Digest::of(&bytes).to_string();
    assert_eq!(request(server.address(), "POST", "/shacache", &bytes).status, 201);
    // The server reads it once more itself, and would find the damage before any client.
    let mut hasher = AliasHasher::new();
    hasher.update(&bytes);
    let [alias, ..] = hasher.finish().all();
    wait_until("its other digests", || {
        request(server.address(), "HEAD", &format!("/shacache/{alias}"), b"").status == 200
    });
    bytes[900_000] = 8;
    let folder = home.data().join("archive/blobs").join(&digest[..2]).join(&digest[2..4]);
    fs::write(folder.join(&digest), &bytes).expect("the blob's file");
    digest
}

#[test]
fn a_damaged_blob_is_never_answered_whole() {
    let home = Home::new();
    let server = home.serve(&[]);
    let digest = damaged_blob(&home, &server);
    let get = format!("GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\n\r\n");
    let cut = exchange(server.address(), get.as_bytes()).expect_err("announced, and cut short");
    assert_eq!(cut.to_string(), "the body is cut short");

    wait_until("the blob to be in quarantine", || {
        let answer = exchange(server.address(), get.as_bytes());
        answer.is_ok_and(|answer| answer.is_some_and(|answer| answer.status == 404))
    });
    wait_until("the metrics to say so", || {
        let metrics = request(server.address(), "GET", "/metrics", b"").text();
        !metrics.contains("shacache_answers_cut_short_total 0\n")
            && metrics.contains("shacache_damaged_blobs_total 1\n")
    });
    let log = server.stop();
    assert!(log.contains("\"level\":\"ERROR\",\"message\":\"answer cut short\""), "{log}");
}

#[test]
fn damaged_bytes_are_no_part_of_an_answer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let digest = damaged_blob(&home, &server);
    let head = format!("GET /shacache/{digest} HTTP/1.1\r\nHost: a\r\n");
    let get = format!("{head}Range: bytes=899990-900010\r\n\r\n");
    let answer = exchange(server.address(), get.as_bytes()).expect("well-formed");
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.text()), (500, "Internal Server Error\n".to_owned()));
}

/// It may be there, behind the link: neither is it a miss, nor is it read or written.
#[test]
fn a_folder_that_became_a_link_is_an_error_of_the_server() {
    let home = Home::new();
    // The background check would move the link to quarantine at some moment.
    let server = home.serve_with(&[("SHACACHED_SCRUB__ENABLED", "false")]);
    let bytes = b"hello";
    let digest = Digest::of(bytes).to_string();
    let elsewhere = home.path().join("elsewhere");
    let link = home.data().join("archive/blobs").join(&digest[..2]);
    fs::create_dir_all(elsewhere.join(&digest[2..4])).expect("made");
    fs::write(elsewhere.join(&digest[2..4]).join(&digest), bytes).expect("written");
    symlink(&elsewhere, &link).expect("linked");
    for (method, path, body) in
        [("GET", format!("/shacache/{digest}"), &b""[..]), ("POST", "/shacache".into(), bytes)]
    {
        let answer = request(server.address(), method, &path, body);
        let expected = (503, "Service Unavailable\n".to_owned());
        assert_eq!((answer.status, answer.text()), expected, "{method}");
    }
    assert!(server.stop().contains("it is a link, and none is followed"));
}
