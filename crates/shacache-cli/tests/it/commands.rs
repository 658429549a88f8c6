//! The modern commands: exit codes, data alone on standard output, nothing active on a terminal.

use std::fs;

use crate::programs::{run, run_with, said, shacache, succeed};
use crate::reference::Reference;

#[test]
fn exit_codes_tell_failures_apart() {
    let reference = Reference::start();
    let url = reference.url();
    let server = ["--server", url.as_str()];
    let nothing = "0".repeat(128);
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    let file = file.to_str().unwrap();
    succeed(shacache(&["upload", file, "-k", "bound"]).args(server));
    for (code, arguments) in [
        (0, vec!["list", "bound", "--no-trust"]),
        (1, vec!["upload", "/does/not/exist"]),
        (1, vec!["list", "k", "-c", "/does/not/exist"]),
        (2, vec!["download"]),
        (2, vec!["download", "xyz"]),
        (2, vec!["nonsense"]),
        (2, vec!["verify", file]),
        (2, vec!["list", "k", "--filter", "x"]),
        (2, vec!["list", ""]),
        (3, vec!["download", &nothing]),
        (3, vec!["list", "missing", "--no-trust"]),
        (3, vec!["list", "bound", "--no-trust", "--filter", "key==\"other\""]),
        (4, vec!["list", "bound"]),
        (4, vec!["verify", file, "--sha512", &nothing]),
        (5, vec!["list", "k", "--dir-url", "http://127.0.0.1:1"]),
    ] {
        let mut command = shacache(&arguments);
        if arguments[0] != "nonsense" {
            command.args(server);
        }
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert_eq!(output.stdout.is_empty(), code != 0, "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn no_server_is_wrong_usage() {
    let output = run(&mut shacache(&["list", "k"]));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn an_entry_of_another_key_is_refused() {
    let reference = Reference::start();
    let (url, config) = (reference.url(), reference.config());
    let config = config.to_str().unwrap();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    succeed(shacache(&["upload", "-c", config, "-u", &url]).arg(&file));
    let key = "file-urlmd5:";
    let from = fs::read_dir(reference.path("tree/shadir")).unwrap().next().unwrap().unwrap().path();
    fs::copy(from, reference.path("tree/shadir").join(key)).unwrap();
    let lookup = |more: &[&str]| run(shacache(&["download", "-c", config, "-k", key]).args(more));
    assert_eq!(lookup(&[]).status.code(), Some(4));
    assert_eq!(lookup(&["--no-trust"]).status.code(), Some(4));
    assert_eq!(lookup(&["--any-key-binding"]).stdout, b"content");
}

#[test]
fn what_is_uploaded_under_the_key_of_an_url_is_found_again() {
    let reference = Reference::start();
    let server = ["--server", &reference.url()];
    // As `printf http://example.com/a | md5sum` says.
    let key = "file-urlmd5:3e27a17e84f5f8486fbc14488e12e6ff";
    run_with(shacache(&["upload", "-", "-k", key]).args(server), b"content".to_vec());
    let mut download = shacache(&["download", "-u", "http://example.com/a", "--no-trust"]);
    assert_eq!(succeed(download.args(server)), b"content");
}

#[test]
fn metadata_do_not_reach_the_terminal_as_commands() {
    let reference = Reference::start();
    let server = ["--server", &reference.url()];
    let meta = ["--meta", "evil=\x1b]0;title\x07\u{202e}", "--meta", "\x1b[31m=x"];
    let input = b"content".to_vec();
    run_with(shacache(&["upload", "-", "-k", "k"]).args(server).args(meta), input);
    for arguments in [["list", "k", "--no-trust"], ["show", "k", "-v"], ["show", "k", "--json"]] {
        let output = run(shacache(&arguments).args(server));
        let all = [output.stdout.as_slice(), &output.stderr].concat();
        assert!(output.status.success() && !output.stdout.is_empty(), "{}", said(&output));
        let text = String::from_utf8(all).unwrap();
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
    }
}

#[test]
fn the_newest_entry_is_downloaded() {
    let reference = Reference::start();
    let server = ["--server", &reference.url()];
    let metadata = reference.path("metadata.json");
    for (content, timestamp) in [("old", "1.5"), ("new", "3"), ("middle", "2")] {
        fs::write(&metadata, format!("{{\"timestamp\": {timestamp}}}")).unwrap();
        let mut upload = shacache(&["upload", "-", "-k", "k", "-m"]);
        run_with(upload.arg(&metadata).args(server), content.into());
    }
    let mut download = shacache(&["download", "-k", "k", "--no-trust"]);
    assert_eq!(succeed(download.args(server)), b"new");
    let mut older = shacache(&["download", "-k", "k", "--no-trust", "timestamp<3"]);
    assert_eq!(succeed(older.args(server)), b"middle");
}

#[test]
fn fetch_asks_the_cache_first_and_fills_it() {
    let reference = Reference::start();
    let config = reference.config();
    let config = config.to_str().unwrap();
    let origin = reference.path("origin");
    fs::write(&origin, "content").unwrap();
    let url = format!("file://{}", origin.display());
    let fetch = |more: &[&str]| run(shacache(&["fetch", &url, "-c", config]).args(more));
    assert_eq!(fetch(&["--offline"]).status.code(), Some(3));
    let wrong = "0".repeat(32);
    let refused = fetch(&["--md5", &wrong]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(4), 0), "{}", said(&refused));
    assert_eq!(fetch(&["--offline"]).status.code(), Some(3));
    // As `printf content | md5sum` says.
    assert_eq!(fetch(&["--md5", "9a0364b9e99bb480dd25e1f0284c8555"]).stdout, b"content");
    fs::remove_file(&origin).unwrap();
    assert_eq!(fetch(&["--offline"]).stdout, b"content");
    let out = reference.path("out");
    let output = fetch(&["--offline", "-o", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(&out).unwrap(), b"content");
}

#[test]
fn credentials_in_an_url_are_not_published() {
    let reference = Reference::start();
    let config = reference.config();
    let config = config.to_str().unwrap();
    let file = reference.path("tree/file");
    fs::write(&file, "content").unwrap();
    let url = reference.url().replace("http://", "http://me:secret@") + "/file";
    let output = run(&mut shacache(&["upload", &url, "-c", config]));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = run(&mut shacache(&["fetch", &url, "-c", config]));
    assert_eq!(output.stdout, b"content", "{}", said(&output));
    assert!(!reference.path("tree/shadir").exists());
    let output = run(&mut shacache(&["fetch", &(url + "-missing"), "-c", config]));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(!said(&output).contains("secret"), "{}", said(&output));
}

#[test]
fn a_release_is_unpacked_below_its_root() {
    let reference = Reference::start();
    let release = reference.path("software/built");
    fs::create_dir_all(&release).unwrap();
    std::os::unix::fs::symlink("/opt/slapgrid/x", release.join("absolute")).unwrap();
    fs::write(release.join("file"), "content").unwrap();
    let config = fs::read_to_string(reference.config()).unwrap();
    let config =
        config.replace("-cache-url", "-binary-cache-url").replace("-dir-url", "-binary-dir-url");
    let path = reference.path("binary.cfg");
    fs::write(&path, config).unwrap();
    let config = path.to_str().unwrap();
    let url = ["--software-url", "http://example.com/software.cfg", "-c", config];
    succeed(shacache(&["software", "upload"]).arg(&release).args(url));
    let root = reference.path("root");
    fs::create_dir(&root).unwrap();
    let place = succeed(shacache(&["software", "download"]).arg(&root).args(url));
    // As `printf http://example.com/software.cfg | md5sum` says.
    let place = String::from_utf8(place).unwrap();
    assert!(place.trim_end().ends_with("/root/91d5c3732524c019b6f1d313793d8809"), "{place}");
    let place = std::path::Path::new(place.trim_end());
    assert_eq!(fs::read(place.join("file")).unwrap(), b"content");
    assert_eq!(fs::read_link(place.join("absolute")).unwrap().to_str(), Some("/opt/slapgrid/x"));
    // A build whose archive is gone is passed over, as slapos.core does.
    let blobs = reference.path("tree/shacache");
    let first = fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(first).unwrap();
    let gone = run(shacache(&["software", "download"]).arg(&root).args(url));
    assert_eq!(gone.status.code(), Some(3), "{}", said(&gone));
    fs::write(release.join("file"), "built again").unwrap();
    succeed(shacache(&["software", "upload"]).arg(&release).args(url));
    let again = reference.path("again");
    fs::create_dir(&again).unwrap();
    succeed(shacache(&["software", "download"]).arg(&again).args(url));
    let file = again.join("91d5c3732524c019b6f1d313793d8809/file");
    assert_eq!(fs::read(file).unwrap(), b"built again");
    let mut other = shacache(&["software", "download", "--multiarch", "vax-linux-gnu"]);
    assert_eq!(run(other.arg(&root).args(url)).status.code(), Some(3));
}
