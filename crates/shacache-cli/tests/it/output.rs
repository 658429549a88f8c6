//! What goes to standard output and standard error, and what becomes of it when nobody is there.

use std::fs::{self, File, OpenOptions};
use std::process::{Command, Stdio};

use crate::programs::{SHACACHE, command, python, run, said, shacache, succeed};
use crate::reference::Reference;

/// Standard output has to be one JSON document, standard error as many as it has lines.
fn assert_json(name: &str, command: &mut Command, code: i32) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(code), "{name}: {}", said(&output));
    let check = "import json, sys\n\
                 out, err = sys.stdin.read().split('\\0')\n\
                 document = json.loads(out) if out else None\n\
                 errors = [json.loads(line) for line in err.splitlines()]\n\
                 print(json.dumps(document if document is not None else errors[-1]))";
    python(check, [output.stdout, vec![0], output.stderr].concat())
}

#[test]
fn every_command_speaks_json() {
    let reference = Reference::start();
    let config = reference.config();
    let config = config.to_str().unwrap();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    let file = file.to_str().unwrap();
    let path = |name: &str| reference.path(name).display().to_string();
    let (out, key, certificate) = (path("out"), path("new.key"), path("new.crt"));
    let (release, root) = (path("release"), path("root"));
    fs::create_dir(&release).unwrap();
    fs::create_dir(&root).unwrap();
    let url = format!("file://{file}");
    let software = ["--software-url", "http://example.com/software.cfg"];
    let server = ["--server", &reference.url()];
    let software_upload = [&["software", "upload", &release][..], &software, &server].concat();
    let software_download = [&["software", "download", &root][..], &software, &server].concat();
    // As `printf content | sha512sum` says.
    let digest = "b2d1d285b5199c85f988d03649c37e44fd3dde01e5d69c50fef90651962f48110e9340b60d49a479c\
                  4c0b53f5f07d690686dd87d2481937a512e8b85ee7c617f";
    for (code, arguments, expected) in [
        (0, vec!["upload", file, "-k", "k"], digest),
        (0, vec!["list", "k"], digest),
        (0, vec!["show", "k"], "made for this key"),
        (0, vec!["verify", file, "-k", "k"], digest),
        (0, vec!["download", digest, "-o", &out], &out),
        (0, vec!["fetch", &url, "-o", &out], "origin"),
        (0, vec!["fetch", &url, "-o", &out], "cache"),
        (0, vec!["config", "check"], "signs"),
        (0, vec!["keygen", &key, "me", "--cert-file", &certificate], "BEGIN CERTIFICATE"),
        (0, software_upload, "91d5c3732524c019b6f1d313793d8809"),
        (0, software_download, "root/91d5c3732524c019b6f1d313793d8809"),
        (1, vec!["upload", "/does/not/exist"], "/does/not/exist"),
        (2, vec!["list"], "required arguments"),
        (2, vec!["download", "xyz"], "hex digits"),
        (3, vec!["list", "missing"], "missing"),
        (4, vec!["verify", file, "--sha512", &"0".repeat(128)], digest),
    ] {
        let mut command = shacache(&arguments);
        command.arg("--json");
        if arguments[0] != "keygen" {
            command.args(["-c", config]);
        }
        let document = assert_json(&arguments.join(" "), &mut command, code);
        assert!(document.contains(expected), "{arguments:?}: {document}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_word() {
    let reference = Reference::start();
    let file = reference.path("file");
    fs::write(&file, b"0123456789".repeat(100_000)).unwrap();
    let server = ["--server", &reference.url()];
    let line = succeed(shacache(&["upload", "-k", "k"]).args(server).arg(&file));
    let digest = String::from_utf8(line).unwrap()[..128].to_owned();
    for arguments in
        [["list", "k", "--no-trust"].as_slice(), &["download", &digest], &["show", "k"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = shacache(arguments);
        let output = run(command.args(server).stdout(writer));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_full_disk_is_told_and_one_under_standard_error_is_no_crash() {
    let reference = Reference::start();
    let server = ["--server", &reference.url()];
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    succeed(shacache(&["upload", "-k", "k"]).args(server).arg(&file));
    let mut list = shacache(&["list", "k", "--no-trust"]);
    let output = run(list.args(server).stdout(full()));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("No space left"), "{}", said(&output));
    for more in [&[][..], &["-vv"], &["--json"], &["--no-such-option"]] {
        let mut list = shacache(&["list", "missing"]);
        let output = run(list.args(server).args(more).stderr(full()));
        let code = if more == ["--no-such-option"] { 2 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", said(&output));
    }
}

#[test]
fn what_is_skipped_is_said_without_asking_and_without_colours() {
    let reference = Reference::start();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    let config = reference.config();
    succeed(shacache(&["upload", "-k", "k", "-c"]).arg(&config).arg(&file));
    let text = fs::read_to_string(&config).unwrap();
    let bad = "    -----BEGIN CERTIFICATE-----\n    AAAA\n    -----END CERTIFICATE-----\n";
    fs::write(&config, text.trim_end().to_owned() + "\n" + bad).unwrap();
    let output = run(shacache(&["list", "k", "-c"]).arg(&config));
    assert!(output.status.success(), "{}", said(&output));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("certificate 2"), "{complaint}");
    assert!(!complaint.contains('\x1b'), "{complaint:?}");
    let output = run(shacache(&["list", "k", "--quiet", "-c"]).arg(&config));
    assert_eq!(said(&output).matches("certificate 2").count(), 0, "{}", said(&output));
    let mut unlike = shacache(&["list", "k", "--filter", "timestamp>\"x\"", "-c"]);
    let output = run(unlike.arg(&config));
    assert!(said(&output).contains("TypeError"), "{}", said(&output));
}

/// What a command shows on a terminal.
fn on_a_terminal(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let mut script = command("script");
    script.env("TERM", "xterm").env("COLUMNS", "100").envs(settings.iter().copied());
    let line = format!("stty cols 100; exec {SHACACHE} {}", words.join(" "));
    let output = run(script.args(["--quiet", "--return", "--command", &line, "/dev/null"]));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bars_and_colours_are_for_terminals() {
    let reference = Reference::start();
    let url = reference.url();
    let file = reference.path("file");
    fs::write(&file, vec![7; 3_000_000]).unwrap();
    let file = file.to_str().unwrap();
    let upload = ["upload", file, "--server", &url];
    let seen = on_a_terminal(&upload, &[]);
    let out = reference.path("out");
    let blob = fs::read_dir(reference.path("tree/shacache")).unwrap().next().unwrap().unwrap();
    let blob = blob.file_name().into_string().unwrap();
    assert!(seen.contains(&blob), "{seen}");
    let download = ["download", &blob, "--server", &url, "-o", out.to_str().unwrap()];
    assert!(on_a_terminal(&download, &[]).contains("MiB/2.86 MiB"));
    for more in ["--quiet", "--no-progress", "--json"] {
        let seen = on_a_terminal(&[&download[..], &[more]].concat(), &[]);
        assert!(!seen.contains("MiB"), "{more}: {seen}");
    }
    assert!(!said(&run(shacache(&download).stdout(Stdio::piped()))).contains("MiB"));

    let failing = ["list", "missing", "--server", &url];
    let is_coloured = |text: &str| {
        assert!(text.contains("not found"), "{text}");
        text.contains("\x1b[")
    };
    assert!(is_coloured(&on_a_terminal(&failing, &[])));
    assert!(!is_coloured(&on_a_terminal(&failing, &[("NO_COLOR", "1")])));
    for (more, coloured) in [("--color=always", true), ("--color=never", false)] {
        let arguments = [&failing[..], &[more]].concat();
        let elsewhere = String::from_utf8(run(&mut shacache(&arguments)).stderr).unwrap();
        assert_eq!(is_coloured(&elsewhere), coloured, "{more}");
        assert_eq!(is_coloured(&on_a_terminal(&arguments, &[])), coloured, "{more}");
    }
}

#[test]
fn shells_complete_and_manuals_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(succeed(&mut shacache(&["completions", shell]))).unwrap();
        assert!(script.contains("any-key-binding"), "{shell}");
        fs::write(folder.path().join(shell), script).unwrap();
    }
    let ask = "source ./bash; COMP_WORDS=(shacache up); COMP_CWORD=1; \
               _shacache shacache up shacache; echo \"${COMPREPLY[@]}\"";
    let answer = succeed(command("bash").args(["-c", ask]).current_dir(folder.path()));
    assert_eq!(String::from_utf8(answer).unwrap().trim(), "upload");
    let pages = folder.path().join("man");
    succeed(shacache(&["man"]).arg(&pages));
    for (page, words) in [
        ("shacache.1", "verification failed"),
        ("shacache-fetch.1", "Never ask the origin"),
        ("shacache-software-download.1", "unpack"),
        ("shacache-config-check.1", "slapos.cfg"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
}

#[test]
fn a_device_is_written_and_stays_one() {
    let reference = Reference::start();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    let url = format!("file://{}", file.display());
    let pipe = reference.path("pipe");
    succeed(command("mkfifo").arg(&pipe));
    for _ in ["from the origin", "from the cache"] {
        let mut fetch =
            shacache(&["fetch", &url, "--no-trust", "--server", &reference.url(), "-o"]);
        let fetching = fetch.arg(&pipe).stderr(Stdio::null()).spawn().unwrap();
        let content = std::io::read_to_string(File::open(&pipe).unwrap()).unwrap();
        assert!(fetching.wait_with_output().unwrap().status.success());
        assert_eq!(content, "content");
    }
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    assert!(!reference.path("pipe.part").exists());
}

#[test]
fn a_machine_without_authorities_speaks_http() {
    let reference = Reference::start();
    let origin = reference.url();
    let nothing = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/does/not/exist")];
    for arguments in [
        ["list", "missing", "--server", &reference.url()],
        ["fetch", &format!("{origin}/missing"), "--server", &reference.url()],
    ] {
        let output = run(shacache(&arguments).envs(nothing));
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", said(&output));
    }
}
