//! The old command names against the Python originals: same entries, same output, both directions.

use std::fs;
use std::path::Path;

use crate::programs::{command, run, said, succeed};
use crate::reference::{Reference, Which};

/// Keys as they are given on the command line. The reference server does not decode paths, so only
/// keys that need no encoding are the same file for both clients.
const KEYS: &[&str] = &[
    "file-urlmd5:0123456789abcdef0123456789abcdef",
    "pypi:a=1.0",
    "'slapos-upgrade'",
    "a,b+c@d~e",
];

fn contents() -> Vec<Vec<u8>> {
    let large = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    vec![Vec::new(), b"x".to_vec(), b"\x00\xff\r\n".to_vec(), large.collect()]
}

#[test]
fn each_reads_what_the_other_uploaded() {
    let reference = Reference::start();
    let config = reference.config();
    for (at, content) in contents().iter().enumerate() {
        let file = reference.path("content");
        fs::write(&file, content).unwrap();
        for key in KEYS {
            for (uploader, downloader) in [(Which::Old, Which::New), (Which::New, Which::Old)] {
                let key = format!("{key}{at}{uploader:?}");
                let mut upload = command(reference.program(uploader, "networkcache-upload"));
                succeed(
                    upload.arg("-c").arg(&config).arg("-f").arg(&file).args(["-k", &key, "a=b"]),
                );
                let mut download = command(reference.program(downloader, "networkcache-download"));
                let received = succeed(download.arg("-c").arg(&config).args(["-k", &key]));
                assert_eq!(received, *content, "{key}");
            }
        }
    }
}

#[test]
fn both_put_the_same_entry_under_the_same_key() {
    let reference = Reference::start();
    let config = reference.config();
    let file = reference.path("content");
    fs::write(&file, "content").unwrap();
    let metadata = reference.path("metadata.json");
    fs::write(
        &metadata,
        r#" {"f": [1.0, 1e16, 1e-7, 1e22, 0.1, 123456789012345678901234567890, -0.0, NaN, Infinity],
            "s": "\u00e9\ud83d\ude00\u0000\"\\\/\b\f\n\r\t\u2028 é", "n": null, "t": true, "e": {},
            "l": [], "twice": 1, "x": {"b": 1, "a": 2}, "twice": 2, "url": "http://given/"} "#,
    )
    .unwrap();
    let (file, metadata) = (file.to_str().unwrap(), metadata.to_str().unwrap());
    let url = "http://example.com/é?x=y";
    for (key, arguments) in [
        ("k1", vec!["-k", "k1", "-f", file, "-m", metadata]),
        ("k2", vec!["z=1", "a=é \"\\", "z=2=3", "-f", file, "-k", "k2"]),
        ("k3", vec!["-k", "k3", "-f", file, "-m", metadata, "twice=x", "new=", "=empty"]),
        ("", vec!["-u", url, "-f", file]),
    ] {
        let stored: Vec<String> = [Which::Old, Which::New]
            .map(|which| {
                let mut upload = command(reference.program(which, "networkcache-upload"));
                succeed(upload.arg("-c").arg(&config).args(&arguments));
                let folder = fs::read_dir(reference.path("tree/shadir")).unwrap();
                let path = folder.last().unwrap().unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                assert!(
                    name == key || key.is_empty() && name.starts_with("file-urlmd5:"),
                    "{name}"
                );
                let stored = reference.entries(&name);
                reference.forget(&format!("shadir/{name}"));
                format!("{name} {stored}")
            })
            .into();
        assert_eq!(stored[1], stored[0]);
    }
}

#[test]
fn listings_are_the_same_bytes() {
    let reference = Reference::start();
    let config = reference.config();
    let file = reference.path("content");
    fs::write(&file, "content").unwrap();
    let metadata = reference.path("metadata.json");
    for (number, json) in [
        r#"{"version": [4, 2], "b": {"z": [], "a": {}, "é": "é\ud800"}, "f": 1e100}"#,
        r#"{"version": [4, 10], "n": null}"#,
        r#"{"version": "4", "t": [true, false, NaN, -Infinity]}"#,
        r#"{"version": [4, 10], "n": 1}"#,
    ]
    .iter()
    .enumerate()
    {
        fs::write(&metadata, json).unwrap();
        let which = if number % 2 == 0 { Which::Old } else { Which::New };
        let mut upload = command(reference.program(which, "networkcache-upload"));
        upload.arg("-c").arg(&config).arg("-f").arg(&file).args(["-k", "k"]);
        succeed(upload.arg("-m").arg(&metadata));
    }
    for filters in [
        &[][..],
        &["version>=[4,2]"],
        &["version>>[0]"],
        &["version<<Infinity"],
        &["version>=[4,2]", "version<<[9]"],
        &["n==null"],
        &["n<2"],
        &["version==\"4\""],
        &["nothing==1"],
    ] {
        let outputs = [Which::Old, Which::New].map(|which| {
            let mut list = command(reference.program(which, "networkcache-download"));
            run(list.args(filters).arg("-c").arg(&config).args(["-l", "-k", "k"]))
        });
        let [old, new] = &outputs;
        assert_eq!(new.status.code(), old.status.code(), "{filters:?}: {}", said(new));
        assert_eq!(new.stdout, old.stdout, "{filters:?}: {}", said(new));
    }
}

#[test]
fn without_certificates_every_entry_is_taken_with_a_warning() {
    let reference = Reference::start();
    let config = reference.unsigned_config();
    let file = reference.path("content");
    fs::write(&file, "content").unwrap();
    let mut upload = command(reference.program(Which::New, "networkcache-upload"));
    let output = run(upload.arg("-c").arg(&config).arg("-f").arg(&file).args(["-kk", "a=b"]));
    assert!(said(&output).contains("not signed"), "{}", said(&output));
    let mut download = command(reference.program(Which::New, "networkcache-download"));
    let output = run(download.arg("-c").arg(&config).args(["-kk"]));
    assert_eq!(output.stdout, b"content");
    assert!(said(&output).contains("any entry is taken"), "{}", said(&output));
}

#[test]
fn a_folder_is_sent_as_an_archive_that_python_reads() {
    let reference = Reference::start();
    let config = reference.config();
    let folder = reference.path("folder");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/é"), "content").unwrap();
    std::os::unix::fs::symlink("/absolute", folder.join("link")).unwrap();
    let url = folder.to_str().unwrap();
    let mut upload = command(reference.program(Which::New, "networkcache-upload"));
    succeed(upload.arg("-c").arg(&config).args(["--url", url]));
    let mut download = command(reference.program(Which::Old, "networkcache-download"));
    let archive = succeed(download.arg("-c").arg(&config).args(["--url", url]));
    let names = crate::programs::python(
        "import io, sys, tarfile\n\
         t = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode='r:gz')\n\
         print(sorted((m.name, m.linkname) for m in t))",
        archive,
    );
    assert_eq!(
        names.trim(),
        "[('folder', ''), ('folder/link', '/absolute'), ('folder/sub', ''), ('folder/sub/é', '')]"
    );
}

#[test]
fn generated_keys_are_exchanged() {
    let reference = Reference::start();
    for which in [Which::Old, Which::New] {
        let name = format!("{which:?}");
        let (key, cert) =
            (reference.path(&format!("{name}.key")), reference.path(&format!("{name}.cert")));
        let mut generate = command(reference.program(which, "generate-signature-key"));
        let stdout = succeed(generate.arg("--cert-file").arg(&cert).arg(&key).arg("it's me"));
        let text = String::from_utf8(stdout).unwrap();
        let certificate = fs::read_to_string(&cert).unwrap();
        let (key_name, cert_name) = (key.display(), cert.display());
        assert_eq!(
            text,
            format!(
                "Generating certificate for \"it's me\" (key: '{key_name}', certficate: \
                 '{cert_name}')\n\n{certificate}\n\nDon't forget to add the certificate to the \
                 signature-certificate-list in your SlapOS configuration file.\n"
            )
        );
        assert!(fs::metadata(&key).unwrap().len() > 800);
        // Neither is replaced.
        let mut again = command(reference.program(which, "generate-signature-key"));
        assert_eq!(run(again.arg(&key).arg("x")).status.code(), Some(1));
        check_key(&reference, which, &key, &cert);
    }
    let stdout = [Which::Old, Which::New].map(|which| {
        let key = reference.path(&format!("stdout-{which:?}"));
        let mut generate = command(reference.program(which, "generate-signature-key"));
        let text = String::from_utf8(succeed(generate.arg(&key).arg("x"))).unwrap();
        let end = "-----END CERTIFICATE-----\n";
        let at = text.find(end).unwrap() + end.len();
        text[at..].replace(&format!("{which:?}"), "")
    });
    assert_eq!(stdout[1], stdout[0]);
}

#[test]
fn keys_of_every_spelling_and_size_sign() {
    let reference = Reference::start();
    let openssl = |arguments: &str| {
        succeed(command("openssl").args(arguments.split(' ')).current_dir(reference.folder()));
    };
    for bits in ["1024", "2048", "3072"] {
        openssl(&format!(
            "req -x509 -newkey rsa:{bits} -nodes -days 2 -subj /CN=spelled -keyout pkcs8.key \
             -out spelled.crt"
        ));
        openssl("rsa -in pkcs8.key -traditional -out pkcs1.key");
        for (name, label) in [("pkcs1.key", "RSA PRIVATE KEY"), ("pkcs8.key", "PRIVATE KEY")] {
            let key = reference.path(name);
            let text = fs::read_to_string(&key).unwrap();
            assert!(text.starts_with(&format!("-----BEGIN {label}-----")), "{text}");
            check_key(&reference, Which::Old, &key, &reference.path("spelled.crt"));
            reference.forget("shadir/exchange-Old");
        }
    }
}

/// The other client signs with the key, and this one reads it.
fn check_key(reference: &Reference, made_by: Which, key: &Path, cert: &Path) {
    let other = if made_by == Which::Old { Which::New } else { Which::Old };
    let signed = fs::read_to_string(reference.config()).unwrap();
    let start = signed.split("signature-").next().unwrap();
    let indented = fs::read_to_string(cert).unwrap().replace('\n', "\n ");
    let config = reference.path("exchanged.cfg");
    let list = format!("signature-certificate-list =\n {indented}");
    let text = format!("{start}signature-private-key-file = {}\n{list}", key.display());
    fs::write(&config, text).unwrap();
    let file = reference.path("content");
    fs::write(&file, format!("{made_by:?}")).unwrap();
    let entry_key = format!("exchange-{made_by:?}");
    let mut upload = command(reference.program(other, "networkcache-upload"));
    succeed(upload.arg("-c").arg(&config).arg("-f").arg(&file).args(["-k", &entry_key, "a=b"]));
    let mut download = command(reference.program(made_by, "networkcache-download"));
    let received = succeed(download.arg("-c").arg(&config).args(["-k", &entry_key]));
    assert_eq!(received, format!("{made_by:?}").as_bytes());
}
