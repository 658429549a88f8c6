//! Commands beside a running server, through its admin socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Stdio;

use shacache_core::digest::Digest;

use crate::program::{Home, Program, wait_until};
use crate::raw_http::request;

fn upload(server: &Program, bytes: &[u8]) {
    assert_eq!(request(server.address(), "POST", "/shacache", bytes).status, 201);
}

fn reindex(home: &Home) -> String {
    let output = home.run(&["reindex", "--data", &home.data().display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn reindex_says_the_same_with_and_without_a_server() {
    let home = Home::new();
    let server = home.serve(&[]);
    upload(&server, b"hello");
    upload(&server, b"");
    let sha512 = "0".repeat(128);
    let entry = format!(r#"["{{\"sha512\": \"{sha512}\"}}", ""]"#);
    assert_eq!(request(server.address(), "PUT", "/shadir/key", entry.as_bytes()).status, 201);

    let beside = reindex(&home);
    assert_eq!(beside, "indexed 2 blobs (5 bytes) and 1 entries\n");
    server.stop();
    assert_eq!(reindex(&home), beside);
}

#[test]
fn reindex_brings_a_lost_index_back_while_the_server_runs() {
    let home = Home::new();
    let server = home.serve(&[]);
    upload(&server, b"hello");
    server.stop();
    fs::remove_dir_all(home.data().join("index")).expect("the index");

    let server = home.serve(&[]);
    assert_eq!(reindex(&home), "indexed 1 blobs (5 bytes) and 0 entries\n");
    let by_md5 = "/shacache/5d41402abc4b2a76b9719d911017c592";
    assert_eq!(request(server.address(), "GET", by_md5, b"").text(), "hello");
}

#[test]
fn the_socket_is_for_its_own_user_and_goes_with_the_server() {
    let home = Home::new();
    let socket = home.data().join("admin.sock");
    let server = home.serve(&[]);
    let metadata = fs::metadata(&socket).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    server.stop();
    assert!(!socket.exists());
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let home = Home::new();
    let server = home.serve(&[]);
    upload(&server, b"hello");
    drop(server);
    assert!(home.data().join("admin.sock").exists(), "killed, it leaves its socket");
    assert_eq!(reindex(&home), "indexed 1 blobs (5 bytes) and 0 entries\n");
    let _server = home.serve(&[]);
    assert_eq!(reindex(&home), "indexed 1 blobs (5 bytes) and 0 entries\n");
}

#[test]
fn a_data_folder_may_have_a_longer_path_than_a_socket() {
    let home = Home::with_data(&"a".repeat(200));
    let server = home.serve(&[]);
    assert_eq!(reindex(&home), "indexed 0 blobs (0 bytes) and 0 entries\n");
    server.stop();
}

#[test]
fn a_wrong_data_folder_is_refused_in_one_line_and_stays_as_it_is() {
    let home = Home::new();
    for command in ["verify", "reindex"] {
        let output = home.run(&[command, "--data", &home.data().display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = format!(
            "shacached: {} is no data folder: there is no archive in it\n",
            home.data().display()
        );
        assert_eq!(error, expected);
        assert!(!home.data().exists());
    }
}

/// The exit code and the report that scripts rely on.
#[test]
fn a_blob_that_got_lost_is_damage_for_scripts_beside_a_server_and_without() {
    let home = Home::new();
    let data = home.data().display().to_string();
    let config = home.path().join("server.toml");
    // The background must not find it first.
    fs::write(&config, "[scrub]\nenabled = false\n").expect("written");
    for beside in [true, false] {
        let server = home.serve(&["--config", &config.display().to_string()]);
        upload(&server, b"hello");
        let digest = Digest::of(b"hello").to_string();
        let indexed = || {
            let by_md5 = "/shacache/5d41402abc4b2a76b9719d911017c592";
            request(server.address(), "GET", by_md5, b"").status == 200
        };
        wait_until("the index to know it", indexed);
        let path = home.data().join("archive/blobs").join(&digest[..2]).join(&digest[2..4]);
        fs::remove_file(path.join(&digest)).expect("removed");
        let server = if beside {
            Some(server)
        } else {
            server.stop();
            None
        };
        let output = home.run(&["verify", "--json", "--data", &data]);
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&report["damage"], &report["notes"]), (&1.into(), &0.into()));
        assert_eq!(report["findings"][0]["code"], "blob-lost");
        let again = home.run(&["verify", "--data", &data]);
        assert_eq!(again.status.code(), Some(0), "told once");
        if let Some(server) = server {
            let metrics = request(server.address(), "GET", "/metrics", b"").text();
            assert!(metrics.contains("shacache_lost_blobs_total 1\n"), "{metrics}");
            server.stop();
        }
    }
}

#[test]
fn a_command_that_is_gone_leaves_no_check_behind() {
    let home = Home::new();
    let server = home.serve(&[]);
    upload(&server, &vec![7; 1 << 20]);
    let data = home.data().display().to_string();
    let mut slow = home
        .shacached(&["verify", "--rate", "1", "--data", &data])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let is_read = || {
        let open = fs::read_dir(format!("/proc/{}/fd", server.id())).expect("its descriptors");
        let mut open = open.flatten().filter_map(|link| fs::read_link(link.path()).ok());
        open.any(|path| path.starts_with(home.data().join("archive/blobs")) && path.is_file())
    };
    wait_until("the check to read the blob", is_read);
    slow.kill().expect("killed");
    slow.wait().expect("ended");
    let output = home.run(&["verify", "--data", &data]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    server.stop();
}

#[test]
fn what_is_no_server_does_not_answer() {
    let home = Home::new();
    let server = home.serve(&[]);
    fs::remove_file(home.data().join("admin.sock")).expect("the socket");
    let output = home.run(&["reindex", "--data", &home.data().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(error.contains("the server that has the data folder open does not answer"), "{error}");
    drop(server);
}

#[test]
fn health_is_that_of_the_running_server() {
    let home = Home::new();
    let health = || home.run(&["health", "--data", &home.data().display().to_string()]);
    let server = home.serve(&[]);
    let output = health();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"healthy\n"[..]));
    server.stop();
    let output = health();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("does not answer"), "{complaint}");
}
