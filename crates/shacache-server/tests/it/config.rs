//! `check-config` and `print-config`: which configurations are good, what is said about the others,
//! and which source wins.

use std::fs;
use std::process::Output;

use crate::program::Home;

/// What the program says about a file with `text`, the file's name left out.
fn check(text: &str) -> Result<String, String> {
    let home = Home::new();
    let file = home.path().join("server.toml");
    fs::write(&file, text).expect("a file");
    said(&home.run(&["check-config", "--config", &file.display().to_string()]))
        .map_err(|error| error.replace(&file.display().to_string(), "FILE"))
}

fn said(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(1) => Err(text(&output.stderr)),
        code => panic!("exit {code:?}: {}", text(&output.stderr)),
    }
}

#[test]
fn good_files() {
    for text in [
        "",
        "# nothing\n",
        "listen = [\"127.0.0.1:0\", \"[::1]:8080\", \"unix:/run/shacache/http.sock\"]",
        "listen = [\"https://[::]:443\"]\n[tls]\ncertificate = \"/a\"\nkey = \"/b\"",
        "tls.certificate = \"/both\"",
        "data = \"/srv/shacache\"\n[mount]\nshacache = [\"/shacache/cache\"]\nshadir = [\"/shacache/dir/\"]",
        "mount.shacache-host = [\"shacache.example\", \"[::1]\"]\nmount.shadir = []",
        "[upload]\npolicy = \"credentials+signed\"\n[download]\npolicy = \"credentials\"",
        "[[identity]]\nname = \"a\"\nroles = [\"put\"]\nkeys = [\"a*\"]\nauthorities = \"/nowhere\"",
        "[trust]\ncertificates = [\"/etc/shacache/signers.pem\"]\nrefuse-short-keys = true",
        "[log]\nformat = \"json\"\nlevel = \"debug\"",
        "[limit]\nblob-bytes = 0\nuncapped-addresses = [\"192.0.2.1\", \"2001:db8::1\"]",
    ] {
        assert_eq!(check(text), Ok("the configuration is good\n".to_owned()), "{text}");
    }
}

#[test]
fn bad_files_are_told_by_file_line_key_and_reason() {
    for (text, error) in [
        ("listen =", "FILE:1: string values must be quoted, expected literal string"),
        (
            "\n\nlissten = []",
            "FILE:3: lissten: unknown field `lissten`, expected one of `listen`, `unix-mode`, `data`, `tls`, `identity`, `upload`, `download`, `mount`, `log`, `limit`, `cache`, `scrub`, `trust`",
        ),
        (
            "listen = \"127.0.0.1:80\"",
            "FILE:1: listen: invalid type: string \"127.0.0.1:80\", expected a sequence",
        ),
        (
            "listen = [\"127.0.0.1:80\", \"https://127.0.0.1:443\"]",
            "FILE:1: listen: an https listener shows a certificate, and tls.certificate names no file",
        ),
        (
            "listen = [\"https://systemd:web\"]",
            "FILE:1: listen: an https listener shows a certificate, and tls.certificate names no file",
        ),
        (
            "listen = [\"systemd:\"]",
            "FILE:1: listen: \"systemd:\": the name of a socket has 1 to 255 printable characters and no colon",
        ),
        (
            "unix-mode = \"888\"",
            "FILE:1: unix-mode: \"888\" is no file mode in octal, such as \"660\"",
        ),
        ("listen = []", "FILE:1: listen: the list is empty: a server listens somewhere"),
        (
            "\nlisten = [\"localhost:80\"]",
            "FILE:2: listen: \"localhost:80\": not an IP address with a port, nor `unix:` and a path, nor `systemd:` and a name: invalid socket address syntax",
        ),
        (
            "data = \"\"",
            "FILE:1: data: no folder is named; without HOME there is no default either",
        ),
        ("data = 1\n", "FILE:1: data: invalid type: integer `1`, expected path string"),
        (
            "[upload]\npolicy = \"closed\"",
            "FILE:2: upload.policy: unknown variant `closed`, expected one of `auto`, `read-only`, `open`, `credentials`, `signed`, `credentials+signed`",
        ),
        (
            "[[identity]]\nroles = [\"put\"]\nauthorities = \"/a\"",
            "FILE:1: identity: number 1: name: a name has 1 to 64 letters, digits, - _ . and @",
        ),
        (
            "[[identity]]\nname = \"a\"\nauthorities = \"/a\"",
            "FILE:1: identity: number 1: it has no role",
        ),
        (
            "[[identity]]\nname = \"a\"\nroles = [\"put\"]",
            "FILE:1: identity: number 1: it has neither certificates nor authorities",
        ),
        (
            "[[identity]]\nname = \"a\"\nroles = [\"put\"]\ncertificates = [\"00\"]",
            "FILE:1: identity: number 1: certificates: a digest of this kind has 64 hex digits, not 2",
        ),
        (
            "[mount]\nshacache = [\"shacache\"]",
            "FILE:2: mount.shacache: \"shacache\": a mount path begins with /",
        ),
        (
            "[mount]\nshacache = [\"/\"]",
            "FILE:2: mount.shacache: \"/\": no service can be mounted at the root of every host; use a host name of its own",
        ),
        (
            "[mount]\nshadir = [\"/a/../b\"]",
            "FILE:2: mount.shadir: \"/a/../b\": \"..\" cannot be a segment of a mount path (letters, digits, - . _ ~)",
        ),
        (
            "[mount]\nshadir = [\"/metrics\"]",
            "FILE:2: mount.shadir: \"/metrics\": /metrics is the server's own",
        ),
        (
            "[mount]\n\nshacache = [\"/shadir/blobs\"]",
            "FILE:3: mount.shacache: /shadir/blobs and /shadir overlap",
        ),
        (
            "mount.shadir-host = [\"a.example:80\"]",
            "FILE:1: mount.shadir-host: \"a.example:80\": a host name comes without a port and without a user name",
        ),
        (
            "mount.shadir-host = [\"a.example\"]\nmount.shacache-host = [\"A.example\"]",
            "FILE:1: mount.shadir-host: a.example cannot be the host of both services",
        ),
        (
            "[mount]\nsha-cache = []",
            "FILE:2: mount.sha-cache: unknown field `sha-cache`, expected one of `shacache`, `shadir`, `shacache-host`, `shadir-host`",
        ),
        (
            "[log]\nformat = \"jason\"",
            "FILE:2: log.format: unknown variant `jason`, expected one of `auto`, `text`, `json`",
        ),
        (
            "[limit]\nconnections = 0",
            "FILE:2: limit.connections: invalid value: integer `0`, expected a nonzero usize",
        ),
        (
            "[limit]\nblob-bytes = -1",
            "FILE:2: limit.blob-bytes: invalid value: integer `-1`, expected u64",
        ),
        (
            "[limit]\nblob-bytes = 1e9",
            "FILE:2: limit.blob-bytes: invalid type: floating point `1000000000.0`, expected u64",
        ),
        (
            "[limit]\nuncapped-addresses = [\"a\"]",
            "FILE:2: limit.uncapped-addresses: invalid IP address syntax",
        ),
        ("[log]\nlevel = \"warn\"\nlevel = \"info\"", "FILE:3: duplicate key"),
    ] {
        assert_eq!(check(text), Err(format!("shacached: {error}\n")), "{text}");
    }
}

#[test]
fn checking_opens_nothing() {
    let home = Home::new();
    let data = home.data().display().to_string();
    said(&home.run(&["check-config", "--data", &data])).expect("good");
    assert!(!home.data().exists());
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let home = Home::new();
    let error = said(&home.run(&["check-config", "--config", "/nowhere/server.toml"]));
    let expected = "shacached: /nowhere/server.toml: No such file or directory (os error 2)\n";
    assert_eq!(error, Err(expected.to_owned()));
}

#[test]
fn what_is_printed_can_be_read_and_says_the_same() {
    let home = Home::new();
    let printed = said(&home.run(&["print-config"])).expect("good");
    let data = home.path().join(".local/share/shacache");
    for line in [
        "listen = [\"127.0.0.1:8080\"]\n",
        &format!("data = \"{}\"\n", data.display()),
        "[mount]\n",
        "shacache = [\"/shacache\"]\n",
        "shadir = [\"/shadir\"]\n",
        "shacache-host = []\n",
        "shadir-host = []\n",
        "[log]\n",
        "format = \"auto\"\n",
        "[limit]\n",
        "blob-bytes = 21474836480\n",
        "shutdown-grace-seconds = 30\n",
    ] {
        assert!(printed.contains(&format!("\n{line}")), "{line} is missing in\n{printed}");
    }
    let keys = printed.lines().filter(|line| line.contains(" = ") && !line.starts_with('#'));
    let described = |key: &str| {
        let (before, _) = printed.split_once(&format!("\n{key}\n")).expect("it is there");
        before.lines().last().is_some_and(|line| line.starts_with("# "))
    };
    assert!(keys.into_iter().all(described), "every key has its description\n{printed}");

    let file = home.path().join("server.toml");
    fs::write(&file, &printed).expect("a file");
    let file = file.display().to_string();
    let again = home.shacached(&["print-config", "--config", &file]).env_remove("HOME").output();
    assert_eq!(said(&again.expect("it runs")), Ok(printed));
}

#[test]
fn identities_and_signers_are_printed_as_they_were_written_and_no_secret_is() {
    let home = Home::new();
    let data = home.data().display().to_string();
    let made = ["token", "new", "builder", "--role", "put", "--data", &data];
    let made = said(&home.run(&made)).expect("a token");
    let secret = made.trim_end().rsplit('_').next().expect("the end of it");
    let written = format!(
        "data = {data:?}\n\
         [[identity]]\nname = \"factory\"\nroles = [\"upload\", \"put\"]\n\
         keys = [\"pypi:*\", \"a \\\"quoted\\\" *\"]\nauthorities = \"/etc/ca.pem\"\n\
         common-names = [\"one\", \"two\"]\n\
         [[identity]]\nname = \"old\"\nroles = [\"admin\"]\ncertificates = [\"{fingerprint}\"]\n\
         [upload]\npolicy = \"credentials+signed\"\n\
         [tls]\ncertificate = \"/etc/server.crt\"\nkey = \"/etc/server.key\"\n\
         [trust]\ncertificates = [\"/etc/signers.pem\"]\nrefuse-short-keys = true\n\
         revoked = [\"{fingerprint} since 2026-11-22T15:00:00Z\"]\n",
        fingerprint = "9f".repeat(32),
    );
    let file = home.path().join("server.toml");
    fs::write(&file, &written).expect("a file");
    let print = |file: &str| said(&home.run(&["print-config", "--config", file])).expect("good");
    let printed = print(&file.display().to_string());
    assert_eq!(printed.matches("\n[[identity]]\n").count(), 2, "{printed}");
    // Whatever was written is there, with the defaults of what was not.
    let written: toml::Table = written.parse().expect("a table");
    let table: toml::Table = printed.parse().expect("a table");
    for (name, value) in &written {
        assert!(says(&table[name], value), "{name}: {value}\n{printed}");
    }
    assert!(says(&table["identity"][1]["keys"], &vec!["*"].into()), "{printed}");
    let again = home.path().join("again.toml");
    fs::write(&again, &printed).expect("a file");
    assert_eq!(print(&again.display().to_string()), printed);
    assert!(!secret.is_empty() && !printed.contains(secret));
}

/// Whether everything in `part` is in `all`.
fn says(all: &toml::Value, part: &toml::Value) -> bool {
    match (all, part) {
        (toml::Value::Table(all), toml::Value::Table(part)) => {
            part.iter().all(|(key, value)| all.get(key).is_some_and(|it| says(it, value)))
        }
        (toml::Value::Array(all), toml::Value::Array(part)) => {
            all.len() == part.len() && all.iter().zip(part).all(|(all, part)| says(all, part))
        }
        (all, part) => all == part,
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let folder = home.path().join(".config/shacache");
    fs::create_dir_all(&folder).expect("a folder");
    let file = "listen = [\"127.0.0.1:1\"]\ndata = \"/file\"\n[mount]\nshadir-host = [\"file\"]";
    fs::write(folder.join("server.toml"), file).expect("a file");
    let output = home
        .shacached(&["print-config", "--listen", "127.0.0.1:3", "--listen", "127.0.0.1:4"])
        .env("SHACACHED_LISTEN", "127.0.0.1:2")
        .env("SHACACHED_DATA", "/environment")
        .env("SHACACHED_MOUNT__SHACACHE_HOST", "one.example, two.example")
        .env("SHACACHED_LIMIT__BLOB_BYTES", "1000")
        .output();
    let printed = said(&output.expect("it runs")).expect("good");
    for line in [
        "listen = [\"127.0.0.1:3\", \"127.0.0.1:4\"]",
        "data = \"/environment\"",
        "shadir-host = [\"file\"]",
        "shacache-host = [\"one.example\", \"two.example\"]",
        "blob-bytes = 1000",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn every_key_is_a_variable_too() {
    let home = Home::new();
    let printed = said(&home.run(&["print-config"])).expect("good");
    let defaults: toml::Table = printed.parse().expect("a table");
    let keys = defaults.iter().flat_map(|(name, value)| match value {
        toml::Value::Table(section) => {
            section.iter().map(|(key, value)| (format!("{name}__{key}"), value)).collect()
        }
        _ => vec![(name.clone(), value)],
    });
    let mut count = 0;
    for (key, value) in keys {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(members) => {
                let members: Vec<_> = members.iter().filter_map(toml::Value::as_str).collect();
                members.join(",")
            }
            other => other.to_string(),
        };
        let variable = format!("SHACACHED_{}", key.replace('-', "_").to_uppercase());
        let output = home.shacached(&["print-config"]).env(&variable, text).output();
        assert_eq!(said(&output.expect("it runs")), Ok(printed.clone()), "{variable}");
        count += 1;
    }
    assert!(count > 20, "{count}");
    let off = home.shacached(&["print-config"]).env("SHACACHED_SCRUB__ENABLED", "false").output();
    assert!(said(&off.expect("it runs")).expect("good").contains("\nenabled = false\n"));
}

#[test]
fn a_wrong_variable_is_named() {
    for (variable, value, error) in [
        ("SHACACHED_LISSTEN", "x", "SHACACHED_LISSTEN: there is no key lissten"),
        ("SHACACHED_MOUNT", "x", "SHACACHED_MOUNT: there is no key mount"),
        (
            "SHACACHED_SCRUB__ENABLED",
            "no",
            "SHACACHED_SCRUB__ENABLED: scrub.enabled is true or false",
        ),
        (
            "SHACACHED_LIMIT__BLOB_BYTES",
            "20G",
            "SHACACHED_LIMIT__BLOB_BYTES: limit.blob-bytes is a whole number",
        ),
        (
            "SHACACHED_LIMIT__HEADERS",
            "0",
            "SHACACHED_LIMIT__HEADERS: limit.headers: invalid value: integer `0`, expected a nonzero usize",
        ),
        (
            "SHACACHED_LOG__LEVEL",
            "loud",
            "SHACACHED_LOG__LEVEL: log.level: unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`, `trace`",
        ),
        (
            "SHACACHED_LISTEN",
            "localhost:80",
            "SHACACHED_LISTEN: listen: \"localhost:80\": not an IP address with a port, nor `unix:` and a path, nor `systemd:` and a name: invalid socket address syntax",
        ),
        (
            "SHACACHED_MOUNT__SHADIR",
            "/shacache",
            "SHACACHED_MOUNT__SHADIR: mount.shadir: /shacache and /shacache overlap",
        ),
    ] {
        let home = Home::new();
        let output = home.shacached(&["check-config"]).env(variable, value).output();
        let error = format!("shacached: {error}\n");
        assert_eq!(said(&output.expect("it runs")), Err(error), "{variable}");
    }
}

#[test]
fn systemds_folder_is_the_default_under_systemd() {
    let home = Home::new();
    let output = home.shacached(&["print-config"]).env("STATE_DIRECTORY", "/var/lib/x:/y").output();
    let printed = said(&output.expect("it runs")).expect("good");
    assert!(printed.contains("\ndata = \"/var/lib/x\"\n"), "{printed}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let home = Home::new();
    for arguments in [&["serve", "--listen", "nowhere"][..], &["frobnicate"], &[]] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
