//! What stands between an upload and its loss, by name. In every build but one all of it is at work,
//! and this file is gone from the program. In a build with the feature `removable-defences`, for the
//! fault tests only, the environment takes defences away: the test of each has to fail without it.
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
}

impl Defence {
    /// Whether it is at work.
    pub(crate) fn is_up(self) -> bool {
        !cfg!(feature = "removable-defences") || !REMOVED.contains(&self)
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
        }
    }
}

/// Says in the log of a build for tests that it is one.
pub(crate) fn announce() {
    if cfg!(feature = "removable-defences") {
        let removed: Vec<_> = REMOVED.iter().copied().map(Defence::name).collect();
        tracing::warn!(?removed, "built with removable defences: for tests only");
    }
}

static REMOVED: LazyLock<Vec<Defence>> = LazyLock::new(|| {
    let names = std::env::var("SHACACHE_REMOVED_DEFENCES").unwrap_or_default();
    ALL.into_iter().filter(|defence| names.split(' ').any(|name| name == defence.name())).collect()
});

const ALL: [Defence; 7] = [
    Defence::Sync,
    Defence::SyncErrors,
    Defence::AnswerLast,
    Defence::EmptyTemporary,
    Defence::Checks,
    Defence::EntryOrder,
    Defence::Floor,
];
