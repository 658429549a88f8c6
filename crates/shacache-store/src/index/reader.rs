//! Reads of the index, each on a thread that may block and with a connection that nobody else uses
//! meanwhile. Owns the pool of connections, and that none of them outlives the file it leads to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;

use super::database::Database;
use crate::blocking::blocking;
use crate::error::StoreError;

/// The connections for reading.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: Arc<Pool>,
    permits: Semaphore,
}

/// The connections themselves, shared with whoever replaces the file.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Database>>,
    /// How many files were in this place before. Held for reading by each query, for writing while
    /// the file is replaced.
    in_place: RwLock<u64>,
}

impl Readers {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
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

    /// The file that a query meets now, or a later one.
    pub(crate) fn file(&self) -> u64 {
        self.pool.file()
    }

    /// Closes the idle connections; a query under way closes its own.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.pool.idle().clear();
    }
}

impl Pool {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), in_place: RwLock::default() }
    }

    /// Does `work` while no connection of the pool is open and none is opened; waits for the queries
    /// under way. A connection opens SQLite's other files when it is first used, by their names, which
    /// would be those of the file that took the place of its own.
    pub(crate) fn while_closed<T>(&self, work: impl FnOnce() -> T) -> T {
        // Nothing that the lock guards can be left half done.
        let mut file = self.in_place.write().unwrap_or_else(PoisonError::into_inner);
        self.idle().clear();
        *file += 1;
        work()
    }

    /// Which file is in place, by the number of those that were there before.
    pub(crate) fn file(&self) -> u64 {
        *self.in_place.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        query: impl FnOnce(&Database) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let _in_place = self.in_place.read().unwrap_or_else(PoisonError::into_inner);
        let pooled = self.idle().pop();
        let database = match pooled {
            Some(database) => database,
            None => Database::open_to_read(&self.path)?,
        };
        let answer = query(&database)?;
        self.idle().push(database);
        Ok(answer)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Database>> {
        // A list of idle connections is whole at any time.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONNECTIONS: usize = 4;
