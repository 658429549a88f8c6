//! Blocking work off the runtime's threads. Owns what happens when such work panics or the runtime
//! ends beneath it, and which threads do it themselves.

use std::cell::Cell;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::StoreError;

thread_local! {
    /// Whether whatever blocks does so on this thread.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Drives `work` on this thread, which may block. What blocks within does so here: a thread that the
/// runtime starts on behalf of this one has its priority for good, and whoever comes next would get
/// it. To be called on a thread that drives nothing else.
pub(crate) fn on_this_thread<F: Future>(runtime: &Handle, work: F) -> F::Output {
    let _until_then = MayBlock::begin();
    runtime.block_on(work)
}

struct MayBlock;

impl MayBlock {
    fn begin() -> Self {
        MAY_BLOCK.set(true);
        Self
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        MAY_BLOCK.set(false);
    }
}

/// Runs `work` on a thread that may block, which this one is perhaps. A panic in it goes on in the
/// caller.
pub(crate) async fn blocking<T, E, F>(work: F) -> Result<T, StoreError>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<StoreError> + Send + 'static,
{
    if MAY_BLOCK.get() {
        return work().map_err(Into::into);
    }
    joined(tokio::task::spawn_blocking(work)).await
}

/// Waits for work that was begun earlier.
pub(crate) async fn joined<T, E>(work: JoinHandle<Result<T, E>>) -> Result<T, StoreError>
where
    E: Into<StoreError>,
{
    match work.await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The only other reason is that the runtime shuts down.
            Err(_) => Err(StoreError::Closed),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use super::*;

    #[tokio::test]
    async fn a_thread_that_may_block_does_it_itself_as_long_as_it_may() {
        let where_it_blocks = || blocking(|| Ok::<_, StoreError>(thread::current().id()));
        let runtime = Handle::current();
        let check = move || {
            let here = on_this_thread(&runtime, where_it_blocks()).expect("done");
            let there = runtime.block_on(where_it_blocks()).expect("done");
            (here, there, thread::current().id())
        };
        let (here, there, own): (ThreadId, ThreadId, ThreadId) =
            tokio::task::spawn_blocking(check).await.expect("no panic");
        assert_eq!(here, own);
        assert_ne!(there, own);
    }
}
