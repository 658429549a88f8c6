//! Checking the archive against itself: every blob is hashed again, every entry read again, every
//! name derived again. Owns the order of work, what is remembered between runs, and the report;
//! what is wrong with one file is judged in [`tree`], and told in [`finding`].
//!
//! The archive is checked in 256 units, one for each value of the first byte of a fan-out. A unit is
//! the step that progress is kept by: an interrupted run goes on at the first unit it had not
//! finished, and the age of the oldest check is that of the unit checked longest ago.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

pub use self::finding::{Code, Finding};
use self::pace::Pace;
use self::state::State;
pub use self::subset::{Subset, SubsetError};
use self::tree::Tree;
use crate::blob::BlobStore;
use crate::blocking::on_this_thread;
use crate::error::{Chain, Fault, StoreError};
use crate::index::Index;
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::timestamp::Timestamp;

mod finding;
mod pace;
mod state;
mod subset;
mod tree;

/// What is to be checked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VerifyOptions {
    /// Which share of the archive.
    pub subset: Subset,
    /// Leave out what the last run over the same share, which did not reach its end, had checked.
    pub resume: bool,
    /// Only report: nothing moves to quarantine, and nothing counts as checked.
    pub dry_run: bool,
    /// Read at most so many bytes a second; as fast as possible if `None`.
    pub bytes_per_second: Option<u64>,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    layout: Layout,
    publisher: Arc<Publisher>,
    blobs: BlobStore,
    index: Arc<Index>,
    state: Mutex<State>,
}

/// How fast a check goes on, and whether.
struct Course<'a> {
    pace: Pace,
    blobs: &'a BlobStore,
    go_on: &'a mut (dyn FnMut(&Report) -> bool + Send),
}

/// Why a check ends before its end.
enum Interruption {
    /// Nobody wants it any more.
    Unwanted,
    Failed(StoreError),
}

impl Course<'_> {
    /// Keeps the pace after so many bytes, or ends the check.
    fn advance(&mut self, bytes: u64, report: &Report) -> Result<(), Interruption> {
        match self.paced(bytes, report) {
            true => Ok(()),
            false => Err(self.interruption()),
        }
    }

    /// Keeps the pace; `false` when the check is to end.
    fn paced(&mut self, bytes: u64, report: &Report) -> bool {
        let Self { pace, blobs, go_on } = self;
        pace.keep(bytes, || blobs.check_running().is_ok() && go_on(report))
    }

    fn interruption(&self) -> Interruption {
        match self.blobs.check_running() {
            Ok(()) => Interruption::Unwanted,
            Err(closed) => Interruption::Failed(closed),
        }
    }
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Verifier {
    /// Reads what earlier runs left. Blocking.
    pub(crate) fn new(
        layout: Layout,
        publisher: Arc<Publisher>,
        blobs: BlobStore,
        index: Arc<Index>,
    ) -> Self {
        let state = Mutex::new(State::load(&layout.verification()));
        Self { layout, publisher, blobs, index, state }
    }

    /// Checks what the options say. `go_on` is asked all the time and told the report so far; with
    /// `false` the check ends, to be resumed later.
    pub(crate) async fn verify(
        self: &Arc<Self>,
        checking: OwnedMutexGuard<()>,
        options: VerifyOptions,
        go_on: impl FnMut(&Report) -> bool + Send + 'static,
    ) -> Result<Report, StoreError> {
        let verifier = Arc::clone(self);
        self.on_own_thread(checking, async move { verifier.check(&options, go_on).await }).await
    }

    /// Checks the unit whose check is longest ago.
    pub(crate) async fn scrub(
        self: &Arc<Self>,
        checking: OwnedMutexGuard<()>,
        bytes_per_second: Option<u64>,
    ) -> Result<Report, StoreError> {
        let verifier = Arc::clone(self);
        let work = async move { verifier.check_oldest(bytes_per_second).await };
        self.on_own_thread(checking, work).await
    }

    /// When the unit was checked whose check is longest ago; `None` when one never was.
    pub(crate) fn oldest_check(&self) -> Option<Timestamp> {
        self.state().oldest().1
    }

    /// Hashing and throttling block: they get a thread, and one of low priority. The guard is held
    /// until the thread ends, also when nobody waits for it any more.
    async fn on_own_thread(
        &self,
        checking: OwnedMutexGuard<()>,
        work: impl Future<Output = Result<Report, StoreError>> + Send + 'static,
    ) -> Result<Report, StoreError> {
        let runtime = Handle::current();
        let (reply, report) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("verify".into())
            .spawn(move || {
                crate::blob::aliases::lower_priority();
                // Whoever asked may have gone; what was found is in the log too.
                let _ = reply.send(on_this_thread(&runtime, work));
                drop(checking);
            })
            .map_err(Fault::at("spawn", self.layout.data()))?;
        report.await.map_err(|_| StoreError::Closed)?
    }

    async fn check(
        &self,
        options: &VerifyOptions,
        mut go_on: impl FnMut(&Report) -> bool + Send,
    ) -> Result<Report, StoreError> {
        let mut report = Report::default();
        if !options.dry_run {
            self.state().begin(options.subset, options.resume);
        }
        let mut course = Course {
            pace: Pace::new(options.bytes_per_second),
            blobs: &self.blobs,
            go_on: &mut go_on,
        };
        match self.check_units(options, &mut course, &mut report).await {
            Ok(()) if !options.dry_run => self.state().end(),
            Ok(()) | Err(Interruption::Unwanted) => {}
            Err(Interruption::Failed(error)) => return Err(error),
        }
        // What is told as mended is mended then, also for a check that follows at once.
        self.index.flush().await;
        if !options.dry_run {
            self.save().await;
        }
        Ok(report)
    }

    async fn check_units(
        &self,
        options: &VerifyOptions,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let tree = self.tree((!options.dry_run).then(Timestamp::now));
        tree.check_outside_units(report).await?;
        let mut saved = Instant::now();
        for unit in options.subset.units() {
            if options.resume && self.state().is_done(unit) {
                continue;
            }
            course.advance(0, report)?;
            tree.check_unit(unit, course, report).await?;
            if options.dry_run {
                // What is damaged is still in place: the next check has to see it.
                continue;
            }
            self.state().done(unit);
            if saved.elapsed() > SAVE_INTERVAL {
                self.save().await;
                saved = Instant::now();
            }
        }
        Ok(())
    }

    async fn check_oldest(&self, bytes_per_second: Option<u64>) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut course = Course {
            pace: Pace::new(bytes_per_second),
            blobs: &self.blobs,
            go_on: &mut |_: &Report| true,
        };
        match self.check_oldest_unit(&mut course, &mut report).await {
            Ok(()) => self.save().await,
            Err(Interruption::Unwanted) => {}
            Err(Interruption::Failed(error)) => return Err(error),
        }
        Ok(report)
    }

    async fn check_oldest_unit(
        &self,
        course: &mut Course<'_>,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        let (unit, _) = self.state().oldest();
        let tree = self.tree(Some(Timestamp::now()));
        if unit == 0 {
            // As often as this one.
            tree.check_outside_units(report).await?;
        }
        tree.check_unit(unit, course, report).await?;
        self.state().checked(unit);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree(&self, quarantine: Option<Timestamp>) -> Tree<'_> {
        let Self { layout, publisher, blobs, index, .. } = self;
        Tree { layout, publisher, blobs, index, quarantine }
    }

    /// Progress that cannot be kept is only lost time, and nothing to warn of when the store was
    /// closed in the middle of a check.
    async fn save(&self) {
        let text = self.state().to_json();
        let saved = self.publisher.publish(text.into(), self.layout.verification());
        match saved.await {
            Ok(_) | Err(StoreError::Closed) => {}
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the progress of verification is not kept");
            }
        }
    }
}

/// Work on what is on disk. A check has a thread of its own, so that it may block.
fn reading<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, StoreError> {
    Ok(work()?)
}

/// How much progress may be lost when a check is cut off.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
