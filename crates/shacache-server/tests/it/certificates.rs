//! Keys and certificates of every kind, made by `openssl` in a temporary folder, and `openssl` as a
//! client that shows them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Makes certificates for as long as it lives.
pub(crate) struct Certificates(TempDir);

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// One that issued itself: version 3, CA:TRUE. `algorithm` is what `-newkey` takes.
    pub(crate) fn own(&self, name: &str, algorithm: &[&str]) -> Pair {
        let pair = self.pair(name);
        let subject = format!("/CN={name}");
        openssl(
            &[&["req", "-x509", "-nodes", "-days", "2", "-subj", &subject, "-newkey"], algorithm],
            &[("-keyout", &pair.key), ("-out", &pair.certificate)],
        );
        pair
    }

    /// One for 127.0.0.1 that `authority` issued, valid from now on for so many days; -1 for one
    /// that has expired.
    pub(crate) fn issued(&self, authority: &Pair, name: &str, days: &str) -> Pair {
        let pair = self.requested(name, "rsa:2048");
        let extensions = self.folder().join("extensions");
        let text = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
        std::fs::write(&extensions, text).expect("a file");
        openssl(
            &[&["x509", "-req", "-CAcreateserial", "-days", days]],
            &[
                ("-in", &self.request(name)),
                ("-extfile", &extensions),
                ("-CA", &authority.certificate),
                ("-CAkey", &authority.key),
                ("-out", &pair.certificate),
            ],
        );
        pair
    }

    /// One of version 1 that issued itself.
    pub(crate) fn version_1(&self, name: &str, key: &str) -> Pair {
        let pair = self.requested(name, key);
        openssl(
            &[&["x509", "-req", "-days", "2"]],
            &[("-in", &self.request(name)), ("-signkey", &pair.key), ("-out", &pair.certificate)],
        );
        pair
    }

    fn requested(&self, name: &str, key: &str) -> Pair {
        let pair = self.pair(name);
        let subject = format!("/CN={name}");
        openssl(
            &[&["req", "-nodes", "-subj", &subject, "-newkey", key]],
            &[("-keyout", &pair.key), ("-out", &self.request(name))],
        );
        pair
    }

    fn request(&self, name: &str) -> PathBuf {
        self.folder().join(name).with_extension("csr")
    }

    fn pair(&self, name: &str) -> Pair {
        let file = self.folder().join(name);
        Pair { certificate: file.with_extension("crt"), key: file.with_extension("key") }
    }
}

impl Pair {
    /// SHA-256 of the public key, in hex.
    pub(crate) fn fingerprint(&self) -> String {
        let pem = openssl(&[&["pkey", "-pubout"]], &[("-in", &self.key)]);
        let spki = self.key.with_extension("pub");
        std::fs::write(&spki, pem).expect("a file");
        let der = self.key.with_extension("der");
        openssl(&[&["pkey", "-pubin", "-outform", "DER"]], &[("-in", &spki), ("-out", &der)]);
        let line = openssl(&[&["dgst", "-sha256", "-r"]], &[("", &der)]);
        String::from_utf8(line).expect("hex")[..64].to_owned()
    }
}

/// Has `openssl s_client` ask for a path over TLS, believing `authority`: the body of the answer, or
/// the complaint.
pub(crate) fn s_client(
    address: SocketAddr,
    path: &str,
    authority: &Pair,
    options: &[&str],
    client: Option<&Pair>,
) -> Result<String, String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-CAfile"]);
    command.arg(&authority.certificate).args(["-connect", &address.to_string()]).args(options);
    if let Some(client) = client {
        command.arg("-cert").arg(&client.certificate).arg("-key").arg(&client.key);
    }
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    // It ends without reading when there is no handshake.
    let mut input = process.stdin.take().expect("it was asked for");
    let _sent = write!(input, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let output = process.wait_with_output().expect("it ends");
    drop(input);
    let answer = String::from_utf8(output.stdout).expect("UTF-8");
    if answer.starts_with("HTTP/1.1 200 OK\r\n") {
        return Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned());
    }
    assert_eq!(answer, "");
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs `openssl` with words and then options that take a file; gives its standard output.
fn openssl(words: &[&[&str]], files: &[(&str, &Path)]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(words.concat()).stdin(Stdio::null());
    for (option, file) in files {
        command.args((!option.is_empty()).then_some(option)).arg(file);
    }
    let output = command.output().expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}
