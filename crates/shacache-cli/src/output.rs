//! Data on standard output: lines and documents.

use std::io::{self, Write, stdout};

use shacache_core::json::Value;

/// Writes `text` and a new line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(|error| StdoutError(error).into())
}

/// Writes one JSON document, its names sorted.
pub(crate) fn document(content: impl Into<Value>) -> anyhow::Result<()> {
    line(&content.into().to_sorted_lines())
}

/// Standard output does not take any more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct StdoutError(#[source] pub(crate) io::Error);

impl StdoutError {
    /// Whether that is because nobody reads it.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}
