//! `shacached export`, beside a server and without.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use shacache_core::digest::Digest;

use crate::program::Home;
use crate::raw_http::request;

fn export(home: &Home, to: &Path, more: &[&str]) -> Output {
    let (data, to) = (home.data().display().to_string(), to.display().to_string());
    home.run(&[&["export", "--data", &data, &to], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Both have the same files; folders without any are made anew by whoever opens an archive.
fn same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|folder| {
        let list = "find . -type f -exec sha512sum {} + | sort";
        let listed = Command::new("sh").args(["-c", list]).current_dir(folder).output();
        text(&listed.expect("ran").stdout)
    });
    assert_eq!(one.lines().count(), 3, "{one}");
    assert_eq!(one, other);
}

#[test]
fn a_copy_is_made_while_the_server_runs() {
    let home = Home::new();
    let server = home.serve(&[]);
    let digest = Digest::of(b"hello");
    assert_eq!(request(server.address(), "POST", "/shacache", b"hello").status, 201);
    let entry = format!(r#"["{{\"sha512\": \"{digest}\"}}", ""]"#);
    assert_eq!(request(server.address(), "PUT", "/shadir/key", entry.as_bytes()).status, 201);
    let archive = home.data().join("archive");

    let folder = home.path().join("copy");
    let output = export(&home, &folder, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = "exported 1 blobs (5 bytes), 1 entries and 0 other files; 0 were there; \
                    0 damaged, 0 to note\n";
    assert_eq!(text(&output.stdout), expected);
    same(&folder, &archive);

    // It is all that a server needs.
    let other = Home::new();
    assert!(export(&home, &other.data().join("archive"), &[]).status.success());
    let second = other.serve(&[]);
    let path = format!("/shacache/{digest}");
    assert_eq!(request(second.address(), "GET", &path, b"").text(), "hello");
    assert!(request(second.address(), "GET", "/shadir/key", b"").text().contains("sha512"));

    // A stream is for tar(1), and what there is to say goes elsewhere.
    let output = export(&home, Path::new("-"), &[]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), expected.to_owned()));
    let (file, unpacked) = (home.path().join("copy.tar"), home.path().join("unpacked"));
    fs::write(&file, &output.stdout).expect("written");
    fs::create_dir(&unpacked).expect("made");
    let tar = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&unpacked).status();
    assert!(tar.expect("ran").success());
    same(&unpacked, &archive);

    let newer = home.path().join("newer.tar");
    let since = file.display().to_string();
    let output = export(&home, &newer, &["--since", &since, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["blobs"], &report["already"]), (&0.into(), &2.into()), "{report}");
    let newer = newer.display().to_string();
    let output = export(&home, Path::new(&newer), &["--since", &newer]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("an export since itself"), "{}", text(&output.stderr));
}

#[test]
fn what_is_damaged_is_left_out_with_exit_code_4() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(request(server.address(), "POST", "/shacache", b"hello").status, 201);
    server.stop();
    let hex = Digest::of(b"hello").to_string();
    let blob = home.data().join("archive/blobs").join(&hex[..2]).join(&hex[2..4]).join(&hex);
    fs::write(&blob, b"HELLO").expect("written");
    let output = export(&home, &home.path().join("copy"), &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.starts_with("blob-damaged") && said.contains(&blob.display().to_string()),
        "{said}"
    );
    assert_eq!(fs::read(&blob).expect("read"), b"HELLO", "an export changes nothing");
}

#[test]
fn where_no_archive_is_nothing_is_made() {
    let home = Home::new();
    for to in ["copy", "copy.tar"] {
        let to = home.path().join(to);
        let output = export(&home, &to, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("there is no archive in it"));
    }
    let found: Vec<_> = fs::read_dir(home.path()).expect("listed").collect();
    assert!(found.is_empty(), "{found:?}");
}
