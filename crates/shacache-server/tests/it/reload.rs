//! SIGHUP: a new certificate is shown, what cannot be used is not, and no connection notices.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::certificates::{Certificates, Pair, s_client};
use crate::program::{Home, Program, wait_until};
use crate::raw_http::request;

struct Reloading {
    home: Home,
    certificates: Certificates,
    server: Program,
    address: SocketAddr,
}

impl Reloading {
    /// A server that shows a certificate of `authority`.
    fn start(certificates: Certificates, authority: &Pair) -> Self {
        let home = Home::new();
        let files = "[tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n";
        let files = files.replace("server.", &format!("{}/server.", home.path().display()));
        fs::write(home.path().join("server.toml"), files).expect("a file");
        let first = certificates.issued(authority, "first", "2");
        install(&home, &first);
        let config = home.path().join("server.toml").display().to_string();
        let mut server = home.serve(&["--listen", "https://127.0.0.1:0", "--config", &config]);
        let address = server.tls_address();
        Self { home, certificates, server, address }
    }

    fn is_known_to(&self, authority: &Pair) -> bool {
        s_client(self.address, "/healthz", authority, &[], None).is_ok()
    }

    /// A connection with the head of a request half sent.
    fn begin(&self, authority: &Pair) -> Begun {
        let mut process = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-CAfile"])
            .arg(&authority.certificate)
            .args(["-connect", &self.address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut input = process.stdin.take().expect("it was asked for");
        input.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n").expect("sent");
        let handshakes = "shacache_tls_handshakes_total 2\n";
        wait_until(handshakes, || {
            request(self.server.address(), "GET", "/metrics", b"").text().contains(handshakes)
        });
        Begun { process, input }
    }

    /// Has everything read again, and gives the errors that are logged until `expected` is.
    fn errors_after_hangup(&self, expected: &str) -> Vec<String> {
        let before = self.server.log().len();
        self.server.signal("HUP");
        wait_until(expected, || self.server.log()[before..].contains(expected));
        let log = self.server.log()[before..].to_owned();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .filter(|line| line["level"] == "ERROR")
            .map(|line| line["error"].to_string())
            .collect()
    }
}

/// A request that is not complete.
struct Begun {
    process: Child,
    input: ChildStdin,
}

impl Begun {
    /// Completes it, and gives the first line of the answer.
    fn finish(mut self) -> String {
        self.input.write_all(b"Connection: close\r\n\r\n").expect("sent");
        let output = self.process.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    }
}

fn install(home: &Home, pair: &Pair) {
    fs::copy(&pair.certificate, home.path().join("server.crt")).expect("a copy");
    fs::copy(&pair.key, home.path().join("server.key")).expect("a copy");
}

#[test]
fn a_new_certificate_is_shown_and_connections_stay() {
    let certificates = Certificates::new();
    let old = certificates.own("old-authority", &["rsa:2048"]);
    let new = certificates.own("new-authority", &["rsa:2048"]);
    let reloading = Reloading::start(certificates, &old);
    assert!(reloading.is_known_to(&old) && !reloading.is_known_to(&new));

    let open = reloading.begin(&old);
    install(&reloading.home, &reloading.certificates.issued(&new, "second", "2"));
    let errors = reloading.errors_after_hangup("read again");
    assert!(errors.is_empty(), "{errors:?}");
    assert!(reloading.is_known_to(&new) && !reloading.is_known_to(&old));
    assert_eq!(open.finish(), "HTTP/1.1 200 OK");
    reloading.server.stop();
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_said_in_one_line() {
    let certificates = Certificates::new();
    let authority = certificates.own("authority", &["rsa:2048"]);
    let reloading = Reloading::start(certificates, &authority);
    let folder = reloading.home.path();

    fs::write(folder.join("server.key"), "no key").expect("a file");
    let errors = reloading.errors_after_hangup("cannot be read again, stays as it was");
    let file = folder.join("server.key").display().to_string();
    let expected = format!("\"{file}: no private key in this file that is not encrypted\"");
    assert_eq!(errors, [expected]);
    assert!(reloading.is_known_to(&authority));

    fs::write(folder.join("server.toml"), "listen = ").expect("a file");
    let errors = reloading.errors_after_hangup("cannot read the configuration again");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("server.toml:1: "), "{errors:?}");
    assert!(reloading.is_known_to(&authority));
    reloading.server.stop();
}

#[test]
fn a_server_without_its_certificate_does_not_start() {
    let home = Home::new();
    let data = home.data().display().to_string();
    let output = home
        .shacached(&["serve", "--listen", "https://127.0.0.1:0", "--data", &data])
        .env("SHACACHED_TLS__CERTIFICATE", "/nowhere/server.crt")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(said, "shacached: /nowhere/server.crt: No such file or directory (os error 2)\n");
    assert!(!home.data().exists(), "nothing was opened");
}
