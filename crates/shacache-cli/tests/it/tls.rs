//! HTTPS with client certificates: both clients, both directions, and files that do not fit.

use std::fs;
use std::path::Path;

use crate::programs::{command, run, said, shacache, succeed};
use crate::reference::{Reference, Which};

/// An authority and a certificate of it, each with its key in the same file.
fn certificates(folder: &Path) {
    let make = |arguments: &str| {
        succeed(command("openssl").args(arguments.split(' ')).current_dir(folder));
    };
    make(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
    );
    fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1").unwrap();
    for name in ["server", "client"] {
        make(&format!(
            "req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        make(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile san -out {name}.crt"
        ));
    }
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(folder.join("server.pem"), read("server.crt") + &read("server.key")).unwrap();
}

#[test]
fn client_certificates_work_for_both_clients() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let reference = Reference::start_tls(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let options = |service: &str| {
        let (ca, cert, key) = (path("ca.pem"), path("client.crt"), path("client.key"));
        format!(
            "{service}-ca-file = {ca}\n{service}-cert-file = {cert}\n{service}-key-file = {key}\n"
        )
    };
    let plain = fs::read_to_string(reference.config()).unwrap();
    let config = reference.path("tls.cfg");
    let head = format!("[networkcache]\n{}{}", options("shacache"), options("shadir"));
    fs::write(&config, plain.replace("[networkcache]\n", &head)).unwrap();
    for (uploader, downloader) in [(Which::Old, Which::New), (Which::New, Which::Old)] {
        let file = reference.path("content");
        fs::write(&file, format!("{uploader:?}")).unwrap();
        let key = format!("{uploader:?}");
        let mut upload = command(reference.program(uploader, "networkcache-upload"));
        succeed(upload.arg("-c").arg(&config).arg("-f").arg(&file).args(["-k", &key, "a=b"]));
        let mut download = command(reference.program(downloader, "networkcache-download"));
        let received = succeed(download.arg("-c").arg(&config).args(["-k", &key]));
        assert_eq!(received, key.as_bytes());
    }
    // Without its own certificate, or without the server's authority, the client gets nowhere.
    let list = |text: String| {
        let broken = reference.path("broken.cfg");
        fs::write(&broken, text).unwrap();
        run(shacache(&["list", "Old", "--any-key-binding", "-c"]).arg(&broken))
    };
    let good = fs::read_to_string(&config).unwrap();
    assert_eq!(list(good.clone()).status.code(), Some(0));
    let without = |name: &str| {
        good.lines()
            .filter(|line| !line.contains(name))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    for text in [without("-ca-file"), without("-cert-file").replace("-key-file", "-unused")] {
        let output = list(text);
        assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    }
}

#[test]
fn each_service_has_files_of_its_own() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [cache, directory] = folders.each_ref().map(|folder| {
        certificates(folder.path());
        Reference::start_tls(folder.path())
    });
    let file = cache.path("content");
    fs::write(&file, "content").unwrap();
    let config = cache.path("two.cfg");
    let write = |of_cache: &Path, of_directory: &Path| {
        let mut text = String::from("[networkcache]\n");
        for (service, server, folder) in
            [("cache", &cache, of_cache), ("dir", &directory, of_directory)]
        {
            let (url, folder) = (server.url(), folder.display());
            text.push_str(&format!(
                "download-{service}-url = {url}/sha{service}\n\
                 upload-{service}-url = {url}/sha{service}\n\
                 sha{service}-ca-file = {folder}/ca.pem\n\
                 sha{service}-cert-file = {folder}/client.crt\n\
                 sha{service}-key-file = {folder}/client.key\n"
            ));
        }
        fs::write(&config, text).unwrap();
    };
    let [first, second] = folders.each_ref().map(|folder| folder.path());
    write(first, second);
    succeed(shacache(&["upload", "-k", "k", "-c"]).arg(&config).arg(&file));
    let received = succeed(shacache(&["download", "-k", "k", "--no-trust", "-c"]).arg(&config));
    assert_eq!(received, b"content");
    assert!(directory.path("tree/shadir/k").exists() && !cache.path("tree/shadir").exists());
    for (of_cache, of_directory) in [(second, second), (first, first)] {
        write(of_cache, of_directory);
        let mut download = shacache(&["download", "-k", "k", "--no-trust", "-c"]);
        let output = run(download.arg(&config));
        assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    }
}

#[test]
fn unusable_files_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, "junk\n-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
    let broken = folder.path().join("broken.pem");
    fs::write(&broken, "\n\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let config = folder.path().join("slapos.cfg");
    let url = "download-cache-url = https://127.0.0.1:1/";
    for (text, expected) in [
        (format!("{url}\nshacache-ca-file = {}", ca.display()), format!("{}:2: ", ca.display())),
        (
            format!("{url}\nshacache-ca-file = /does/not/exist"),
            format!("{}:3: shacache-ca-file: cannot read", config.display()),
        ),
        (
            format!("{url}\nshacache-key-file = {}", ca.display()),
            format!("{}:3: shacache-key-file: `shacache-cert-file` is not", config.display()),
        ),
        (
            format!("{url}\nshacache-ca-file = {}", broken.display()),
            format!("TLS set-up of {}:3: ", broken.display()),
        ),
        (
            "download-dir-url = gopher://x/".into(),
            format!("{}:2: download-dir-url", config.display()),
        ),
        ("a = %(b)s".into(), format!("{}:2: `%(b)s` in `a` names no option", config.display())),
        ("a = 1\na = 2".into(), format!("{}:3: option `a` appears twice", config.display())),
        (
            format!("\nsignature-private-key-file = {}", ca.display()),
            format!("{}:3: signature-private-key-file", config.display()),
        ),
    ] {
        fs::write(&config, format!("[networkcache]\n{text}\n")).unwrap();
        let output = run(shacache(&["config", "check", "-c"]).arg(&config));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&expected), "{expected}: {}", said(&output));
    }
}
