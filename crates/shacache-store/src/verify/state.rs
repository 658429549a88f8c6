//! What is remembered between checks: when each unit was checked last, and since when a run that
//! did not reach its end has been going on. Kept in `state/verify.json`; without it everything
//! counts as never checked.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The progress of checks.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// When the run began that has not ended yet.
    running_since: Option<Timestamp>,
    /// When each unit was checked last.
    checked: BTreeMap<u8, Timestamp>,
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

    /// Begins a run, or goes on with the last one; says since when what is checked counts.
    pub(crate) fn begin(&mut self, resume: bool) -> Timestamp {
        match self.running_since {
            Some(since) if resume => since,
            Some(_) | None => {
                let now = Timestamp::now();
                self.running_since = Some(now);
                now
            }
        }
    }

    pub(crate) fn end(&mut self) {
        self.running_since = None;
    }

    pub(crate) fn checked(&mut self, unit: u8, at: Timestamp) {
        self.checked.insert(unit, at);
    }

    pub(crate) fn checked_since(&self, unit: u8, since: Timestamp) -> bool {
        self.checked.get(&unit).is_some_and(|checked| *checked >= since)
    }

    /// The unit whose check is longest ago, and when that was; `None` for never.
    pub(crate) fn oldest(&self) -> (u8, Option<Timestamp>) {
        (0..=u8::MAX)
            .map(|unit| (unit, self.checked.get(&unit).copied()))
            .min_by_key(|(_, checked)| *checked)
            .unwrap_or((0, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_stopped_only_when_asked_to() {
        let mut state = State::default();
        let begun = state.begin(true);
        state.checked(7, Timestamp::now());
        let mut later: State = serde_json::from_str(&state.to_json()).expect("its own text");
        assert_eq!(later, state);
        let resumed = later.begin(true);
        assert_eq!(resumed, begun);
        assert!(later.checked_since(7, resumed) && !later.checked_since(8, resumed));
        while Timestamp::now() == later.checked[&7] {}
        let anew = later.begin(false);
        assert!(!later.checked_since(7, anew));
    }

    #[test]
    fn what_was_never_checked_is_older_than_everything() {
        let mut state = State::default();
        let first = Timestamp::now();
        for unit in 0..=u8::MAX {
            assert_eq!(state.oldest(), (unit, None));
            state.checked(unit, if unit == 9 { first } else { first.next() });
        }
        assert_eq!(state.oldest(), (9, Some(first)));
    }
}
