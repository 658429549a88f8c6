//! How far a long command has come: one line at a terminal that is written over, else a line a
//! minute, for a log. Must not know what the command does.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shacache_server::intake::services::Steps;
use shacache_store::Moved;

/// The line on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When it was written last; `None` when nobody wants to see it.
    written: Option<Mutex<Instant>>,
    at_terminal: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let written = (!quiet).then(|| Mutex::new(Instant::now()));
        Self { written, at_terminal: io::stderr().is_terminal() }
    }

    /// Writes what was moved so far, now and then; with `steps`, how far in a list of keys that is.
    pub(crate) fn show(&self, moved: &Moved, steps: Option<&Steps>) {
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() < if self.at_terminal { AT_TERMINAL } else { IN_LOG } {
            return;
        }
        *written = Instant::now();
        let Moved { blobs, bytes, entries, already, .. } = moved;
        let size = megabytes(steps.map_or(*bytes, Steps::received_bytes));
        let keys = steps.map(|steps| format!("{} of {} keys: ", steps.keys_done(), steps.keys()));
        let keys = keys.unwrap_or_default();
        let (before, after) = if self.at_terminal { (CLEAR, "") } else { ("", "\n") };
        // With standard error gone there is nobody to be told.
        let _unseen = write!(
            io::stderr(),
            "{before}{keys}{blobs} blobs ({size} MB), {entries} entries; {already} files were \
             there{after}"
        );
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if self.written.is_some() && self.at_terminal {
            let _unseen = write!(io::stderr(), "{CLEAR}");
        }
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

const AT_TERMINAL: Duration = Duration::from_millis(200);
const IN_LOG: Duration = Duration::from_secs(60);
const CLEAR: &str = "\r\x1b[K";
