//! Whether the server's description at `/openapi.json` knows an answer: the status has to be one
//! of the operation that was asked. Must not know what the answer should have been.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use crate::raw_http;

/// The paths of a description, and the hosts on which a service is at the root.
pub(super) struct Described {
    paths: Map<String, Value>,
    roots: Vec<(String, &'static str)>,
}

impl Described {
    /// Reads the description of a server that was started with `settings`.
    pub(super) fn by(address: SocketAddr, settings: &str) -> Self {
        let answer = raw_http::request(address, "GET", "/openapi.json", b"");
        let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").clone();
        let settings: toml::Table = settings.parse().expect("TOML");
        let hosts = |key: &str| -> Vec<String> {
            let hosts = settings.get("mount").and_then(|mount| mount.get(key));
            let hosts = hosts.and_then(toml::Value::as_array).into_iter().flatten();
            hosts.map(|host| host.as_str().expect("a name").to_owned()).collect()
        };
        let at = |key, path| hosts(key).into_iter().map(move |host| (host, path));
        let roots = at("shacache-host", "/shacache").chain(at("shadir-host", "/shadir")).collect();
        Self { paths, roots }
    }

    /// Fails with what is missing in the description.
    pub(super) fn check(&self, request: &[u8], status: u16) -> Result<(), String> {
        // Whatever is sent may be refused before it has a meaning.
        if ANY_REQUEST.contains(&status) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(request);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let host = lines.find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        let path = self.path(host, target);
        let known = match self.operations(&path) {
            None if method == "OPTIONS" && target == "*" => status == 204,
            None => status == 404,
            Some(item) => match item.get(method.to_ascii_lowercase()) {
                None if method == "OPTIONS" => status == 204,
                None => status == 405,
                Some(operation) => operation["responses"].get(status.to_string()).is_some(),
            },
        };
        if known { Ok(()) } else { Err(format!("{line}: the description has no {status} for it")) }
    }

    /// The path of a target, as if every service were at its mount.
    fn path(&self, host: &str, target: &str) -> String {
        let (host, path) = match target.strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => (host, target),
        };
        let path = path.split('?').next().unwrap_or_default();
        let name = host.split(':').next().unwrap_or_default();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let root = self.roots.iter().find(|(host, _)| *host == name);
        root.map_or("", |(_, mount)| mount).to_owned() + path
    }

    fn operations(&self, path: &str) -> Option<&Value> {
        self.paths.get(path).or_else(|| {
            self.paths.iter().find_map(|(template, item)| {
                let (before, name) = template.split_once('{')?;
                let rest = path.strip_prefix(before)?;
                let fits = !rest.is_empty() && (name == "key}" || !rest.contains('/'));
                fits.then_some(item)
            })
        })
    }
}

/// A head that cannot be read, or is too long.
const ANY_REQUEST: [u16; 3] = [400, 414, 431];

#[test]
fn a_status_that_is_not_described_is_noticed() {
    let server = crate::running::Running::start("");
    let mut described = Described::by(server.address(), "");
    let request = b"GET /shacache/00000000000000000000000000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(described.check(request, 404), Ok(()));
    assert!(described.check(request, 418).is_err());
    let operation = &mut described.paths["/shacache/{digest}"]["get"];
    operation["responses"].as_object_mut().expect("responses").remove("404");
    assert!(described.check(request, 404).is_err());
}
