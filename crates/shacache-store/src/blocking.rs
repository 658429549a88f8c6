//! Blocking work off the runtime's threads. Owns what happens when such work panics or the runtime
//! ends beneath it.

use tokio::task::JoinHandle;

use crate::error::StoreError;

/// Runs `work` on a thread that may block. A panic in it goes on in the caller.
pub(crate) async fn blocking<T, E, F>(work: F) -> Result<T, StoreError>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<StoreError> + Send + 'static,
{
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
