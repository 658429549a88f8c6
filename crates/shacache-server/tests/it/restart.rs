//! What a client was told is true after the server came back, and two servers do not share a
//! folder.

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
