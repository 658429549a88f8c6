//! `shacached import --from`: what another server answers is taken, and nothing of what it lies about.

use std::fs;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use shacache_core::digest::Digest;
use shacache_server::upstream::{Location, Patience, Upstream};

use crate::other_server::{OtherServer, send};
use crate::program::{Home, Program};
use crate::raw_http::request;

mod failures;
mod lies;

/// What an import said.
struct Said {
    code: Option<i32>,
    report: Option<Value>,
    errors: String,
}

impl Said {
    fn counts(&self) -> [u64; 5] {
        let report = self.report.as_ref().expect(&self.errors);
        ["blobs", "entries", "already", "damage", "notes"]
            .map(|name| report[name].as_u64().expect("a number"))
    }

    /// The code and path of each finding.
    fn found(&self) -> Vec<(String, String)> {
        let report = self.report.as_ref().expect(&self.errors);
        let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
        let findings = report["findings"].as_array().expect("a list");
        let mut found: Vec<_> =
            findings.iter().map(|it| (text(it, "code"), text(it, "path"))).collect();
        found.sort();
        found
    }

    fn codes(&self) -> Vec<String> {
        self.found().into_iter().map(|(code, _)| code).collect()
    }

    fn details(&self) -> String {
        let findings = self.report.as_ref().expect(&self.errors)["findings"].clone();
        let findings = findings.as_array().expect("a list").clone();
        findings.iter().map(|it| format!("{}\n", it["detail"].as_str().expect("text"))).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Imports these keys; the options say where from.
fn import_with(home: &Home, options: &[&str], keys: &[&str]) -> Said {
    import_into(&home.data(), home, options, keys)
}

/// Imports into a data folder; the list of the keys is put into `home`.
fn import_into(data: &Path, home: &Home, options: &[&str], keys: &[&str]) -> Said {
    let list = home.path().join("keys");
    fs::write(&list, keys.join("\n")).expect("written");
    let (data, list) = (data.display().to_string(), list.display().to_string());
    let fixed = ["import", "--json", "--data", &data, "--keys", &list];
    let Output { status, stdout, stderr } = home
        .shacached(&[&fixed, options].concat())
        .env("SHACACHED_LIMIT__BLOB_BYTES", "5000000")
        .output()
        .expect("ran");
    let report = (!stdout.is_empty()).then(|| serde_json::from_slice(&stdout).expect("JSON"));
    Said { code: status.code(), report, errors: text(&stderr) }
}

fn import(home: &Home, url: &str, keys: &[&str]) -> Said {
    import_with(home, &soon_given_up(url), keys)
}

fn soon_given_up(url: &str) -> [&str; 6] {
    ["--from", url, "--timeout", "1", "--tries", "2"]
}

/// The other server as the program sees it, with a patience that suits a test.
fn upstream(source: &OtherServer, wait: Duration, tries: usize) -> Upstream {
    let tries = NonZeroUsize::new(tries).expect("not zero");
    Upstream::open(&Location::Server(source.url()), Patience { wait, tries }).expect("a URL")
}

/// Lets `check` look at an empty home without a server and at one with.
fn here_and_in_a_server(check: impl Fn(&Home)) {
    check(&Home::new());
    let home = Home::new();
    let _server = home.serve(&[]);
    check(&home);
}

fn put(server: &Program, key: &str, note: &str, bytes: &[u8]) {
    assert_eq!(request(server.address(), "POST", "/shacache", bytes).status, 201);
    let path = format!("/shadir/{key}");
    let entry = entry(note, bytes);
    assert_eq!(request(server.address(), "PUT", &path, entry.as_bytes()).status, 201);
}

fn entry(note: &str, bytes: &[u8]) -> String {
    let digest = Digest::of(bytes);
    let metadata = format!(r#"{{"sha512": "{digest}",  "note": "{note}"}}"#);
    format!(r#"[{}, ""]"#, Value::from(metadata))
}

fn large() -> Vec<u8> {
    (0..750_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn blob_path(home: &Home, bytes: &[u8]) -> PathBuf {
    let hex = Digest::of(bytes).to_string();
    home.data().join("archive/blobs").join(&hex[..2]).join(&hex[2..4]).join(&hex)
}

fn good_list(connection: &mut TcpStream) {
    send(connection, "200 OK", format!("[{}]", entry("x", SMALL)).as_bytes());
}

fn good_blob(connection: &mut TcpStream) {
    send(connection, "200 OK", SMALL);
}

/// The files below a folder, whatever they are.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(folder) else { return Vec::new() };
    let paths = listed.map(|entry| entry.expect("listed").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Nothing was published, and nothing was left behind.
fn is_empty(home: &Home) {
    for folder in ["archive/blobs", "archive/entries", "tmp"] {
        let left = files(&home.data().join(folder));
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_another_server_answers_is_taken() {
    let source = Home::new();
    let peer = source.serve(&[]);
    put(&peer, "a", "first", SMALL);
    put(&peer, "b/c%3E=1", "second", SMALL);
    put(&peer, "b/c%3E=1", "third", &large());
    put(&peer, "b/c%3E=1", "first", SMALL);
    let url = format!("http://{}/", peer.address());
    let keys = ["a", "", "b/c>=1", "a", "nobody"];
    here_and_in_a_server(|home| {
        let said = import(home, &url, &keys);
        assert_eq!(said.code, Some(0), "{}", said.errors);
        assert_eq!(said.counts(), [2, 4, 0, 0, 1]);
        assert_eq!(said.found(), [("key-missing".to_owned(), format!("{url}shadir/nobody"))]);
        assert_eq!(said.report.as_ref().expect("a report")["bytes"], 3_000_005);
        assert_eq!(fs::read(blob_path(home, &large())).expect("read"), large());
        assert_eq!(import(home, &url, &keys).counts(), [0, 0, 4, 0, 1], "again");
    });
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(request(server.address(), "GET", "/shadir/a", b"").status, 404);
    import(&home, &url, &keys);
    for key in ["a", "b/c%3E=1"] {
        let path = format!("/shadir/{key}");
        let [theirs, ours] = [peer.address(), server.address()]
            .map(|address| request(address, "GET", &path, b"").text());
        assert_eq!(ours, theirs, "in their order, byte for byte");
    }
}

/// Two services at the root of two hosts, as ERP5 has them.
#[test]
fn the_two_services_may_be_anywhere() {
    let bytes = SMALL;
    let cache = OtherServer::start(move |path, connection| {
        assert_eq!(path, format!("/{}", Digest::of(bytes)));
        send(connection, "200 OK", bytes);
    });
    let directory = OtherServer::start(move |path, connection| {
        assert_eq!(path, "/pypi:a=1");
        send(connection, "200 OK", format!("[{}]", entry("x", bytes)).as_bytes());
    });
    let home = Home::new();
    let options = ["--from-cache", &cache.url(), "--from-dir", &directory.url()];
    assert_eq!(import_with(&home, &options, &["pypi:a=1"]).counts(), [1, 1, 0, 0, 0]);

    let home = Home::new();
    let file = home.path().join("slapos.cfg");
    let (cache_at, directory_at) = (cache.address(), directory.address());
    let section = format!(
        "[networkcache]\ndownload-cache-url = http://reader:se%%40cret@{cache_at}/\n\
         download-dir-url = http://{directory_at}\nsignature-private-key-file = /nowhere\n"
    );
    fs::write(&file, section).expect("written");
    let said = import_with(&home, &["--from-config", &file.display().to_string()], &["pypi:a=1"]);
    assert_eq!(said.counts(), [1, 1, 0, 0, 0]);
    let asked = cache.asked().pop().expect("a request").head;
    // reader:se@cret
    assert!(asked.contains("Basic cmVhZGVyOnNlQGNyZXQ="), "{asked}");
}

#[test]
fn the_proxy_of_the_environment_is_asked() {
    let proxy = OtherServer::start(|path, connection| match path {
        "http://nowhere.invalid/shadir/a" => good_list(connection),
        _ => good_blob(connection),
    });
    let home = Home::new();
    let list = home.path().join("keys");
    fs::write(&list, "a").expect("written");
    let (data, list) = (home.data().display().to_string(), list.display().to_string());
    let words =
        ["import", "--data", &data, "--keys", &list, "--from", "http://nowhere.invalid", "--quiet"];
    let output = home.shacached(&words).env("http_proxy", proxy.url()).output().expect("ran");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("imported 1 blobs (5 bytes), 1 entries"));
    assert_eq!(proxy.times("http://nowhere.invalid/shacache/"), 1);
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let answer = |path: &str, connection: &mut TcpStream| {
        let listed = format!("[{}, {}]", entry("small", SMALL), entry("large", &large()));
        match path.strip_prefix("/shacache/") {
            None => send(connection, "200 OK", listed.as_bytes()),
            Some(hex) if hex == Digest::of(SMALL).to_string() => send(connection, "200 OK", SMALL),
            Some(_) => send(connection, "200 OK", &large()),
        }
    };
    here_and_in_a_server(|home| {
        let source = OtherServer::start(answer);
        // Two keys name the same blobs at the same time.
        let keys = ["a", "b", "c", "d"];
        assert_eq!(import(home, &source.url(), &keys).counts(), [2, 8, 0, 0, 0]);
        assert_eq!(source.times("/shacache/"), 2);
        fs::remove_file(blob_path(home, SMALL)).expect("it is there");
        assert_eq!(import(home, &source.url(), &keys).counts(), [1, 0, 8, 0, 0]);
        assert_eq!(source.times("/shacache/"), 3);
    });
}

/// What was deleted or banned here is neither taken nor fetched.
#[test]
fn what_is_unwanted_here_is_not_fetched() {
    let source = OtherServer::start(|path, connection| {
        let banned = format!("[{}]", entry("banned", b"banned"));
        let deleted = format!("[{}]", entry("deleted", b"deleted"));
        match path {
            "/shadir/banned" => send(connection, "200 OK", banned.as_bytes()),
            "/shadir/deleted" => send(connection, "200 OK", deleted.as_bytes()),
            _ => send(connection, "200 OK", b"deleted"),
        }
    });
    here_and_in_a_server(|home| {
        let data = home.data().display().to_string();
        let run = |words: &[&str]| {
            let output = home.run(&[words, &["--data", &data, "--why", "test"]].concat());
            assert!(output.status.success(), "{}", text(&output.stderr));
        };
        assert_eq!(import(home, &source.url(), &["deleted"]).counts(), [1, 1, 0, 0, 0]);
        run(&["delete", "--key", "deleted"]);
        run(&["ban", &Digest::of(b"banned").to_string()]);
        fs::remove_file(blob_path(home, b"deleted")).expect("it is there");
        let before = source.times("/shacache/");
        let said = import(home, &source.url(), &["deleted", "banned"]);
        assert_eq!(said.counts(), [0, 1, 0, 0, 2], "{}", said.details());
        assert_eq!(said.codes(), ["unwanted", "unwanted"]);
        assert_eq!(source.times("/shacache/"), before, "asked for a blob");
        assert!(!blob_path(home, b"deleted").exists());
    });
}

const SMALL: &[u8] = b"small";
