//! What stands between an upload and its loss or misuse, by name. In every build but one all of it is
//! at work, and this file is gone from the program. In a build with the feature
//! `removable-defences`, for the fault tests only, the environment takes defences away: the test of
//! each has to fail without it.
//! Must not know what the defences do.

use std::sync::LazyLock;

/// One defence, described by what it sees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// Files, folders and file systems are synced.
    Sync,
    /// An upload whose sync failed is refused.
    SyncErrors,
    /// An upload is answered when it is published, and not before.
    AnswerLast,
    /// What an earlier run left in `tmp/` is removed at the start.
    EmptyTemporary,
    /// A chunk leaves only if it is what it was.
    Checks,
    /// The entries of a key are listed oldest first.
    EntryOrder,
    /// Some space is kept free.
    Floor,
    /// A blob without credentials lies apart until it is claimed.
    Apart,
    /// A blob is claimed before the entry that names it is published.
    ClaimFirst,
    /// A check of the archive reads no faster than it was told to.
    Pace,
    /// Nothing is collected that an entry on its way names.
    Naming,
    /// An entry brings back the blob that it names, if that was collected.
    Restoring,
    /// What is held is not deleted.
    Holds,
}

impl Defence {
    /// Whether it is at work.
    pub(crate) fn is_up(self) -> bool {
        !is_removed(self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::SyncErrors => "sync-errors",
            Self::AnswerLast => "answer-last",
            Self::EmptyTemporary => "empty-temporary",
            Self::Checks => "checks",
            Self::EntryOrder => "entry-order",
            Self::Floor => "floor",
            Self::Apart => "apart",
            Self::ClaimFirst => "claim-first",
            Self::Pace => "pace",
            Self::Naming => "naming",
            Self::Restoring => "restoring",
            Self::Holds => "holds",
        }
    }
}

/// Whether a defence of this name was taken away: one of these, or one of the program around the
/// store, which asks here for its own.
#[must_use]
pub fn is_removed(name: &str) -> bool {
    cfg!(feature = "removable-defences") && REMOVED.iter().any(|removed| removed == name)
}

/// Says in the log of a build for tests that it is one.
pub(crate) fn announce() {
    if cfg!(feature = "removable-defences") {
        tracing::warn!(removed = ?*REMOVED, "built with removable defences: for tests only");
    }
}

static REMOVED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let names = std::env::var("SHACACHE_REMOVED_DEFENCES").unwrap_or_default();
    names.split_whitespace().map(str::to_owned).collect()
});
