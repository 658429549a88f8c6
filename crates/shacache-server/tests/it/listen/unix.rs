//! The same over a Unix socket.

use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn connect(path: &std::path::Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Client { stream, buffer: Vec::new() }
}

#[test]
fn requests_are_answered_and_the_file_goes_with_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    let address = Address::Unix(path.clone());
    let server = Server::start_on(&address, Limits { connections_per_address: 1, ..limits() });
    let mut clients: Vec<_> = (0..3).map(|_| connect(&path)).collect();
    for client in &mut clients {
        client.send("GET /peer HTTP/1.1\r\n\r\n");
        assert_eq!(client.answer().text(), format!("None true {address}"));
    }
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    let _server = Server::start_on(&Address::Unix(path.clone()), limits());
    let mut client = connect(&path);
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[tokio::test]
async fn what_is_in_use_or_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("live.sock");
    let live = Listener::bind(&Address::Unix(path.clone())).expect("a socket");
    let error = Listener::bind(&Address::Unix(path.clone())).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(UnixStream::connect(&path).is_ok());
    drop(live);

    std::fs::write(&path, "a file").expect("a file");
    let error = Listener::bind(&Address::Unix(path.clone())).expect_err("no socket");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(&path).expect("a file"), b"a file");
}

#[tokio::test]
async fn a_successors_socket_is_not_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    let old = Listener::bind(&Address::Unix(path.clone())).expect("a socket");
    std::fs::remove_file(&path).expect("the file");
    let _new = Listener::bind(&Address::Unix(path.clone())).expect("a socket");
    drop(old);
    assert!(UnixStream::connect(&path).is_ok());
}
