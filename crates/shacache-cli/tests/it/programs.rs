//! The programs under test and the Python ones they are compared with, run as a user runs them.

use std::env;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// A program of the venv with slapos.libnetworkcache 0.30.
pub(crate) fn old(name: &str) -> PathBuf {
    let venv = env::var_os("SHACACHE_TEST_VENV").expect(
        "SHACACHE_TEST_VENV must name a Python venv with slapos.libnetworkcache==0.30; ./test makes one",
    );
    let program = Path::new(&venv).join("bin").join(name);
    assert!(program.exists(), "{} does not exist", program.display());
    program
}

/// Our program under an old name, by a link in `folder`.
pub(crate) fn new(folder: &Path, name: &str) -> PathBuf {
    let link = folder.join(name);
    if !link.exists() {
        symlink(SHACACHE, &link).unwrap();
    }
    link
}

/// A command that sees nothing of the caller's settings.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

/// `shacache` with arguments.
pub(crate) fn shacache(arguments: &[&str]) -> Command {
    let mut command = command(SHACACHE);
    command.args(arguments);
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Runs a command that reads `input`.
pub(crate) fn run_with(command: &mut Command, input: Vec<u8>) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What a command said, for messages of failed tests.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs a command that has to succeed; returns its standard output.
pub(crate) fn succeed(command: &mut Command) -> Vec<u8> {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output.stdout
}

/// Runs a Python script of this folder; returns its standard output as text.
pub(crate) fn python(script: &str, input: Vec<u8>) -> String {
    let mut command = command(old("python"));
    command.args(["-c", script]);
    let output = run_with(&mut command, input);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The program under test.
pub(crate) const SHACACHE: &str = env!("CARGO_BIN_EXE_shacache");
