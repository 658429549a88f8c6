//! Writes under way. Each holds a pass from before it publishes until the index was told; closing
//! the store waits for all of them, so that an orderly end leaves nothing half told.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::error::StoreError;

/// The way in for writes.
#[derive(Debug)]
pub(crate) struct Gate(Arc<RwLock<Open>>);

#[derive(Debug)]
struct Open(bool);

/// The right to write while it is held.
#[derive(Debug)]
pub(crate) struct Pass {
    _held: OwnedRwLockReadGuard<Open>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(RwLock::new(Open(true))))
    }

    /// A pass, unless the gate is closed or closing.
    pub(crate) async fn enter(&self) -> Result<Pass, StoreError> {
        let held = Arc::clone(&self.0).read_owned().await;
        if held.0 { Ok(Pass { _held: held }) } else { Err(StoreError::Closed) }
    }

    /// Lets nobody in any more, and waits until everybody has left.
    pub(crate) async fn close(&self) {
        self.0.write().await.0 = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closing_waits_for_those_inside_and_refuses_the_next() {
        let gate = Arc::new(Gate::new());
        let inside = gate.enter().await.expect("open");
        let closing = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.close().await }
        });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished());
        drop(inside);
        closing.await.expect("closed");
        assert!(matches!(gate.enter().await, Err(StoreError::Closed)));
    }
}
