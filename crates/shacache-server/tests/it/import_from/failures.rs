//! A source that fails, is not there or has nothing, and an archive with no room: what is told, and
//! with which exit code it ends.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use futures_util::future;
use shacache_core::digest::Digest;
use shacache_core::key::Key;
use shacache_server::upstream::UpstreamError;
use tokio::runtime::Runtime;

use super::*;
use crate::other_server::write;
use crate::program::wait_until;

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
        (&["--from", "http://me:x/secret@a", "--keys", &empty], 1, "not a URL: http://a/shacache"),
        (&["--from", "http://a?key=", "--keys", &empty], 1, "ends before `?`"),
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

/// With the tries as they are, when each waits as long as it may.
#[test]
fn a_server_that_accepts_and_says_nothing_is_not_there() {
    let silent = OtherServer::start(|path, connection| match path {
        "/shadir/there" => send(connection, "404 No", b""),
        // Until the other side has enough.
        _ => drop(connection.read(&mut [0])),
    });
    let upstream = upstream(&silent, Duration::from_millis(300), 5);
    let key = |name: &str| name.parse::<Key>().expect("a key");
    let runtime = Runtime::new().expect("a runtime");
    let listing = |name| runtime.block_on(upstream.listing(&key(name), 1000));
    let gone = listing("silent").expect_err("silence");
    assert!(matches!(gone, UpstreamError::Gone { .. }), "{gone:?}");
    // Once it has answered, one thing says nothing about the next one.
    listing("there").expect("an answer");
    let failed = listing("silent").expect_err("silence");
    assert!(matches!(failed, UpstreamError::Failed(_)), "{failed:?}");
    let tried: Vec<Key> = (0..9).map(|number| key(&number.to_string())).collect();
    let failed = runtime.block_on(future::join_all(tried.iter().map(|it| upstream.listing(it, 9))));
    let ends = |it: &&Result<_, _>| matches!(it, Err(UpstreamError::Failing { times: 10, .. }));
    assert_eq!(failed.iter().filter(ends).count(), 1, "{failed:?}");
}

#[test]
fn a_server_that_refuses_everything_ends_the_run() {
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for status in ["403 No", "302 Elsewhere", "501 What"] {
        let source = OtherServer::start(move |_, connection| send(connection, status, b""));
        let said = import(&Home::new(), &source.url(), &keys);
        assert_eq!(said.code, Some(5), "{status}: {}", said.errors);
        let shown = format!("{}/shadir failed 10 times in a row: ", source.url());
        assert!(said.errors.contains(&shown), "{}", said.errors);
        assert!(source.times("/") < 20, "{}", source.times("/"));
    }
    // Whoever may read some may not read others.
    let source = OtherServer::start(|path, connection| match path {
        "/shadir/open" => good_list(connection),
        "/shadir/closed" => {
            send(connection, "401 No", b"");
        }
        _ => good_blob(connection),
    });
    let upstream = upstream(&source, Duration::from_secs(30), 1);
    let runtime = Runtime::new().expect("a runtime");
    let listing = |name: &str| {
        let key = name.parse().expect("a key");
        runtime.block_on(upstream.listing(&key, 1000))
    };
    assert!(matches!(listing("closed"), Err(UpstreamError::Denied { .. })));
    listing("open").expect("a list");
    assert!(matches!(listing("closed"), Err(UpstreamError::Failed(_))));
}

/// As where the address is wrong by a part of its path.
#[test]
fn a_server_that_has_nothing_is_no_success() {
    here_and_in_a_server(|home| {
        let source = OtherServer::start(|_, connection| send(connection, "404 Not Found", b""));
        let said = import(home, &source.url(), &["a", "b"]);
        assert_eq!(said.code, Some(5), "{}", said.errors);
        assert_eq!(said.counts(), [0, 0, 0, 0, 2]);
        assert_eq!(said.errors.lines().count(), 1, "{}", said.errors);
        let shown = format!("{}/shadir has none of these keys", source.url());
        assert!(said.errors.contains(&shown), "{}", said.errors);

        let source = OtherServer::start(|path, connection| match path {
            "/shadir/a" => good_list(connection),
            _ => send(connection, "404 Not Found", b""),
        });
        let said = import(home, &source.url(), &["a", "b"]);
        assert_eq!(said.code, Some(5), "{}", said.errors);
        assert_eq!(said.counts(), [0, 1, 0, 0, 2]);
        let shown = format!("{}/shacache has none of the blobs", source.url());
        assert!(said.errors.contains(&shown), "{}", said.errors);
    });
}

/// One that is larger than the disk keeps no other away, and nothing of it is fetched for that.
#[test]
fn what_there_is_no_room_for_is_told_and_the_rest_is_taken() {
    let huge = 1_u64 << 60;
    let source = OtherServer::start(move |path, connection| {
        let listed = format!("[{}, {}]", entry("huge", b"huge"), entry("good", SMALL));
        match path {
            "/shadir/key" => send(connection, "200 OK", listed.as_bytes()),
            _ if path.ends_with(&Digest::of(SMALL).to_string()) => good_blob(connection),
            _ => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {huge}\r\n\r\n");
                let mut goes_on = write(connection, head.as_bytes());
                while goes_on {
                    goes_on = write(connection, &[0; 65_536]);
                }
            }
        }
    });
    let limit = (huge * 2).to_string();
    let _server;
    let [alone, served] = [Home::new(), Home::new()];
    _server = served.serve(&[]);
    for home in [alone, served] {
        let list = home.path().join("keys");
        fs::write(&list, "key").expect("written");
        let (data, list) = (home.data().display().to_string(), list.display().to_string());
        let url = source.url();
        let words = ["import", "--json", "--data", &data, "--keys", &list, "--from", &url];
        let output = home
            .shacached(&words)
            .env("SHACACHED_LIMIT__BLOB_BYTES", &limit)
            .output()
            .expect("ran");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{errors}");
        let report = Some(serde_json::from_slice(&output.stdout).expect("JSON"));
        let said = Said { code: Some(4), report, errors };
        assert_eq!(said.codes(), ["no-space", "unreadable"], "{}", said.details());
        assert_eq!(said.counts()[..2], [1, 1]);
    }
}

/// What could not be taken is not fetched.
#[test]
fn a_key_that_is_full_ends_its_list() {
    let source = OtherServer::start(|path, connection| match path {
        "/shadir/key" => {
            // Of 64 KiB each; a key takes 16 MiB.
            let long = "x".repeat(65_300);
            let listed = (0..260).map(|number| entry(&format!("{number} {long}"), SMALL));
            let listed: Vec<_> = listed.chain([entry("last", b"last")]).collect();
            send(connection, "200 OK", format!("[{}]", listed.join(", ")).as_bytes());
        }
        _ => good_blob(connection),
    });
    let said = import(&Home::new(), &source.url(), &["key"]);
    assert_eq!(said.code, Some(4), "{}", said.errors);
    assert_eq!(said.codes(), ["key-full"], "{}", said.details());
    assert!(said.details().contains("what follows in the list is left out"));
    assert_eq!(source.times("/shacache/"), 1);
}

/// No request can ask for it: the address would be that of something else.
#[test]
fn a_key_that_is_a_step_in_a_path_is_not_asked_for() {
    let source = OtherServer::start(|path, connection| match path {
        "/shadir/good" => good_list(connection),
        "/shacache/" => panic!("that is no blob"),
        _ if path.starts_with("/shacache/") => good_blob(connection),
        _ => send(connection, "404 Not Found", b""),
    });
    let said = import(&Home::new(), &source.url(), &["..", "good", "."]);
    assert_eq!(said.code, Some(4), "{}", said.errors);
    assert_eq!(said.codes(), ["unreadable", "unreadable"], "{}", said.details());
    assert!(said.details().contains("steps in a path"), "{}", said.details());
    assert_eq!(said.counts()[..2], [1, 1]);
    assert_eq!(source.times("/"), 2);
}
