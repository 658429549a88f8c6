//! `shacached import`, beside a server and without: the outcome is the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use shacache_core::digest::Digest;

use crate::program::{Home, Program};
use crate::raw_http::request;

/// A home whose archive has entries of two keys and their blobs, and nobody who serves it.
fn filled() -> Home {
    let home = Home::new();
    let server = home.serve(&[]);
    for (key, bytes) in [("a", SMALL), ("b", SMALL), ("b", &large())] {
        put(&server, key, bytes);
    }
    server.stop();
    home
}

fn put(server: &Program, key: &str, bytes: &[u8]) {
    assert_eq!(request(server.address(), "POST", "/shacache", bytes).status, 201);
    let entry = format!(r#"["{{\"sha512\": \"{}\"}}", ""]"#, Digest::of(bytes));
    let path = format!("/shadir/{key}");
    assert_eq!(request(server.address(), "PUT", &path, entry.as_bytes()).status, 201);
}

/// More than is sent or kept in one piece.
fn large() -> Vec<u8> {
    (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).take(3_000_001).collect()
}

/// Exports to a folder or file in the home, and says where that is.
fn export(home: &Home, to: &str) -> PathBuf {
    let to = home.path().join(to);
    let (data, path) = (home.data().display().to_string(), to.display().to_string());
    let output = home.run(&["export", "--data", &data, &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    to
}

fn import(home: &Home, arguments: &[&str]) -> Output {
    let data = home.data().display().to_string();
    home.run(&[&["import", "--data", &data], arguments].concat())
}

/// Imports, and gives the report if it ends with this exit code.
fn report(home: &Home, arguments: &[&str], code: i32) -> Value {
    let output = import(home, &[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn counts(report: &Value) -> [u64; 5] {
    ["blobs", "entries", "already", "damage", "notes"]
        .map(|name| report[name].as_u64().expect("a number"))
}

/// The code and path of each finding.
fn findings(report: &Value) -> Vec<(String, String)> {
    let of = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
    let listed = report["findings"].as_array().expect("a list");
    let mut found: Vec<_> =
        listed.iter().map(|finding| (of(finding, "code"), of(finding, "path"))).collect();
    found.sort();
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn archive(home: &Home) -> PathBuf {
    home.data().join("archive")
}

/// `diff -r` of what both have.
fn same(one: &Path, other: &Path) {
    let output = Command::new("diff").arg("-r").args([one, other]).output().expect("ran");
    assert!(output.status.success(), "{}", text(&output.stdout));
}

fn blob_path(home: &Home, bytes: &[u8]) -> PathBuf {
    let hex = Digest::of(bytes).to_string();
    archive(home).join("blobs").join(&hex[..2]).join(&hex[2..4]).join(&hex)
}

/// The file of the only entry of a key.
fn entry_path(home: &Home, key: &str) -> PathBuf {
    let fan_outs = fs::read_dir(archive(home).join("entries")).expect("listed");
    let mut folders = fan_outs.map(|fan_out| fan_out.expect("listed").path().join(key));
    let folder = folders.find(|folder| folder.is_dir()).expect("the key's folder");
    let first = fs::read_dir(folder).expect("listed").next().expect("an entry");
    first.expect("listed").path()
}

/// Lets `check` look at an empty home without a server and at one with.
fn here_and_in_a_server(check: impl Fn(&Home)) {
    check(&Home::new());
    let home = Home::new();
    let _server = home.serve(&[]);
    check(&home);
}

#[test]
fn what_was_exported_comes_back_the_same() {
    let from = filled();
    let folder = export(&from, "folder").display().to_string();
    let file = export(&from, "export.tar").display().to_string();
    for source in [&folder, &file, &from.data().display().to_string()] {
        here_and_in_a_server(|home| {
            let output = import(home, &[source]);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            let expected = "imported 2 blobs (3000006 bytes), 3 entries and 0 other files; \
                            0 were there; 0 damaged, 0 to note\n";
            assert_eq!(text(&output.stdout), expected);
            same(&archive(home), &archive(&from));
            // Again it changes nothing.
            assert_eq!(counts(&report(home, &[source], 0)), [0, 0, 5, 0, 0]);
            same(&archive(home), &archive(&from));
        });
    }
}

#[test]
fn what_a_server_takes_in_it_serves_at_once() {
    let (from, home) = (filled(), Home::new());
    let server = home.serve(&[]);
    // The miss may not be remembered.
    assert_eq!(request(server.address(), "GET", "/shadir/a", b"").status, 404);
    report(&home, &[&export(&from, "folder").display().to_string()], 0);
    let path = format!("/shacache/{}", Digest::of(SMALL));
    assert_eq!(request(server.address(), "GET", &path, b"").text(), "small");
    let listed = request(server.address(), "GET", "/shadir/b", b"").text();
    assert_eq!(listed.matches("sha512").count(), 2, "{listed}");
}

#[test]
fn a_stream_is_taken_from_standard_input() {
    let from = filled();
    let home = Home::new();
    let file = export(&from, "export.tar");
    let data = home.data().display().to_string();
    let mut shacached = home.shacached(&["import", "--data", &data, "-"]);
    let output = shacached.stdin(File::open(&file).expect("opened")).output().expect("ran");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    same(&archive(&home), &archive(&from));
}

/// What comes of a stream that ends too early is told, and the next run takes the rest.
#[test]
fn an_import_that_was_cut_off_is_run_again() {
    let from = filled();
    let file = export(&from, "export.tar");
    let whole = fs::read(&file).expect("read");
    here_and_in_a_server(|home| {
        for length in [whole.len() / 2, whole.len() - 1024] {
            let cut_off = home.path().join("cut-off.tar");
            fs::write(&cut_off, &whole[..length]).expect("written");
            let output = import(home, &[&cut_off.display().to_string()]);
            assert_eq!(output.status.code(), Some(1), "{length}");
            let said = text(&output.stderr);
            let last = said.lines().last().expect("a line");
            assert!(last.contains("cut-off.tar"), "{said}");
        }
        report(home, &[&file.display().to_string()], 0);
        same(&archive(home), &archive(&from));
    });
}

/// Killed while the bytes of a blob still come.
#[test]
fn an_import_that_was_killed_is_run_again() {
    let from = filled();
    let file = export(&from, "export.tar");
    let whole = fs::read(&file).expect("read");
    here_and_in_a_server(|home| {
        let data = home.data().display().to_string();
        let mut shacached = home.shacached(&["import", "--data", &data, "-"]);
        let mut import = shacached.stdin(Stdio::piped()).spawn().expect("ran");
        let mut stream = import.stdin.take().expect("asked for");
        // Returns when all but what a pipe holds was taken.
        std::io::Write::write_all(&mut stream, &whole[..whole.len() - 200_000]).expect("taken");
        import.kill().expect("it runs");
        import.wait().expect("a child");
        report(home, &[&file.display().to_string()], 0);
        same(&archive(home), &archive(&from));
    });
}

#[test]
fn damaged_input_is_told_and_the_rest_is_taken() {
    let from = filled();
    let blob = blob_path(&from, SMALL);
    let entry = entry_path(&from, "a");
    let stray = archive(&from).join("entries/note.txt");
    fs::write(&blob, "SMALL").expect("written");
    fs::write(&entry, "[]").expect("written");
    fs::write(&stray, "").expect("written");
    let file = from.path().join("export.tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&file).arg("-C").arg(archive(&from)).args(["VERSION", "blobs", "entries"]);
    assert!(tar.status().expect("ran").success());
    let data = from.data().display().to_string();
    for (source, prefix) in [
        (data, format!("{}/", archive(&from).display())),
        (file.display().to_string(), format!("{}: ", file.display())),
    ] {
        here_and_in_a_server(|home| {
            let report = report(home, &[&source], 4);
            assert_eq!(counts(&report), [1, 2, 0, 3, 0]);
            let told = |code: &str, path: &Path| {
                let path = path.strip_prefix(archive(&from)).expect("in the archive");
                (code.to_owned(), format!("{prefix}{}", path.display()))
            };
            let expected =
                [told("blob-damaged", &blob), told("entry-damaged", &entry), told("stray", &stray)];
            assert_eq!(findings(&report), expected);
            assert!(!blob_path(home, SMALL).exists());
            assert_eq!(fs::read(blob_path(home, &large())).expect("read"), large());
        });
    }
}

#[test]
fn a_good_blob_does_not_replace_a_damaged_one_but_puts_it_aside() {
    let from = filled();
    let folder = export(&from, "folder").display().to_string();
    here_and_in_a_server(|home| {
        report(home, &[&folder], 0);
        // As long as the whole one.
        let mut rotten = large();
        rotten[1_000_000] ^= 1;
        let path = blob_path(home, &large());
        fs::write(&path, &rotten).expect("written");
        assert_eq!(counts(&report(home, &[&folder], 0)), [1, 0, 4, 0, 0]);
        assert_eq!(fs::read(&path).expect("read"), large());
        let quarantine = fs::read_dir(home.data().join("quarantine/damaged")).expect("listed");
        let kept: Vec<_> = quarantine.map(|file| file.expect("listed").path()).collect();
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read(&kept[0]).expect("read"), rotten);
    });
}

#[test]
fn what_is_no_export_is_refused_before_anything_is_made() {
    let home = Home::new();
    let [empty, newer, file] = ["empty", "newer", "file.tar"].map(|name| home.path().join(name));
    fs::create_dir(&empty).expect("made");
    fs::create_dir(&newer).expect("made");
    fs::write(newer.join("VERSION"), "2\n").expect("written");
    let [empty, newer, absent] =
        [empty, newer, home.path().join("absent")].map(|path| path.display().to_string());
    for (arguments, says) in [
        (&[empty.as_str()][..], "there is no archive in it"),
        (&[&newer], "archive format \"2\""),
        (&[&absent], "No such file"),
        (&["--slapproxy", &empty, &absent], "absent: not a folder"),
    ] {
        let output = import(&home, arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
        assert!(!home.data().exists());
    }
    fs::write(&file, "no tar").expect("written");
    let output = import(&home, &[&file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("file.tar"));
    assert_eq!(import(&home, &[]).status.code(), Some(2));
}

/// The folders as slapproxy writes them: whole lists, and files that were cut short.
#[test]
fn what_a_slapproxy_kept_is_taken() {
    let place = Home::new();
    let [content, metadata] = ["content", "metadata"].map(|name| place.path().join(name));
    fs::create_dir(&content).expect("made");
    fs::create_dir(&metadata).expect("made");
    let digest = Digest::of(SMALL);
    let entry = |note: &str, digest: &Digest| {
        let text = format!(r#"{{"sha512": "{digest}", "note": "{note}"}}"#);
        format!(r#"[{}, ""]"#, Value::from(text))
    };
    let list = format!("[{}, {}]", entry("first", &digest), entry("second", &digest));
    let missing = Digest::of(b"missing");
    for (path, bytes) in [
        (content.join(digest.to_string()), SMALL),
        (content.join(Digest::of(&large()).to_string()), &large()[..2_000_000]),
        (content.join("note"), b""),
        (metadata.join("pypi:a=1.0"), list.as_bytes()),
        (metadata.join("lost"), format!("[{}]", entry("lost", &missing)).as_bytes()),
        (metadata.join("mixed"), format!("[{}, [\"{{}}\"]]", entry("m", &digest)).as_bytes()),
        (metadata.join("torn"), b"[[\"{"),
    ] {
        fs::write(path, bytes).expect("written");
    }
    let folders = [content.display().to_string(), metadata.display().to_string()];
    here_and_in_a_server(|home| {
        let report_of = |code| report(home, &["--slapproxy", &folders[0], &folders[1]], code);
        let report = report_of(4);
        assert_eq!(counts(&report), [1, 4, 0, 4, 1]);
        let told = |code: &str, path: PathBuf| (code.to_owned(), path.display().to_string());
        let mut expected = [
            told("blob-damaged", content.join(Digest::of(&large()).to_string())),
            told("blob-missing", metadata.join("lost")),
            told("entry-damaged", metadata.join("mixed[1]")),
            told("entry-damaged", metadata.join("torn")),
            told("stray", content.join("note")),
        ];
        expected.sort();
        assert_eq!(findings(&report), expected);
        assert_eq!(counts(&report_of(4)), [0, 0, 5, 4, 1], "again it changes nothing");
    });
    let home = Home::new();
    let server = home.serve(&[]);
    report(&home, &["--slapproxy", &folders[0], &folders[1]], 4);
    let answer = request(server.address(), "GET", "/shadir/pypi:a=1.0", b"").text();
    assert_eq!(answer.replace(' ', ""), list.replace(' ', ""), "in their order");
}

const SMALL: &[u8] = b"small";
