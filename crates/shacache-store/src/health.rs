//! Whether the store takes writes. A failed sync leaves the disk's state unknown (the kernel may
//! have dropped the dirty pages and will not report it twice), so one is enough: reads go on, writes
//! are refused until the next start has made a sync of its own.

use std::sync::OnceLock;

use crate::error::{Fault, StoreError};

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not, until it is opened anew.
    ReadOnly {
        /// What failed.
        reason: String,
    },
}

/// The one-way switch behind [`Health`].
#[derive(Debug, Default)]
pub(crate) struct HealthSwitch {
    failure: OnceLock<String>,
}

impl HealthSwitch {
    pub(crate) fn health(&self) -> Health {
        match self.failure.get() {
            None => Health::Healthy,
            Some(reason) => Health::ReadOnly { reason: reason.clone() },
        }
    }

    /// Errors when writes are refused.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::ReadOnly { reason: reason.clone() }),
        }
    }

    /// Refuses writes from now on, if the fault says that the disk cannot be trusted.
    pub(crate) fn judge(&self, fault: &Fault) {
        if fault.condemns_the_disk() && self.failure.set(fault.to_string()).is_ok() {
            tracing::error!(failure = %fault, "a write failed: writes are refused until restart");
        }
    }
}
