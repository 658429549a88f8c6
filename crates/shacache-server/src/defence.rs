//! What stands between strangers and what they may not do, by name, as far as the server sees to it
//! and not the store. In every build but one all of it is at work; see the store's file of this name.
//! Must not know what the defences do.

use shacache_store::defence::is_removed;

/// One defence, described by what it sees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// Whoever asks has the right to it.
    Rights,
    /// An entry that has to be signed is signed by a listed key.
    Signatures,
}

impl Defence {
    /// Whether it is at work.
    pub(crate) fn is_up(self) -> bool {
        !is_removed(match self {
            Self::Rights => "rights",
            Self::Signatures => "signatures",
        })
    }
}
