//! How far a long command has come, as one line at a terminal that is written over; nothing for
//! anybody else. Must not know what the command does.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shacache_server::intake::services::Steps;
use shacache_store::Moved;

/// The line on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When it was written last; `None` when nobody is there to see it.
    written: Option<Mutex<Instant>>,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let seen = !quiet && io::stderr().is_terminal();
        Self { written: seen.then(|| Mutex::new(Instant::now())) }
    }

    /// Writes what was moved so far, now and then; with `steps`, how far in a list of keys that is.
    pub(crate) fn show(&self, moved: &Moved, steps: Option<&Steps>) {
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.elapsed() < INTERVAL {
            return;
        }
        *written = Instant::now();
        let Moved { blobs, bytes, entries, already, .. } = moved;
        let size = megabytes(steps.map_or(*bytes, Steps::received_bytes));
        let keys = steps.map(|steps| format!("{} of {} keys: ", steps.keys_done(), steps.keys()));
        let keys = keys.unwrap_or_default();
        // With standard error gone there is nobody to be told.
        let _unseen = write!(
            io::stderr(),
            "\r\x1b[K{keys}{blobs} blobs ({size} MB), {entries} entries; {already} files were there"
        );
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if self.written.is_some() {
            let _unseen = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

const INTERVAL: Duration = Duration::from_millis(200);
