//! What a client was told is true after the server came back, and two servers do not share a
//! folder.

use std::fs;
use std::path::Path;

use crate::program::{Home, wait_until};
use crate::raw_http::request;

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let home = Home::new();
    let server = home.serve(&[]);
    let digest = request(server.address(), "POST", "/shacache", b"hello").text();
    let entry = format!(r#"["{{\"sha512\": \"{digest}\"}}", ""]"#);
    assert_eq!(request(server.address(), "PUT", "/shadir/a/b", entry.as_bytes()).status, 201);
    let listed = request(server.address(), "GET", "/shadir/a/b", b"");
    server.stop();

    for end in ["TERM", "INT", "KILL"] {
        let mut server = home.serve(&[]);
        let address = server.address();
        let blob = format!("/shacache/{digest}");
        assert_eq!(request(address, "GET", &blob, b"").text(), "hello");
        let again = request(address, "GET", "/shadir/a/b", b"");
        assert_eq!((again.status, again.text()), (200, format!("[{entry}]")));
        assert_eq!(again.header("ETag"), listed.header("ETag"));
        server.signal(end);
        assert_eq!(server.ended(), if end == "KILL" { None } else { Some(0) });
    }
}

#[test]
fn the_ready_lines_name_everything() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let address = server.address();
    server.signal("TERM");
    let data = home.data();
    let expected = format!(
        "data in {}\n\
         try: shacache upload --server http://{address} FILE\n     \
         shacache download --server http://{address} SHA512 -o FILE\n",
        data.display()
    );
    assert_eq!(server.output(), expected);
}

#[test]
fn a_second_server_on_the_same_folder_says_so() {
    let home = Home::new();
    let _server = home.serve(&[]);
    let data = home.data().display().to_string();
    let second = home.run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty());
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    assert_eq!(error, format!("shacached: {data} is in use by another process\n"));
}

#[test]
fn a_taken_port_is_told_by_its_address() {
    let taken = Home::new();
    let server = taken.serve(&[]);
    let address = server.address().to_string();
    let home = Home::new();
    let clean = home.data().join("index/clean");
    let first = home.serve(&[]);
    wait_until("the index", || first.log().contains("the index is in step with the archive"));
    first.stop();
    assert!(clean.exists());

    let data = home.data().display().to_string();
    let second = home.run(&["serve", "--listen", &address, "--data", &data]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    let expected = format!("shacached: cannot listen at {address}: Address already in use");
    assert!(error.lines().any(|line| line.starts_with(&expected)), "{error}");
    assert!(clean.exists(), "closed in good order");
}

/// What became of an index that a server had left in good order, and the line that a start says
/// about it.
type Lost = (&'static str, fn(&Path), Option<&'static str>);

const LOST: [Lost; 4] = [
    ("missing", |index| fs::remove_dir_all(index).expect("removed"), None),
    (
        "corrupt",
        |index| fs::write(index.join("index.sqlite"), vec![1; 100_000]).expect("written"),
        Some("the index is damaged: made anew"),
    ),
    (
        "of a newer version",
        |index| set_version(&index.join("index.sqlite"), 999),
        Some("the index is of another version: made anew"),
    ),
    (
        "of an older version",
        |index| set_version(&index.join("index.sqlite"), 0),
        Some("the index is of another version: made anew"),
    ),
];

/// SQLite keeps the user's version of a database as four bytes at 60 of the file.
fn set_version(file: &Path, version: u32) {
    let mut bytes = fs::read(file).expect("the index");
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    fs::write(file, bytes).expect("written");
}

#[test]
fn an_index_that_is_lost_costs_one_line_and_nothing_else() {
    for (name, lose, line) in LOST {
        let home = Home::new();
        let server = home.serve(&[]);
        let digest = request(server.address(), "POST", "/shacache", b"hello").text();
        wait_until("the index", || server.log().contains("the index is in step with the archive"));
        server.stop();
        lose(&home.data().join("index"));

        let server = home.serve(&[]);
        let answer = request(server.address(), "GET", &format!("/shacache/{digest}"), b"");
        assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()), "{name}");
        wait_until("the index", || server.log().contains("the index is in step with the archive"));
        let log = server.stop();
        let warnings: Vec<_> =
            log.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
        assert_eq!(warnings.len(), usize::from(line.is_some()), "{name}: {warnings:?}");
        assert!(line.is_none_or(|line| warnings[0].contains(line)), "{name}: {warnings:?}");
    }
}
