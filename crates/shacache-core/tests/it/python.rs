//! Asks the machine's `python3`: a script answers a list of texts, one by one. Texts and answers
//! travel in hex, a line each, so that nothing in them matters.

use std::io::Write;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;

/// Runs `body`, the body of a Python function of `text` that returns its answer as a string, on
/// each of the texts.
pub(crate) fn answers(body: &str, texts: &[String]) -> Vec<String> {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let script = format!("def answer(text):\n{body}\n{LOOP}");
    let mut python = Command::new("python3")
        .args(["-I", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut input: String =
        texts.iter().map(|text| HEXLOWER.encode(text.as_bytes()) + "\n").collect();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(std::mem::take(&mut input).as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().expect("Python reads every text");
    assert!(output.status.success(), "Python failed");
    let lines = String::from_utf8(output.stdout).unwrap();
    let decode = |line: &str| String::from_utf8(HEXLOWER.decode(line.as_bytes()).unwrap()).unwrap();
    let answers: Vec<_> = lines.lines().map(decode).collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

const LOOP: &str = "
import sys
for line in sys.stdin:
    print(answer(bytes.fromhex(line).decode()).encode().hex())
";
