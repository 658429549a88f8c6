//! Downloads to files: resumed across runs, never wrong under the final name.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::programs::{command, run, said, shacache, succeed};
use crate::reference::Reference;

fn uploaded(reference: &Reference, content: &[u8]) -> String {
    let file = reference.path("content");
    fs::write(&file, content).unwrap();
    let line = succeed(shacache(&["upload", "--server", &reference.url()]).arg(&file));
    String::from_utf8(line).unwrap()[..128].into()
}

#[test]
fn what_an_earlier_run_left_is_used_or_dropped() {
    let reference = Reference::start();
    let content = b"0123456789".repeat(50_000);
    let digest = uploaded(&reference, &content);
    let out = reference.path("out");
    let part = reference.path("out.part");
    for left in [&content[..100_000], &content[..], b"wrong", &[b'x'; 600_000]] {
        fs::write(&part, left).unwrap();
        let output =
            run(shacache(&["download", "--server", &reference.url(), &digest, "-o"]).arg(&out));
        assert!(output.status.success(), "{}", said(&output));
        assert!(fs::read(&out).unwrap() == content);
        assert!(!part.exists());
        fs::remove_file(&out).unwrap();
    }
}

#[test]
fn wrong_bytes_never_get_the_name() {
    let reference = Reference::start();
    let digest = uploaded(&reference, b"right");
    fs::write(reference.path("tree/shacache").join(&digest), "wrong").unwrap();
    let out = reference.path("out");
    fs::write(&out, "before").unwrap();
    let output =
        run(shacache(&["download", "--server", &reference.url(), &digest, "-o"]).arg(&out));
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(fs::read(&out).unwrap(), b"before");
    assert!(!reference.path("out.part").exists());
}

#[test]
fn an_interrupted_download_is_kept_and_continued() {
    let reference = Reference::start();
    let content = b"0123456789".repeat(500_000);
    let digest = uploaded(&reference, &content);
    let (out, part) = (reference.path("out"), reference.path("out.part"));
    let half = content[..content.len() / 2].to_vec();
    let (url, _stalled) = stalling_server(half, content.len());
    let mut child = shacache(&["download", "--server", &url, &digest, "-o"])
        .arg(&out)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(&mut child, |_| fs::metadata(&part).is_ok_and(|part| part.len() > 0));
    succeed(command("kill").args(["-INT", &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&part.display().to_string()), "{}", said(&output));
    assert!(!out.exists());
    assert!(content.starts_with(&fs::read(&part).unwrap()));
    succeed(shacache(&["download", "--server", &reference.url(), &digest, "-o"]).arg(&out));
    assert!(fs::read(&out).unwrap() == content);
    assert!(!part.exists());
}

#[test]
fn an_interrupt_does_not_wait_for_a_slow_disk() {
    let reference = Reference::start();
    let digest = uploaded(&reference, b"content");
    let (out, part) = (reference.path("out"), reference.path("out.part"));
    // A pipe that nobody writes is the slowest file there is.
    succeed(command("mkfifo").arg(&part));
    let mut child = shacache(&["download", "--server", &reference.url(), &digest, "-o"])
        .arg(&out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(&mut child, |child| {
        let folder = fs::read_dir(format!("/proc/{}/fd", child.id()));
        let mut files = folder.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|path| path == part))
    });
    succeed(command("kill").args(["-INT", &child.id().to_string()]));
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("still there: {}", said(&child.wait_with_output().unwrap()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

fn wait_until(child: &mut Child, condition: impl Fn(&Child) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition(child) {
        if Instant::now() > deadline || child.try_wait().unwrap().is_some() {
            child.kill().unwrap();
            panic!("it ended, or did not come that far");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a part of what it announces to the first client, and then no more. It ends with the stream
/// that is returned.
fn stalling_server(part: Vec<u8>, announced_bytes: usize) -> (String, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Closed by the test's end, which ends the thread.
    let waker = TcpStream::connect(address).unwrap();
    thread::spawn(move || {
        let (mut open_until_the_end, _) = listener.accept().unwrap();
        let (mut client, _) = listener.accept().unwrap();
        // An answer to a question that was not asked yet is none.
        let head = BufReader::new(&client).lines().map_while(Result::ok);
        assert!(head.take_while(|line| !line.is_empty()).count() > 0);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced_bytes}\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&part).unwrap();
        let _ = open_until_the_end.read(&mut [0]);
    });
    (format!("http://{address}"), waker)
}
