//! How many connections there can be, in all and from one address.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::*;

#[test]
fn at_the_cap_clients_wait_and_lose_nothing() {
    let server = Server::start(Limits { connections: 2, ..limits() });
    let (first, _second) = (server.connect(), server.connect());
    server.wait_for_open(2);

    let mut third = server.connect();
    third.send("GET /third HTTP/1.1\r\n\r\n");
    assert!(third.is_silent_for(Duration::from_millis(200)));
    assert_eq!(server.counters.accepted(), 2);

    drop(first);
    assert_eq!(third.answer().text(), "GET /third\n");
}

#[test]
fn an_address_over_its_cap_is_closed_and_may_come_again() {
    let Some(ip) = outside_address() else {
        // Loopback is exempt, and this machine has nothing else; `admission` tests the counting.
        return;
    };
    let address = Address::Tcp((ip, 0).into());
    let server = Server::start_on(&address, Limits { connections_per_address: 2, ..limits() });
    let first = server.connect();
    let mut second = server.connect();
    server.wait_for_open(2);

    server.connect().expect_closed();
    assert_eq!(server.counters.refused_by_address(), 1);
    second.send("GET /second HTTP/1.1\r\n\r\n");
    assert_eq!(second.answer().status, 200);

    drop(first);
    server.wait_for_open(1);
    server.answers_a_good_client();
}

#[test]
fn loopback_is_not_capped() {
    let server = Server::start(Limits { connections_per_address: 2, ..limits() });
    let _others: Vec<_> = (0..10).map(|_| server.connect()).collect();
    server.wait_for_open(10);
    server.answers_a_good_client();
}

/// An address of this machine that is not loopback: where packets to a documentation address
/// would leave from. Nothing is sent.
fn outside_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && TcpListener::bind((ip, 0)).is_ok()).then_some(ip)
}
