//! What HTTP clients can rely on, as plain text: the scripts in `conformance/` at the root of the
//! repository, each run against a server in this process, whose description has to know every answer,
//! or against the one at `SHACACHE_CONFORMANCE_URL`. Their grammar is in `conformance/README.md`.

mod described;
mod script;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use self::described::Described;
use self::script::{Expected, Script, Step, fits};
use crate::raw_http::{Answer, connect, exchange};
use crate::running::{PATIENCE, Running};

/// One test for each script, and one that none is forgotten.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)) })*

        #[test]
        fn every_script_is_run() {
            let listed: BTreeSet<String> = [$(stringify!($name).to_owned()),*].into();
            let files = fs::read_dir(FOLDER).expect("the folder").map(|file| file.expect("a file").path());
            let scripts = files.filter(|path| path.extension().is_some_and(|end| end == "http"));
            let stem = |path: &Path| path.file_stem().expect("a name").to_str().expect("ASCII").replace('-', "_");
            assert_eq!(listed, scripts.map(|path| stem(&path)).collect());
        }
    };
}

scripts! {
    administration
    aliases
    blob_download
    blob_upload
    collisions
    conditions
    directory
    entries
    errors
    hosts
    keys
    limits
    methods
    mounts
    operations
    ranges
    requests
    signed
    signers
    web_origins
}

fn run(name: &str) {
    let name = name.replace('_', "-");
    let text =
        fs::read_to_string(Path::new(FOLDER).join(format!("{name}.http"))).expect("a script");
    let unique = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let read = |host: &str, operator: &str| {
        Script::read(&text, [("host", host), ("unique", &unique.to_string()), (OPERATOR, operator)])
    };
    let wants_operator = text.contains(&format!("{{{{{OPERATOR}}}}}"));
    match env::var("SHACACHE_CONFORMANCE_URL") {
        Err(_) => {
            let settings = read("", "").settings;
            let (server, operator) = if wants_operator {
                Running::start_with_operator(&settings)
            } else {
                (Running::start(&settings), String::new())
            };
            let script = read(&server.address().to_string(), &operator);
            let described = Described::by(server.address(), &script.settings);
            perform(&name, server.address(), script, Some(&described));
        }
        Ok(url) => {
            let host = url.strip_prefix("http://").expect("http://HOST:PORT");
            let host = host.trim_end_matches('/');
            let operator = env::var("SHACACHE_CONFORMANCE_OPERATOR");
            let script = read(host, operator.as_deref().unwrap_or_default());
            if script.settings.is_empty() && (operator.is_ok() || !wants_operator) {
                let address = host.to_socket_addrs().expect("HOST:PORT").next();
                perform(&name, address.expect("an address"), script, None);
            }
        }
    }
}

fn perform(name: &str, address: SocketAddr, script: Script, described: Option<&Described>) {
    let failures: Vec<String> = script
        .steps
        .iter()
        .filter_map(|step| {
            let reason = perform_step(address, step, described).err()?;
            Some(format!("{name}.http:{}: {}\n{reason}", step.line, step.title))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn perform_step(
    address: SocketAddr,
    step: &Step,
    described: Option<&Described>,
) -> Result<(), String> {
    if step.hang_up {
        return connect(address)
            .and_then(|mut stream| stream.write_all(&step.request))
            .map_err(|error| error.to_string());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = exchange(address, &step.request);
        let answer = answer.map_err(|error| error.to_string())?.ok_or("no answer")?;
        if let Some(described) = described {
            described.check(&step.request, answer.status)?;
        }
        let failed: Vec<String> =
            step.expected.iter().filter_map(|expected| unmet(expected, &answer)).collect();
        if failed.is_empty() {
            return Ok(());
        }
        if !step.eventually || Instant::now() > deadline {
            return Err(format!(
                "{}\n{} {:?}\n{}",
                failed.join("\n"),
                answer.status,
                answer.headers,
                answer.text()
            ));
        }
        thread::sleep(PAUSE);
    }
}

fn unmet(expected: &Expected, answer: &Answer) -> Option<String> {
    let (met, wanted) = match expected {
        Expected::Status(status) => (answer.status == *status, status.to_string()),
        Expected::Header { name, pattern } => {
            let met = answer.header(name).is_some_and(|value| fits(pattern, value));
            (met, format!("{name}: {pattern}"))
        }
        Expected::NoHeader(name) => (answer.header(name).is_none(), format!("no {name}")),
        Expected::Body(body) => {
            (answer.body == *body, format!("body = {}", String::from_utf8_lossy(body)))
        }
        Expected::BodyContains(part) => {
            (answer.text().contains(part), format!("body contains {part}"))
        }
        Expected::Says(pattern) => (fits(pattern, &answer.text()), format!("says {pattern}")),
    };
    (!met).then(|| format!("not so: {wanted}"))
}

/// Between two tries of what the server does in the background.
const PAUSE: Duration = Duration::from_millis(20);

/// The name that scripts have for the token of an operator.
const OPERATOR: &str = "operator";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance");
