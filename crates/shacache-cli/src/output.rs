//! Data on standard output. A reader that goes away early ends the program quietly, as it ends
//! every other tool in a pipe.

use std::io::{Write, stdout};

use anyhow::Context as _;

/// Writes `text` and a new line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .context(STDOUT)
}

const STDOUT: &str = "cannot write to standard output";
