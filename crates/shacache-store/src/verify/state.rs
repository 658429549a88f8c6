//! What is remembered between checks: when each unit was checked last, and how far a run came that
//! did not reach its end. Kept in `state/verify.json`; without it everything counts as never checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::subset::Subset;
use crate::timestamp::Timestamp;

/// The progress of checks.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The run that has not ended yet.
    run: Option<Run>,
    /// When each unit was checked last.
    checked: BTreeMap<u8, Timestamp>,
}

/// A run over a share of the archive. It counts by units and not by time: the clock may be set.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    subset: Subset,
    done: BTreeSet<u8>,
}

impl State {
    /// Reads the file; what cannot be read is as good as none.
    pub(crate) fn load(path: &Path) -> Self {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "no progress of checks known");
                Self::default()
            }),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "no progress of checks known");
                }
                Self::default()
            }
        }
    }

    pub(crate) fn to_json(&self) -> String {
        // Numbers and texts always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Begins a run, or goes on with the last one if that was over the same share.
    pub(crate) fn begin(&mut self, subset: Subset, resume: bool) {
        self.run.take_if(|run| !resume || run.subset != subset);
        self.run.get_or_insert_with(|| Run { subset, done: BTreeSet::new() });
    }

    /// Whether the run that goes on had checked this unit.
    pub(crate) fn is_done(&self, unit: u8) -> bool {
        self.run.as_ref().is_some_and(|run| run.done.contains(&unit))
    }

    pub(crate) fn end(&mut self) {
        self.run = None;
    }

    /// The unit was checked just now.
    pub(crate) fn checked(&mut self, unit: u8) {
        self.checked.insert(unit, Timestamp::now());
    }

    /// It was so by the run that goes on.
    pub(crate) fn done(&mut self, unit: u8) {
        self.checked(unit);
        if let Some(run) = &mut self.run {
            run.done.insert(unit);
        }
    }

    /// The unit whose check is longest ago, and when that was; `None` for never. A time to come was
    /// written by a clock that was wrong, and counts for nothing.
    pub(crate) fn oldest(&self) -> (u8, Option<Timestamp>) {
        let now = Timestamp::now();
        (0..=u8::MAX)
            .map(|unit| (unit, self.checked.get(&unit).copied().filter(|checked| *checked <= now)))
            .min_by_key(|(_, checked)| *checked)
            .unwrap_or((0, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: &str = "3/30";

    #[test]
    fn a_run_goes_on_where_it_stopped_only_when_asked_to() {
        let mut state = State::default();
        state.begin(Subset::WHOLE, true);
        state.done(7);
        let again = || -> State { serde_json::from_str(&state.to_json()).expect("its own text") };
        assert_eq!(again(), state);
        let mut resumed = again();
        resumed.begin(Subset::WHOLE, true);
        assert!(resumed.is_done(7) && !resumed.is_done(8));
        let mut anew = again();
        anew.begin(Subset::WHOLE, false);
        assert!(!anew.is_done(7));
        let mut other = again();
        other.begin(THIRD.parse().expect("a share"), true);
        assert!(!other.is_done(7));
    }

    #[test]
    fn what_the_background_checks_is_not_done_by_a_run() {
        let mut state = State::default();
        state.begin(Subset::WHOLE, false);
        state.checked(7);
        assert!(!state.is_done(7));
    }

    #[test]
    fn what_was_never_checked_is_older_than_everything() {
        let mut state = State::default();
        for unit in 0..=u8::MAX {
            assert_eq!(state.oldest(), (unit, None));
            state.checked(unit);
        }
        let first = state.checked[&9].min(state.checked[&0]);
        state.checked.insert(9, first);
        state.checked.insert(0, first.next());
        assert_eq!(state.oldest(), (9, Some(first)));
    }

    #[test]
    fn a_time_to_come_counts_as_never() {
        let mut state = State::default();
        for unit in 0..=u8::MAX {
            state.checked(unit);
        }
        let future = "29990101T000000.000000Z".parse().expect("a time");
        state.checked.insert(5, future);
        assert_eq!(state.oldest(), (5, None));
    }
}
