//! Proxies from the environment.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::programs::{run, said, shacache};

#[test]
fn the_proxy_of_the_environment_is_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut connection, _) = proxy.accept().unwrap();
        let mut head = [0; 4096];
        let read = connection.read(&mut head).unwrap();
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        connection.write_all(answer).unwrap();
        String::from_utf8_lossy(&head[..read]).lines().next().unwrap().to_owned()
    });
    let mut list = shacache(&["list", "k", "--server", "http://nowhere.invalid"]);
    let output = run(list.env("http_proxy", &address));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(asked.join().unwrap(), "GET http://nowhere.invalid/shadir/k HTTP/1.1");
}
