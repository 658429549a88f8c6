//! The server that the Python client's own tests use, with keys and a configuration for a client.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::programs::{command, new, old, succeed};

/// A running reference server and a folder for everything around it.
pub(crate) struct Reference {
    folder: TempDir,
    server: Child,
    address: String,
}

impl Reference {
    pub(crate) fn start() -> Self {
        Self::start_with("http", &[])
    }

    /// With TLS: `server.pem` and `ca.pem` are in `certificates`.
    pub(crate) fn start_tls(certificates: &Path) -> Self {
        let files = ["server.pem", "ca.pem"].map(|name| certificates.join(name));
        Self::start_with("https", &files)
    }

    fn start_with(scheme: &str, files: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut server = command(old("python"))
            .args(["-c", include_str!("reference.py")])
            .arg(&tree)
            .args(files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("the server prints its port");
        Self { folder, server, address: format!("{scheme}://127.0.0.1:{port}") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        self.address.clone()
    }

    /// What the server stores under a key.
    pub(crate) fn entries(&self, key: &str) -> String {
        fs::read_to_string(self.path("tree/shadir").join(key)).unwrap()
    }

    /// Takes a key's entries away, or a blob.
    pub(crate) fn forget(&self, path: &str) {
        fs::remove_file(self.path("tree").join(path)).unwrap();
    }

    /// A configuration of this server, with a signing key of its own.
    pub(crate) fn config(&self) -> PathBuf {
        let (key, certificate) = (self.path("key.pem"), self.path("cert.pem"));
        if !key.exists() {
            let mut generate = command(new(self.folder.path(), "generate-signature-key"));
            generate.arg(&key).arg("test").arg("--cert-file").arg(&certificate);
            succeed(&mut generate);
        }
        let indented = fs::read_to_string(certificate).unwrap().replace('\n', "\n    ");
        self.write_config(
            "signed.cfg",
            &format!(
                "signature-private-key-file = {}\nsignature-certificate-list =\n    {indented}\n",
                key.display()
            ),
        )
    }

    /// A configuration of this server, with no keys and certificates.
    pub(crate) fn unsigned_config(&self) -> PathBuf {
        self.write_config("unsigned.cfg", "")
    }

    /// Runs an old command, the Python one or ours.
    pub(crate) fn program(&self, which: Which, name: &str) -> PathBuf {
        match which {
            Which::Old => old(name),
            Which::New => new(self.folder.path(), name),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write_config(&self, name: &str, more: &str) -> PathBuf {
        let url = self.url();
        let text = format!(
            "[networkcache]\n\
             download-cache-url = {url}/shacache\nupload-cache-url = {url}/shacache\n\
             download-dir-url = {url}/shadir\nupload-dir-url = {url}/shadir\n{more}"
        );
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whose program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Old,
    New,
}
