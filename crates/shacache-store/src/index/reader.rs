//! Reads of the index, each on a thread that may block and with a connection that nobody else uses
//! meanwhile. Owns the pool of connections.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::State;
use super::database::Database;
use crate::blocking::blocking;
use crate::error::StoreError;

/// The connections for reading.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: Arc<Pool>,
    permits: Semaphore,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    state: Arc<State>,
    /// Idle connections and the generation of the database they lead to.
    idle: Mutex<Vec<(u64, Database)>>,
}

impl Readers {
    pub(crate) fn new(path: &Path, state: Arc<State>) -> Self {
        let pool = Arc::new(Pool { path: path.to_owned(), state, idle: Mutex::default() });
        Self { pool, permits: Semaphore::new(CONNECTIONS) }
    }

    /// Runs one query.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Database) -> Result<T, rusqlite::Error> + Send + 'static,
        T: Send + 'static,
    {
        let _permit = self.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.pool);
        blocking(move || pool.run(query)).await
    }

    /// Closes the idle connections; a query under way closes its own.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.pool.idle().clear();
    }
}

impl Pool {
    fn run<T>(
        &self,
        query: impl FnOnce(&Database) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let current = self.state.generation.load(Ordering::Acquire);
        let pooled = {
            let mut idle = self.idle();
            idle.retain(|(generation, _)| *generation == current);
            idle.pop()
        };
        let database = match pooled {
            Some((_, database)) => database,
            None => Database::open_to_read(&self.path)?,
        };
        let answer = query(&database)?;
        self.idle().push((current, database));
        Ok(answer)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Database)>> {
        // A list of idle connections is whole at any time.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONNECTIONS: usize = 4;
