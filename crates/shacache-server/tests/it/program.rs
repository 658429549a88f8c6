//! The real program as a process of its own, killed when dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::running::PATIENCE;

/// A folder with everything that a run of the program may find or leave.
pub(crate) struct Home {
    folder: TempDir,
    data: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_data("data")
    }

    /// With a data folder of another name.
    pub(crate) fn with_data(name: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join(name);
        Self { folder, data }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The program with nothing of this machine's configuration.
    pub(crate) fn shacached(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shacached"));
        command.args(arguments).env_clear().env("HOME", self.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.shacached(arguments).output().expect("the program starts")
    }

    /// Starts a server on this home's data folder and waits until it listens.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Program {
        self.spawn(self.shacached(&[]), FREE_PORT, arguments)
    }

    /// The same, with variables of the environment.
    pub(crate) fn serve_with(&self, variables: &[(&str, &str)]) -> Program {
        let mut shacached = self.shacached(&[]);
        shacached.envs(variables.iter().copied());
        self.spawn(shacached, FREE_PORT, &[])
    }

    /// The same, from a shell that runs `command` first.
    pub(crate) fn serve_after(&self, command: &str) -> Program {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{command} && exec \"$0\" \"$@\"")]);
        shell.arg(env!("CARGO_BIN_EXE_shacached")).env_clear().env("HOME", self.path());
        shell.stdin(Stdio::null());
        self.spawn(shell, FREE_PORT, &[])
    }

    /// The same, started by a command that ends with the program, and with `listen` first.
    pub(crate) fn spawn(&self, shacached: Command, listen: &str, arguments: &[&str]) -> Program {
        let log = self.path().join("log");
        let mut shacached = shacached;
        let mut process = shacached
            .args(["serve", "--listen", listen, "--data"])
            .arg(self.data())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        output.read_line(&mut line).expect("standard output");
        let address = line.trim().split_once("://").and_then(|(_, address)| address.parse().ok());
        let mut program = Program { process, output, log, address: ([0; 4], 0).into() };
        program.address = address.unwrap_or_else(|| panic!("{line}{}", program.log()));
        program
    }
}

/// A running server.
pub(crate) struct Program {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    log: PathBuf,
    address: SocketAddr,
}

impl Program {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The address of its listener for https, which it was given after its usual one.
    pub(crate) fn tls_address(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("standard output");
        let address = line.strip_prefix("listening on https://").map(str::trim);
        address.and_then(|address| address.parse().ok()).expect(&line)
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success());
    }

    /// Its exit code, once it ended by itself.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of the process", || {
            status = self.process.try_wait().expect("a child");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// SIGTERM, a good end, and what it wrote to standard error.
    pub(crate) fn stop(self) -> String {
        self.signal("TERM");
        self.stop_after_signal()
    }

    /// The same after a signal that was sent already.
    pub(crate) fn stop_after_signal(mut self) -> String {
        assert_eq!(self.ended(), Some(0), "{}", self.log());
        self.log()
    }

    /// The rest of what it wrote to standard output; ends with the process.
    pub(crate) fn output(&mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("UTF-8");
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

const FREE_PORT: &str = "127.0.0.1:0";

/// Waits for a condition; fails when it takes too long.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
