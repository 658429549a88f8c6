//! Lists of entries from servers that send something else.

use std::io::Write;

use shacache_client::{Client, ClientError};
use shacache_core::key::Key;

use crate::stub::{Stub, answer};

fn key() -> Key {
    "pypi:a=1".parse().unwrap()
}

fn good_entry() -> String {
    format!(r#"["{{\"sha512\": \"{}\"}}", ""]"#, "0".repeat(128))
}

#[test]
fn what_is_no_list_is_corrupt() {
    for body in ["", "<html>", "{}", "[", "[[]", "nothing", "[],"] {
        let stub = Stub::sending(answer("200 OK", "", body.as_bytes()));
        let error = stub.client().entries(&key()).unwrap_err();
        assert!(matches!(error, ClientError::Corrupt { .. }), "{body:?}: {error}");
    }
}

#[test]
fn bad_entries_do_not_spoil_the_good_one() {
    let good = good_entry();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let poison = [
        r#"["{}", ""]"#,
        r#"["x", "y", "z"]"#,
        "7",
        r#"["{\"sha512\": \"\ud800\"}", ""]"#,
        r#"["{\"sha512\": \"x\"}", "!!"]"#,
        &deep,
    ];
    let body = format!("[{}, {good}]", poison.join(", "));
    let stub = Stub::sending(answer("200 OK", "", body.as_bytes()));
    let entries = stub.client().entries(&key()).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].body(), good);
}

#[test]
fn no_entries_are_not_found() {
    for answer in [answer("404 Not Found", "", b""), answer("200 OK", "", b"[]")] {
        let stub = Stub::sending(answer);
        let error = stub.client().entries(&key()).unwrap_err();
        assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_unread_up_to_the_length_that_is_wanted() {
    let stub = Stub::sending(answer("200 OK", "", b"[7, <html>"));
    let client = Client::new(&stub.config()).unwrap();
    assert_eq!(client.listing(&key(), 10).await.unwrap(), "[7, <html>");
    let error = client.listing(&key(), 9).await.unwrap_err();
    assert!(matches!(error, ClientError::Corrupt { .. }), "{error}");
    let stub = Stub::sending(answer("404 Not Found", "", b""));
    let error = Client::new(&stub.config()).unwrap().listing(&key(), 9).await.unwrap_err();
    assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
}

#[test]
fn a_flood_is_cut_off() {
    let stub = Stub::start(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
        let many = good_entry().repeat(1000);
        // Ends when the client hangs up.
        while connection.write_all(many.as_bytes()).is_ok() {}
    });
    let error = stub.client().entries(&key()).unwrap_err();
    assert!(matches!(error, ClientError::Corrupt { .. }), "{error}");
}

#[test]
fn keys_are_on_the_wire_as_servers_read_them() {
    for (key, path) in [
        ("file-urlmd5:0a", "file-urlmd5:0a"),
        ("pypi-index-x-foo>=1.0,<2", "pypi-index-x-foo%3E=1.0,%3C2"),
        ("'quoted'", "'quoted'"),
        ("a b?c#d%2F", "a%20b%3Fc%23d%252F"),
        ("a/b", "a/b"),
        ("a/../b", "a%2F..%2Fb"),
        ("`é", "%60%C3%A9"),
    ] {
        let stub = Stub::sending(answer("404 Not Found", "", b""));
        let _ = stub.client().entries(&key.parse().unwrap());
        let line = stub.requests()[0].head.lines().next().unwrap().to_owned();
        assert_eq!(line, format!("GET /shadir/{path} HTTP/1.1"));
    }
}
