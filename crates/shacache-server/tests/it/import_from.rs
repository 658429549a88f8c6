//! `shacached import --from`: what another server answers is taken, and nothing of what it lies about.

use std::fs;
use std::future;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use serde_json::Value;
use shacache_core::digest::Digest;
use shacache_server::upstream::{Location, Patience, Upstream, UpstreamError};
use tokio::runtime::Runtime;

use crate::other_server::{OtherServer, send, write};
use crate::program::{Home, Program, wait_until};
use crate::raw_http::request;

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
    let list = home.path().join("keys");
    fs::write(&list, keys.join("\n")).expect("written");
    let (data, list) = (home.data().display().to_string(), list.display().to_string());
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
    import_with(home, &["--from", url, "--timeout", "1", "--tries", "2"], keys)
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

/// One way to lie about a key or a blob.
struct Lie {
    name: &'static str,
    list: fn(&mut TcpStream),
    blob: fn(&mut TcpStream),
    /// What has to be said about it.
    codes: &'static [&'static str],
    says: &'static str,
}

fn good_list(connection: &mut TcpStream) {
    send(connection, "200 OK", format!("[{}]", entry("x", SMALL)).as_bytes());
}

fn good_blob(connection: &mut TcpStream) {
    send(connection, "200 OK", SMALL);
}

fn endless(connection: &mut TcpStream, piece: &[u8]) {
    let mut goes_on = write(connection, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    while goes_on {
        goes_on = write(connection, piece);
    }
}

fn slow(connection: &mut TcpStream) {
    trickle(connection, 5);
}

fn trickle(connection: &mut TcpStream, length: u64) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let mut goes_on = write(connection, head.as_bytes());
    while goes_on {
        // What is slow about it.
        thread::sleep(Duration::from_millis(700));
        goes_on = write(connection, b"s");
    }
}

fn redirect(connection: &mut TcpStream) {
    let address = connection.local_addr().expect("connected");
    let head = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{address}/shadir/key\r\nContent-Length: 0\r\n\r\n"
    );
    write(connection, head.as_bytes());
}

const LIES: &[Lie] = &[
    Lie {
        name: "other bytes",
        list: good_list,
        blob: |connection| send(connection, "200 OK", b"SMALL"),
        codes: &["blob-damaged", "unreadable"],
        says: "bytes with another digest",
    },
    Lie {
        name: "a page for a blob",
        list: good_list,
        blob: |connection| {
            let page =
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
            write(connection, page);
        },
        codes: &["blob-damaged", "unreadable"],
        says: "it sends HTML",
    },
    Lie {
        name: "fewer bytes than announced",
        list: good_list,
        blob: |connection| {
            write(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nsmall");
        },
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "a blob without end",
        list: good_list,
        blob: |connection| endless(connection, &[0; 65_536]),
        codes: &["unreadable", "unreadable"],
        says: "longer than 5000000 bytes",
    },
    Lie {
        name: "a blob of all the bytes there are",
        list: good_list,
        blob: |connection| trickle(connection, 1_000_000_000_000_000_000),
        codes: &["unreadable", "unreadable"],
        says: "longer than 5000000 bytes",
    },
    Lie {
        name: "a blob that trickles",
        list: good_list,
        blob: slow,
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "a blob that fails",
        list: good_list,
        blob: |connection| send(connection, "500 Oh", b""),
        codes: &["unreadable", "unreadable"],
        says: "gave up after 2 tries: the server answered 500",
    },
    Lie {
        name: "a page for a list",
        list: |connection| send(connection, "200 OK", b"<html>"),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "not a JSON list",
    },
    Lie {
        name: "half a list",
        list: |connection| send(connection, "200 OK", b"[[\"{"),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "ends early",
    },
    Lie {
        name: "a list without end",
        list: |connection| endless(connection, &[b' '; 65_536]),
        blob: good_blob,
        codes: &["entry-damaged"],
        says: "lists more than 33554432 bytes",
    },
    Lie {
        name: "a list of what is none",
        list: |connection| send(connection, "200 OK", b"[7, [\"{}\", \"\"], [\"x\"], null]"),
        blob: good_blob,
        codes: &["entry-damaged", "entry-damaged", "entry-damaged", "entry-damaged"],
        says: "",
    },
    Lie {
        name: "a list that trickles",
        list: slow,
        blob: good_blob,
        codes: &["unreadable"],
        says: "gave up after 2 tries",
    },
    Lie {
        name: "round and round",
        list: redirect,
        blob: good_blob,
        codes: &["unreadable"],
        says: "the server answered 302",
    },
];

#[test]
fn a_lie_is_told_and_nothing_of_it_is_published() {
    thread::scope(|scope| {
        for lie in LIES {
            scope.spawn(move || {
                let (list, blob) = (lie.list, lie.blob);
                let source = OtherServer::start(move |path, connection| {
                    if path.starts_with("/shadir/") { list(connection) } else { blob(connection) }
                });
                let home = Home::new();
                let started = Instant::now();
                let said = import(&home, &source.url(), &["key"]);
                assert!(started.elapsed() < LIMIT, "{}: {:?}", lie.name, started.elapsed());
                assert_eq!(said.code, Some(4), "{}: {}", lie.name, said.errors);
                assert_eq!(said.codes(), lie.codes, "{}: {}", lie.name, said.details());
                assert!(said.details().contains(lie.says), "{}: {}", lie.name, said.details());
                assert_eq!(said.counts()[..2], [0, 0], "{}", lie.name);
                is_empty(&home);
            });
        }
    });
}

/// Fast enough never to count as silent, and too slow to come to an end.
#[test]
fn what_takes_too_long_as_a_whole_is_given_up() {
    let source = OtherServer::start(|path, connection| {
        let mut goes_on = write(connection, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let piece = if path.starts_with("/shadir/") { [b' '; 8192] } else { [0; 8192] };
        while goes_on {
            // What is slow about it.
            thread::sleep(Duration::from_millis(100));
            goes_on = write(connection, &piece);
        }
    });
    let patience =
        Patience { wait: Duration::from_millis(200), tries: NonZeroUsize::new(1).expect("one") };
    let upstream = Upstream::open(&Location::Server(source.url()), patience).expect("a URL");
    let runtime = Runtime::new().expect("a runtime");
    let (list, blob) = runtime.block_on(async {
        let key = "key".parse().expect("a key");
        let digest = Digest::of(SMALL);
        let list = upstream.listing(&key, 1 << 30);
        let blob = async {
            let pieces = upstream.blob(&digest, 1 << 30).await.expect("an answer").expect("a blob");
            pieces.try_for_each(|_| future::ready(Ok(()))).await
        };
        tokio::join!(list, blob)
    });
    assert!(matches!(list, Err(UpstreamError::Slow { .. })), "{list:?}");
    assert!(matches!(blob, Err(UpstreamError::Slow { .. })), "{blob:?}");
}

/// One that cannot be had keeps nothing else away.
#[test]
fn what_fails_is_told_and_the_rest_is_taken() {
    let source = OtherServer::start(|path, connection| {
        let good = format!("[7, {}, {}]", entry("lost", b"lost"), entry("good", SMALL));
        match path {
            "/shadir/failing" => send(connection, "500 Oh", b""),
            "/shadir/good" => send(connection, "200 OK", good.as_bytes()),
            _ if path.ends_with(&Digest::of(SMALL).to_string()) => good_blob(connection),
            _ => send(connection, "404 Not Found", b""),
        }
    });
    here_and_in_a_server(|home| {
        let long = "x".repeat(600);
        let said = import(home, &source.url(), &["failing", &long, "good"]);
        assert_eq!(said.code, Some(4), "{}", said.errors);
        // Of the blob that nobody has the entry is taken: it is a statement all the same.
        assert_eq!(said.counts(), [1, 2, 0, 3, 1], "{}", said.details());
        let url = source.url();
        let told = |code: &str, path: &str| (code.to_owned(), path.to_owned());
        let list = home.path().join("keys").display().to_string();
        let mut expected = [
            told("blob-missing", &format!("{url}/shadir/good[1]")),
            told("entry-damaged", &format!("{url}/shadir/good[0]")),
            told("stray", &format!("{list}:2")),
            told("unreadable", &format!("{url}/shadir/failing")),
        ];
        expected.sort();
        assert_eq!(said.found(), expected);
    });
    assert_eq!(source.times("/shadir/failing"), 4, "twice each");
}

#[test]
fn a_server_that_is_not_there_is_one_line() {
    let home = Home::new();
    let gone = OtherServer::start(|_, _| {}).address();
    let said = import(&home, &format!("http://me:secret@{gone}"), &["a", "b"]);
    assert_eq!(said.code, Some(5), "{}", said.errors);
    assert_eq!(said.errors.lines().count(), 1, "{}", said.errors);
    assert!(said.errors.contains(&format!("http://{gone}/shadir cannot be reached: ")));
    assert!(!said.errors.contains("secret"), "{}", said.errors);
    assert!(said.report.is_none());

    let closed = OtherServer::start(|_, connection| send(connection, "401 No", b""));
    let url = format!("http://me:secret@{}", closed.address());
    let said = import(&home, &url, &["a", "b"]);
    assert_eq!(said.code, Some(1), "{}", said.errors);
    assert!(said.errors.contains("wants a user and password"), "{}", said.errors);
    assert!(!said.errors.contains("secret"), "{}", said.errors);
}

/// Nobody waits for days until the last of many keys has failed, too.
#[test]
fn a_server_that_goes_down_ends_the_run_and_what_was_taken_stays() {
    let home = Home::new();
    let entries = home.data().join("archive/entries");
    let source = OtherServer::start(move |path, connection| match path {
        "/shadir/good" => good_list(connection),
        _ if path.starts_with("/shadir/") => {
            wait_until("an entry", || !files(&entries).is_empty());
            send(connection, "503 Down", b"");
        }
        _ => good_blob(connection),
    });
    let keys: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let options = ["--from", &source.url(), "--tries", "1"];
    let said = import_with(&home, &options, &[&["good"], &keys[..]].concat());
    assert_eq!(said.code, Some(5), "{}", said.errors);
    assert_eq!(said.errors.lines().count(), 1, "{}", said.errors);
    // Its name shows before it is counted, and the end may come in between.
    assert_eq!(said.counts()[0], 1);
    assert_eq!(files(&home.data().join("archive/entries")).len(), 1);
    assert!(source.times("/shadir/key-") < 20, "{}", source.times("/shadir/key-"));
}

#[test]
fn wrong_usage_is_one_line_without_the_password() {
    let home = Home::new();
    let data = home.data().display().to_string();
    let empty = home.path().join("empty");
    fs::write(&empty, "\n").expect("written");
    let empty = empty.display().to_string();
    for (words, code, says) in [
        (&["--from", "http://a"][..], 2, "--keys"),
        (&["--keys", "/dev/null"], 2, "--from"),
        (&["--from", "http://a", "--keys", &empty, "folder"], 2, "cannot be used with"),
        (&["--from", "http://a", "--from-dir", "http://b", "--keys", &empty], 2, "cannot be used"),
        (&["--from-cache", "http://a", "--keys", &empty], 2, "--from-dir"),
        (&["--timeout", "3", "folder"], 2, "--keys"),
        (&["--from", "http://me:secret@[", "--keys", &empty], 1, "not a URL: http://["),
        (&["--from", "ftp://me:secret@a", "--keys", &empty], 1, "neither http nor https"),
        (&["--from", "http://a", "--keys", &empty], 1, "empty: no key in it"),
        (&["--from", "http://a", "--keys", "/absent"], 1, "/absent: No such file"),
        (&["--from-config", &empty, "--keys", &empty], 1, "[networkcache]"),
    ] {
        let output = home.run(&[&["import", "--data", &data], words].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
        assert!(code == 2 || said.lines().count() == 1, "{said}");
        assert!(!said.contains("secret"), "{said}");
        assert!(!home.data().exists());
    }
}

const SMALL: &[u8] = b"small";
/// For what ends after two tries of a second each, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(30);
