//! Keys that got out of hand: from some time on, nothing that they signed counts. The time that
//! decides is when a server received an entry, which whoever has the key cannot choose.

use super::Fingerprint;

/// One key and the time from which its entries are hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The key.
    pub signer: Fingerprint,
    /// In microseconds since 1970-01-01T00:00:00Z.
    pub since_us: i64,
}

impl Revocation {
    /// Whether it hides what the key signed and a server received then.
    #[must_use]
    pub fn hides(&self, received_us: i64) -> bool {
        received_us >= self.since_us
    }
}
