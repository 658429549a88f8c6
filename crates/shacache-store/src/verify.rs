//! Checking the archive against itself: every blob is hashed again, every entry read again, every
//! name derived again. Owns the order of work, what is remembered between runs, and the report;
//! what is wrong with one file is judged in [`tree`], and told in [`finding`].
//!
//! The archive is checked in 256 units, one for each value of the first byte of a fan-out. A unit is
//! the step that progress is kept by: an interrupted run goes on at the first unit it had not
//! finished, and the age of the oldest check is that of the unit checked longest ago.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Handle;

pub use self::finding::{Code, Finding};
pub(crate) use self::pace::Pace;
use self::state::State;
pub use self::subset::{Subset, SubsetError};
use self::tree::Tree;
use crate::blob::BlobStore;
use crate::blocking::blocking;
use crate::error::{Chain, Fault, StoreError};
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::timestamp::Timestamp;

mod finding;
mod pace;
mod state;
mod subset;
mod tree;

/// What is to be checked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Which share of the archive.
    pub subset: Subset,
    /// Leave out what the last run, which did not reach its end, had checked.
    pub resume: bool,
    /// Only report: nothing moves to quarantine.
    pub dry_run: bool,
    /// Read at most so many bytes a second; as fast as possible if `None`.
    pub bytes_per_second: Option<u64>,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Units of the archive that were checked, of 256.
    pub units: u64,
    /// Blobs hashed.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Entries read.
    pub entries: u64,
    /// How often something was found that is damage.
    pub damage: u64,
    /// How often something was found that is not.
    pub notes: u64,
    /// What was found, as far as [`Report::LISTED`] goes.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings a report lists; the counts go on.
    pub const LISTED: usize = 10_000;

    fn add(&mut self, finding: Finding) {
        if finding.code.is_damage() {
            tracing::error!(%finding, "verification");
            self.damage += 1;
        } else {
            tracing::warn!(%finding, "verification");
            self.notes += 1;
        }
        if self.findings.len() < Self::LISTED {
            self.findings.push(finding);
        }
    }
}

/// What a check needs.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) layout: Layout,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) blobs: BlobStore,
}

impl Verifier {
    /// Checks on a thread of low priority. `go_on` is asked before each unit and told the report so
    /// far; with `false` the check ends, to be resumed later.
    pub(crate) async fn verify(
        self: &Arc<Self>,
        options: VerifyOptions,
        go_on: impl FnMut(&Report) -> bool + Send + 'static,
    ) -> Result<Report, StoreError> {
        let (verifier, runtime) = (Arc::clone(self), Handle::current());
        let (reply, report) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("verify".into())
            .spawn(move || {
                crate::blob::aliases::lower_priority();
                let checked = runtime.block_on(verifier.run(&options, go_on));
                // Whoever asked may have gone; what was found is in the log too.
                let _ = reply.send(checked);
            })
            .map_err(Fault::at("spawn", self.layout.data()))?;
        report.await.map_err(|_| StoreError::Closed)?
    }

    /// When the part of the archive was checked whose check is longest ago; `None` when some part
    /// never was. Blocking.
    pub(crate) fn oldest_check(&self) -> Option<Timestamp> {
        State::load(&self.layout.verification()).oldest()
    }

    async fn run(
        &self,
        options: &VerifyOptions,
        mut go_on: impl FnMut(&Report) -> bool,
    ) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut pace = Pace::new(options.bytes_per_second);
        let mut state = State::load(&self.layout.verification());
        let tree = Tree {
            layout: &self.layout,
            publisher: &self.publisher,
            blobs: &self.blobs,
            quarantine: (!options.dry_run).then(Timestamp::now),
        };
        let begun = state.begin(options.resume);
        let mut saved = Instant::now();
        tree.check_top(&mut report).await?;
        for unit in options.subset.units() {
            if state.checked_since(unit, begun) {
                continue;
            }
            if !go_on(&report) {
                self.save(&state).await;
                return Ok(report);
            }
            tree.check_unit(unit, &mut pace, &mut report).await?;
            report.units += 1;
            state.checked(unit, Timestamp::now());
            if saved.elapsed() > SAVE_INTERVAL {
                self.save(&state).await;
                saved = Instant::now();
            }
        }
        state.end();
        self.save(&state).await;
        Ok(report)
    }

    /// Progress that cannot be kept is only lost time.
    async fn save(&self, state: &State) {
        let saved = self.publisher.publish(state.to_json().into(), self.layout.verification());
        if let Err(error) = saved.await {
            tracing::warn!(error = %Chain(&error), "the progress of verification is not kept");
        }
    }
}

/// The path as reports show it: relative to the data folder.
fn shown(layout: &Layout, path: &Path) -> String {
    path.strip_prefix(layout.data()).unwrap_or(path).display().to_string()
}

/// For reading what is on disk.
async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, StoreError> {
    blocking(work).await
}

/// How much progress may be lost when a check is cut off.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
