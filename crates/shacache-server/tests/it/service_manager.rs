//! The program under a service manager: what it tells, and the sockets that it takes from one.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificates::{Certificates, s_client};
use crate::program::{Home, wait_until};
use crate::raw_http::request;
use crate::running::PATIENCE;

/// Where a service manager listens.
struct Manager {
    home: Home,
    socket: UnixDatagram,
}

impl Manager {
    fn start() -> Self {
        let home = Home::new();
        let socket = UnixDatagram::bind(home.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { home, socket }
    }

    fn told(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("a message");
        String::from_utf8(message[..length].to_vec()).expect("UTF-8")
    }

    fn shacached(&self) -> Command {
        let mut command = self.home.shacached(&[]);
        command.env("NOTIFY_SOCKET", self.home.path().join("notify"));
        command
    }
}

#[test]
fn it_is_told_of_every_change() {
    let manager = Manager::start();
    let server = manager.home.spawn(manager.shacached(), "127.0.0.1:0", &[]);
    assert_eq!(manager.told(), "READY=1\n");
    server.signal("HUP");
    let told = manager.told();
    assert!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
    assert_eq!(manager.told(), "READY=1\n");
    server.signal("TERM");
    assert_eq!(manager.told(), "STOPPING=1\n");
    server.stop_after_signal();
}

#[test]
fn it_is_told_that_the_server_is_alive_as_often_as_it_asks() {
    let manager = Manager::start();
    let mut command = manager.shacached();
    command.env("WATCHDOG_USEC", "400000");
    let server = manager.home.spawn(command, "127.0.0.1:0", &[]);
    let mut alive = 0;
    let began = Instant::now();
    while alive < 4 {
        alive += u32::from(manager.told() == "WATCHDOG=1\n");
    }
    assert!(began.elapsed() > Duration::from_millis(400), "{:?}", began.elapsed());
    server.stop();
}

/// A command that passes `socket` to the program as systemd does. The shell keeps its process id.
fn passing(home: &Home, socket: OwnedFd, name: &str) -> Command {
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_shacached")]).env_clear();
    shell.env("HOME", home.path()).env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
    shell.stdin(Stdio::from(socket));
    shell
}

#[test]
fn sockets_that_it_passes_are_taken_by_their_names() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    let passed = socket.try_clone().expect("a socket");
    let server = home.spawn(passing(&home, passed.into(), "web"), "systemd:web", &[]);
    assert_eq!(server.address(), address);
    assert_eq!(request(address, "GET", "/healthz", b"").status, 200);
    server.stop();

    // While no server runs, clients wait: the socket is still open.
    let waiting = std::thread::spawn(move || request(address, "GET", "/healthz", b"").status);
    let server = home.spawn(passing(&home, socket.into(), "web"), "systemd:web", &[]);
    assert_eq!(waiting.join().expect("an answer"), 200);
    server.stop();
}

#[test]
fn a_socket_that_it_passes_takes_the_place_of_one_at_the_same_address() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    let server =
        home.spawn(passing(&home, socket.into(), "unit.socket"), &address.to_string(), &[]);
    assert_eq!(request(address, "GET", "/healthz", b"").status, 200);
    let log = server.stop();
    assert!(!log.contains("does not name"), "{log}");
}

#[test]
fn tls_is_spoken_at_a_socket_that_it_passes() {
    let certificates = Certificates::new();
    let authority = certificates.own("authority", &["rsa:2048"]);
    let own = certificates.issued(&authority, "server", "2");
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    let mut command = passing(&home, socket.into(), "web");
    command.env("SHACACHED_TLS__CERTIFICATE", &own.certificate);
    command.env("SHACACHED_TLS__KEY", &own.key);
    let server = home.spawn(command, "https://systemd:web", &[]);
    s_client(address, "/healthz", &authority, &[], None).expect("an answer");
    server.stop();
}

#[test]
fn a_unix_socket_that_it_passes_stays_its_own() {
    let home = Home::new();
    let path = home.path().join("http.sock");
    let socket = UnixListener::bind(&path).expect("a socket");
    let server = home.spawn(
        passing(&home, socket.into(), "web"),
        "127.0.0.1:0",
        &["--listen", "systemd:web"],
    );
    let client = std::os::unix::net::UnixStream::connect(&path);
    assert!(client.is_ok());
    server.stop();
    assert!(path.exists());
}

#[test]
fn names_that_do_not_fit_are_told() {
    let home = Home::new();
    let data = home.data().display().to_string();
    let output = home.run(&["serve", "--listen", "systemd:web", "--data", &data]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let expected = "shacached: cannot listen at systemd:web: the service manager passed no socket of this name\n";
    assert!(said.ends_with(expected), "{said}");

    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = home.spawn(passing(&home, socket.into(), "spare"), "127.0.0.1:0", &[]);
    let warning = "a socket of the service manager that listen does not name";
    wait_until("a warning", || server.log().contains(warning));
    server.stop();
}

#[test]
fn a_unix_socket_has_the_permissions_that_are_asked_for() {
    let home = Home::new();
    let path = home.path().join("http.sock");
    for (mode, expected) in [("660", 0o660), ("600", 0o600)] {
        let mut command = home.shacached(&[]);
        command.env("SHACACHED_UNIX_MODE", mode);
        let listen = format!("unix:{}", path.display());
        let server = home.spawn(command, "127.0.0.1:0", &["--listen", &listen]);
        let permissions = fs::metadata(&path).expect("a socket").permissions();
        assert_eq!(permissions.mode() & 0o777, expected);
        server.stop();
        assert!(!path.exists());
    }
}
