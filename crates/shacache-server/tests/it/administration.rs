//! Commands of operators, beside a server and without one: the same words, and the same effect.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use shacache_core::digest::Digest;

use crate::program::{Home, wait_until};
use crate::raw_http::request;

/// A data folder with a blob that a key's entry names, and one that nothing names.
fn filled() -> Home {
    let home = Home::new();
    let server = home.serve(&[]);
    for bytes in [b"named", b"alone"] {
        assert_eq!(request(server.address(), "POST", "/shacache", bytes).status, 201);
    }
    let entry = |file: &str| {
        let digest = Digest::of(b"named");
        format!(
            r#"["{{\"sha512\": \"{digest}\", \"file\": \"{file}\", \"expiration_date\": \"2001-01-01\"}}", ""]"#
        )
    };
    for (key, file) in [("/shadir/one", "a.tar.gz"), ("/shadir/two", "b.zip")] {
        let put = request(server.address(), "PUT", key, entry(file).as_bytes());
        assert_eq!(put.status, 201);
    }
    server.stop();
    home
}

fn run(home: &Home, arguments: &[&str]) -> Output {
    let data = home.data().display().to_string();
    home.run(&[arguments, &["--data", &data]].concat())
}

fn lines(home: &Home, arguments: &[&str]) -> Vec<String> {
    let output = run(home, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn json(home: &Home, arguments: &[&str]) -> Value {
    let lines = lines(home, &[arguments, &["--json"]].concat());
    serde_json::from_str(&lines.join("\n")).expect("one JSON document")
}

/// What differs between two folders, in diff's words.
fn difference(one: &Path, other: &Path) -> String {
    let output = Command::new("diff").arg("-r").args([one, other]).output().expect("diff runs");
    String::from_utf8(output.stdout).expect("UTF-8") + &String::from_utf8_lossy(&output.stderr)
}

const WHY: [&str; 2] = ["--why", "a test"];

/// Has a test done beside a server and without one.
fn beside_and_without(test: impl Fn(&Home)) {
    let home = filled();
    test(&home);
    let home = filled();
    let server = home.serve(&[]);
    test(&home);
    server.stop();
}

#[test]
fn entries_keys_and_blobs_are_listed() {
    beside_and_without(|home| {
        wait_until("the index to know all", || json(home, &["search"])["complete"] == true);
        let found = json(home, &["search", "--file", "a.*", "--field", "sha512=*"]);
        assert_eq!(found["listed"].as_array().expect("a list").len(), 1);
        assert_eq!(found["listed"][0]["key"], "one");
        assert_eq!(lines(home, &["search", "--since", "2001-01-01"]).len(), 2);
        assert_eq!(lines(home, &["search", "--until", "2001-01-01"]).len(), 0);
        let keys = lines(home, &["keys"]);
        assert!(keys[0].starts_with("one  1 entries  newest 20"), "{keys:?}");
        assert_eq!(keys.len(), 2);
        let page = run(home, &["keys", "--limit", "1"]);
        assert_eq!(String::from_utf8_lossy(&page.stderr), "there may be more: --after \"one\"\n");
        assert_eq!(lines(home, &["keys", "--after", "one"]).len(), 1);
        let mut named: Vec<_> = lines(home, &["blobs"]);
        named.retain(|line| line.ends_with("  5 bytes  2 entries"));
        assert_eq!(named.len(), 1);
    });
}

#[test]
fn a_dry_run_changes_nothing() {
    beside_and_without(|home| {
        let digest = Digest::of(b"alone").to_string();
        let before = home.path().join("before");
        let archive = home.data().join("archive");
        let copied = Command::new("cp").arg("-r").args([&archive, &before]).status();
        assert!(copied.expect("cp runs").success());
        for (arguments, expected) in [
            (vec!["gc", "--unused-days", "0"], "would move 1 blobs and 0 entries (5 bytes)"),
            (vec!["gc", "--expired"], "would move 0 blobs and 2 entries"),
            (vec!["ban", &digest, WHY[0], WHY[1]], "would move 1 blobs and 0 entries"),
            (vec!["delete", "--key", "one", WHY[0], WHY[1]], "would move 0 blobs and 1 entries"),
        ] {
            let told = lines(home, &[&*arguments, &["--dry-run"]].concat());
            let last = told.last().expect("a line");
            assert!(last.starts_with(expected), "{told:?}");
            // What, and why.
            assert!(told.len() > 1 && told[0].contains(" bytes: "), "{told:?}");
        }
        assert_eq!(difference(&before, &archive), "");
        let quarantine = home.data().join("quarantine/collected");
        assert!(!quarantine.exists());
    });
}

#[test]
fn what_is_deleted_moves_to_quarantine_and_into_the_audit_log() {
    beside_and_without(|home| {
        let told = lines(home, &["delete", "--key", "one", WHY[0], WHY[1]]);
        let path = told[0].split("  ").next().expect("a path");
        assert!(!home.data().join("archive").join(path).exists());
        assert!(home.data().join("quarantine/collected").join(path).exists());
        let told = lines(home, &["gc", "--unused-days", "0"]);
        assert!(told.iter().any(|line| line.contains("no entry names it")), "{told:?}");
        let audit = "cat audit/*/*.json | jq -r '.action + \" \" + .why'";
        let archive = home.data().join("archive");
        let output = Command::new("sh").args(["-c", audit]).current_dir(archive).output();
        let audit = String::from_utf8(output.expect("a shell").stdout).expect("UTF-8");
        assert_eq!(audit, "delete-entries a test\ncollect-blobs nothing needs it\n");
    });
}

#[test]
fn a_held_blob_outlives_every_kind_of_deletion() {
    beside_and_without(|home| {
        let digest = Digest::of(b"named").to_string();
        let hold = ["hold", "add", "case", "--digest", &digest, WHY[0], WHY[1]];
        assert_eq!(lines(home, &hold), ["1 changed"]);
        assert_eq!(lines(home, &hold), ["0 changed"]);
        let held = json(home, &["hold", "list"]);
        assert_eq!(
            (&held[0]["name"], &held[0]["digest"]),
            (&"case".into(), &digest.as_str().into())
        );
        for refused in
            [vec!["delete", "--key", "one", WHY[0], WHY[1]], vec!["ban", &digest, WHY[0], WHY[1]]]
        {
            let output = run(home, &refused);
            let error = String::from_utf8(output.stderr).expect("UTF-8");
            assert_eq!(output.status.code(), Some(1), "{refused:?}");
            assert!(error.starts_with("shacached: ") && error.lines().count() == 1, "{error}");
            assert!(error.contains("case"), "{error}");
        }
        assert_eq!(json(home, &["gc", "--expired"])["held"], 2);
        assert_eq!(json(home, &["gc", "--unused-days", "0"])["blobs"], 1, "the other one");
        let path = home.data().join("archive/blobs").join(&digest[..2]).join(&digest[2..4]);
        assert!(path.join(&digest).exists());
        assert_eq!(lines(home, &["hold", "remove", "case", WHY[0], WHY[1]]), ["1 changed"]);
        assert_eq!(json(home, &["gc", "--expired"])["entries"], 2);
        assert_eq!(json(home, &["gc", "--unused-days", "0"])["blobs"], 1);
        assert!(!path.join(&digest).exists());
    });
}

#[test]
fn a_ban_ends_with_the_bytes_where_they_were() {
    let home = filled();
    let digest = Digest::of(b"named").to_string();
    let server = home.serve(&[]);
    let path = format!("/shacache/{digest}");
    let status = || request(server.address(), "GET", &path, b"").status;
    assert_eq!(status(), 200);
    lines(&home, &["ban", &digest, WHY[0], WHY[1]]);
    assert_eq!(status(), 404);
    assert_eq!(request(server.address(), "POST", "/shacache", b"named").status, 403);
    assert_eq!(lines(&home, &["unban", &digest, WHY[0], WHY[1]]), ["1 changed"]);
    assert_eq!(status(), 200);
    server.stop();
}

#[test]
fn a_command_that_makes_no_sense_is_refused_in_one_line() {
    let home = filled();
    for (arguments, code, line) in [
        (vec!["ban", "abc", WHY[0], WHY[1]], 1, "shacached: "),
        (vec!["hold", "add", "A", "--key", "k", WHY[0], WHY[1]], 1, "shacached: a hold's name"),
        (vec!["search", "--since", "soon"], 1, "shacached: \"soon\" is neither"),
        (vec!["keys", "--limit", "0"], 1, "shacached: a page has 1 to 10000"),
        (vec!["search", "--signer", "/nowhere"], 1, "shacached: cannot read /nowhere: "),
        (
            vec!["search", "--field", "url=a", "--url", "b"],
            1,
            "shacached: one pattern for the field \"url\", and not two",
        ),
        (vec!["delete", WHY[0], WHY[1]], 2, "error: "),
        (vec!["delete", "--key", "one"], 2, "error: "),
    ] {
        let output = run(&home, &arguments);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.starts_with(line), "{arguments:?}: {error}");
        assert!(code == 2 || error.lines().count() == 1, "{error}");
    }
}
