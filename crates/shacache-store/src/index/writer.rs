//! The one thread that writes the index. Owns batching and what happens when the file fails or
//! vanishes: it is made anew, and the store is told that it lacks things.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::ffi;
use tokio::sync::oneshot;

use super::database::{Database, Opened};
use super::deferred::Deferred;
use super::reader::Pool;
use super::{Change, ListedEntry, State, is_damage};
use crate::error::{Chain, Fault, StoreError};
use crate::scan;
use crate::seal::Seal;
use crate::timestamp::Day;

/// What the thread is asked for, in order.
#[derive(Debug)]
pub(crate) enum Message {
    Change(Change),
    /// Every blob is forgotten.
    ClearBlobs,
    /// All entries are listed anew from here on…
    Fill,
    /// …these among them…
    Add {
        entries: Vec<ListedEntry>,
        reply: oneshot::Sender<()>,
    },
    /// …which are all, so that they take the place of those listed before…
    Filled,
    /// …or nothing comes of it.
    NoFill,
    /// Answered once the changes before are taken.
    KeepUp(oneshot::Sender<()>),
    Flush(oneshot::Sender<()>),
    /// A flush whose outcome survives a power cut.
    Sync(oneshot::Sender<()>),
    /// A read failed: the file may have vanished, or is damaged.
    ReadFailed {
        /// The file that is damaged, as [`Pool::file`] counts: many reads find the same damage.
        damaged: Option<u64>,
    },
    /// The last one: the answer says whether the file is in place and whole.
    Close {
        seal: Seal,
        reply: oneshot::Sender<bool>,
    },
}

/// The thread's state.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    /// None when no file could be made.
    current: Option<Current>,
    deferred: Deferred,
    readers: Arc<Pool>,
    state: Arc<State>,
}

#[derive(Debug)]
struct Current {
    database: Database,
    /// Device and inode of the file that `database` leads to.
    file: (u64, u64),
    /// Whether entries are listed anew in there.
    is_filling: bool,
}

impl Current {
    fn new(database: Database, file: (u64, u64)) -> Self {
        Self { database, file, is_filling: false }
    }

    fn fill(&mut self) -> Result<(), rusqlite::Error> {
        self.database.fill()?;
        self.is_filling = true;
        Ok(())
    }
}

impl Writer {
    /// Opens the file or makes it anew. If it was left with this seal, gives since when it has every
    /// use of a blob.
    pub(crate) fn open(
        path: &Path,
        seal: Option<&Seal>,
        readers: Arc<Pool>,
        state: Arc<State>,
    ) -> Result<(Self, Option<Day>), StoreError> {
        if scan::status(path)?.is_some_and(|found| !found.is_file()) {
            let not_a_file = std::io::Error::other("it is not a file");
            return Err(Fault::new("open", path, not_a_file).into());
        }
        let opened = Database::open_to_write(path).and_then(|opened| match opened {
            Opened::There(database) => {
                database.seal().map(|sealed| (Opened::There(database), sealed))
            }
            opened => Ok((opened, None)),
        });
        let (database, sealed) = match opened {
            Ok((Opened::There(database) | Opened::New(database), sealed)) => (database, sealed),
            Ok((Opened::Foreign { version }, _)) => {
                tracing::warn!(
                    path = %path.display(),
                    version,
                    "the index is of another version: made anew"
                );
                (make_anew(path)?, None)
            }
            Err(error) if is_damage(&error) => {
                tracing::warn!(path = %path.display(), %error, "the index is damaged: made anew");
                (make_anew(path)?, None)
            }
            Err(error) => return Err(error.into()),
        };
        let file = identity(path)?;
        let uses_since = seal
            .zip(sealed)
            .filter(|(seal, (text, _))| *text == seal.to_string())
            .map(|(_, (_, uses_since))| uses_since);
        let current = Some(Current::new(database, file));
        let (path, deferred) = (path.to_owned(), Deferred::default());
        Ok((Self { path, current, deferred, readers, state }, uses_since))
    }

    /// Works until told to close.
    pub(crate) fn run(mut self, inbox: mpsc::Receiver<Message>) {
        // Whoever filled it before may have been killed.
        self.end_filling();
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        while let Some(message) = self.next(&inbox) {
            let mut next = Some(message);
            let opened = Instant::now();
            while let Some(message) = next.take() {
                match message {
                    Message::Change(change @ Change::Aliases { .. }) => self.deferred.add(change),
                    Message::Change(change) => batch.push(change),
                    Message::ClearBlobs => {
                        self.write(&mut batch);
                        // They are of blobs that go.
                        self.deferred.take();
                        self.replace_if_vanished();
                        self.change(|current| current.database.clear_blobs());
                    }
                    Message::Fill => {
                        self.write(&mut batch);
                        self.replace_if_vanished();
                        self.change(Current::fill);
                    }
                    Message::Add { entries, reply } => {
                        self.write(&mut batch);
                        self.filling(|database| database.add(&entries));
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                    }
                    Message::Filled => {
                        self.write(&mut batch);
                        self.replace_if_vanished();
                        self.filling(Database::filled);
                    }
                    Message::NoFill => self.end_filling(),
                    Message::KeepUp(reply) => {
                        self.write(&mut batch);
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                    }
                    Message::Flush(reply) => {
                        self.write_all(&mut batch);
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                    }
                    // What can wait is not what has to survive.
                    Message::Sync(reply) => {
                        self.write(&mut batch);
                        self.change(|current| current.database.sync());
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                    }
                    Message::ReadFailed { damaged: None } => self.replace_if_vanished(),
                    Message::ReadFailed { damaged: Some(file) } => {
                        if file == self.readers.file() {
                            self.replace(failure(ffi::SQLITE_CORRUPT, "a read found damage"));
                        }
                    }
                    Message::Close { seal, reply } => {
                        self.write_all(&mut batch);
                        self.close(&seal, reply);
                        return;
                    }
                }
                // A transaction of one row costs hardly less than one of many.
                let left = BATCH_TIME.saturating_sub(opened.elapsed());
                if batch.len() < BATCH_ROWS && !left.is_zero() {
                    next = inbox.recv_timeout(left).ok();
                }
            }
            self.write(&mut batch);
        }
    }

    /// Waits for the next message; `None` when there will be none. What could wait is written when it
    /// may no longer.
    fn next(&mut self, inbox: &mpsc::Receiver<Message>) -> Option<Message> {
        let is_complete = self.state.complete.load(Ordering::Acquire);
        match self.deferred.patience(is_complete) {
            None => {}
            Some(Duration::ZERO) => self.write_all(&mut Vec::new()),
            Some(patience) => match inbox.recv_timeout(patience) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.write_all(&mut Vec::new()),
            },
        }
        inbox.recv().ok()
    }

    /// With what could wait, which is about blobs that are listed before.
    fn write_all(&mut self, batch: &mut Vec<Change>) {
        self.write(batch);
        let mut deferred = self.deferred.take();
        if deferred.len() <= BATCH_ROWS {
            self.write(&mut deferred);
        } else {
            self.write_scattered(&deferred);
        }
    }

    fn write_scattered(&mut self, changes: &[Change]) {
        self.replace_if_vanished();
        let written = self.current.as_mut().map(|Current { database, is_filling, .. }| {
            database.apply_scattered(changes, *is_filling)
        });
        if matches!(&written, Some(Err(error)) if !is_damage(error)) {
            // A disk may have room for small transactions where it has none for a large one.
            for some in changes.chunks(BATCH_ROWS) {
                self.change(|current| current.database.apply(some, current.is_filling));
            }
        } else {
            self.change(|_| written.unwrap_or(Ok(())));
        }
    }

    fn write(&mut self, batch: &mut Vec<Change>) {
        if !batch.is_empty() {
            self.replace_if_vanished();
            self.change(|current| current.database.apply(batch, current.is_filling));
            batch.clear();
        }
    }

    fn close(self, seal: &Seal, reply: oneshot::Sender<bool>) {
        let uses_since = self.state.uses_since();
        let is_whole = self.current.is_some_and(|current| {
            let sealed = current.database.set_seal(&seal.to_string(), uses_since);
            let checkpoint = sealed.and_then(|()| current.database.checkpoint());
            if let Err(error) = &checkpoint {
                tracing::warn!(%error, "the index was not closed orderly");
            }
            checkpoint.is_ok() && is_at(&self.path, current.file)
        });
        // Whoever asked waits for the thread's end too.
        let _ = reply.send(is_whole);
    }

    /// A damaged file is replaced; after another failure, a full disk say, the file stays and what
    /// it lacks is filled in later.
    fn change(&mut self, change: impl FnOnce(&mut Current) -> Result<(), rusqlite::Error>) {
        let Some(current) = &mut self.current else {
            return self.state.lost_changes(failure(ffi::SQLITE_CANTOPEN, "there is no file"));
        };
        match change(current) {
            Ok(()) => {}
            Err(error) if is_damage(&error) => self.replace(error),
            Err(error) => {
                tracing::warn!(%error, "the index was not written");
                self.state.lost_changes(error);
            }
        }
    }

    /// A new list of entries that lacks one comes to nothing.
    fn filling(&mut self, step: impl FnOnce(&mut Database) -> Result<(), rusqlite::Error>) {
        if self.current.as_ref().is_some_and(|current| current.is_filling) {
            self.change(|current| {
                step(&mut current.database).inspect_err(|_| current.is_filling = false)
            });
        }
    }

    fn end_filling(&mut self) {
        if let Some(current) = &mut self.current {
            current.is_filling = false;
            self.change(|current| current.database.drop_filling());
        }
    }

    /// The folder may be deleted at any time.
    fn replace_if_vanished(&mut self) {
        if !self.current.as_ref().is_some_and(|current| is_at(&self.path, current.file)) {
            let reason = "the file is not there any more";
            self.replace(failure(ffi::SQLITE_READONLY_DBMOVED, reason));
        }
    }

    /// Starts over with an empty file.
    fn replace(&mut self, reason: rusqlite::Error) {
        tracing::warn!(path = %self.path.display(), %reason, "the index is made anew");
        let readers = Arc::clone(&self.readers);
        let made = readers.while_closed(|| {
            self.current = None;
            make_anew(&self.path)
                .and_then(|database| Ok(Current::new(database, identity(&self.path)?)))
        });
        match made {
            Ok(current) => self.current = Some(current),
            Err(error) => tracing::error!(error = %Chain(&error), "no index can be made"),
        }
        self.state.lost_changes(reason);
    }
}

/// Removes what is left of the index and makes an empty one.
fn make_anew(path: &Path) -> Result<Database, StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Fault::new("remove", &file, error).into());
            }
            Ok(()) | Err(_) => {}
        }
    }
    if let Some(folder) = path.parent() {
        crate::durable::make_folder(folder)?;
    }
    match Database::open_to_write(path)? {
        Opened::New(database) | Opened::There(database) => Ok(database),
        // A file made a moment ago has the version that it was made with.
        Opened::Foreign { .. } => Err(StoreError::Index(rusqlite::Error::InvalidQuery)),
    }
}

fn failure(code: i32, reason: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(reason.to_owned()))
}

/// Whether it is this file that the path leads to.
fn is_at(path: &Path, file: (u64, u64)) -> bool {
    identity(path).is_ok_and(|found| found == file)
}

fn identity(path: &Path) -> Result<(u64, u64), Fault> {
    let found = fs::metadata(path).map_err(Fault::at("stat", path))?;
    Ok((found.dev(), found.ino()))
}

const BATCH_ROWS: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(10);
