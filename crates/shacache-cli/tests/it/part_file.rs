//! Downloads to files: resumed across runs, never wrong under the final name.

use std::fs;

use crate::programs::{run, said, shacache, succeed};
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
