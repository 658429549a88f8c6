//! The queue in front of [`Durable`]. Small files that wait together are published together, so
//! that many clients share two syncs; a lone one, and every large one, takes its own. Owns the
//! decision between the two and the health switch that a failed publish throws.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::defence::Defence;
use crate::durable::{Durable, Published, Temporary};
use crate::error::{Fault, StoreError};
use crate::gate::{Gate, Pass};
use crate::health::HealthSwitch;

/// Publishes files; the result is on disk when it answers.
#[derive(Debug)]
pub(crate) struct Publisher {
    durable: Arc<Durable>,
    health: Arc<HealthSwitch>,
    gate: Gate,
    queue: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A small file on its way, and who waits for it.
#[derive(Debug)]
struct Job {
    bytes: Bytes,
    to: PathBuf,
    reply: oneshot::Sender<Result<Published, StoreError>>,
}

impl Publisher {
    pub(crate) fn start(
        durable: Arc<Durable>,
        health: Arc<HealthSwitch>,
    ) -> Result<Self, std::io::Error> {
        let (queue, jobs) = mpsc::channel();
        let (worker, switch) = (Arc::clone(&durable), Arc::clone(&health));
        let thread = thread::Builder::new()
            .name("publish".into())
            .spawn(move || publish_all(&worker, &switch, &jobs))?;
        Ok(Self {
            durable,
            health,
            gate: Gate::new(),
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn durable(&self) -> &Arc<Durable> {
        &self.durable
    }

    /// Errors when writes are refused.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.health.check()
    }

    /// The right to publish something and to tell the index of it.
    pub(crate) async fn enter(&self) -> Result<Pass, StoreError> {
        self.health.check()?;
        self.gate.enter().await
    }

    /// An empty file to be written and published. Blocking.
    pub(crate) fn temporary(&self) -> Result<Temporary, StoreError> {
        Ok(self.judged(self.durable.temporary())?)
    }

    /// Adds bytes to a file that is to be published. Blocking.
    pub(crate) fn write(&self, file: &mut Temporary, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.judged(file.write_all(bytes))?)
    }

    /// Publishes bytes that are small enough to be held in memory.
    pub(crate) async fn publish(&self, bytes: Bytes, to: PathBuf) -> Result<Published, StoreError> {
        self.health.check()?;
        let (reply, answer) = oneshot::channel();
        match &*self.queue.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(queue) => queue.send(Job { bytes, to, reply }).map_err(|_| StoreError::Closed)?,
            None => return Err(StoreError::Closed),
        }
        if !Defence::AnswerLast.is_up() {
            return Ok(Published::New);
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Publishes a file that is written already. Blocking.
    pub(crate) fn publish_temporary(
        &self,
        file: Temporary,
        to: &Path,
    ) -> Result<Published, StoreError> {
        self.health.check()?;
        Ok(self.judged(self.durable.publish(file, to))?)
    }

    /// Publishes a durable file that lies elsewhere in the data folder. Blocking.
    pub(crate) fn adopt(&self, from: &Path, to: &Path) -> Result<Published, StoreError> {
        self.health.check()?;
        Ok(self.judged(self.durable.adopt(from, to))?)
    }

    /// Makes a file durable that is there already. Blocking.
    pub(crate) fn sync_existing(&self, path: &Path) -> Result<(), StoreError> {
        self.health.check()?;
        Ok(self.judged(self.durable.sync_existing(path))?)
    }

    /// Moves something out of the archive, as [`Durable::move_away`]. Blocking.
    pub(crate) fn move_away(
        &self,
        from: &Path,
        to: &Path,
        is_wrong: impl FnOnce() -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        self.judged(self.durable.move_away(from, to, is_wrong))
    }

    /// Waits for the writes under way and refuses any other.
    pub(crate) async fn close_gate(&self) {
        self.gate.close().await;
    }

    /// Ends the thread. Blocking.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the publishing thread had panicked");
        }
    }

    fn judged<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.inspect_err(|fault| self.health.judge(fault))
    }
}

/// The thread: takes whatever waits, and publishes it one by one or as a group.
fn publish_all(durable: &Durable, health: &HealthSwitch, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        if !Defence::AnswerLast.is_up() {
            // Who answers first may publish late.
            thread::sleep(LATE);
        }
        let mut waiting = vec![first];
        waiting.extend(jobs.try_iter().take(GROUP_MAX - 1));
        if waiting.len() >= GROUP_MIN && health.check().is_ok() {
            publish_group(durable, health, waiting);
        } else {
            for job in waiting {
                // What waited behind a failed sync must not go on as if nothing had happened.
                let result = health.check().and_then(|()| {
                    let published = publish_one(durable, &job);
                    Ok(published.inspect_err(|fault| health.judge(fault))?)
                });
                reply(job, result);
            }
        }
    }
}

fn publish_one(durable: &Durable, job: &Job) -> Result<Published, Fault> {
    let mut file = durable.temporary()?;
    file.write_all(&job.bytes)?;
    durable.publish(file, &job.to)
}

/// One publish per name: whoever sends the same name as another shares its outcome, because equal
/// names have equal bytes.
fn publish_group(durable: &Durable, health: &HealthSwitch, jobs: Vec<Job>) {
    let mut names: HashMap<&PathBuf, usize> = HashMap::with_capacity(jobs.len());
    let mut files = Vec::with_capacity(jobs.len());
    let mut file_of_job = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let at = *names.entry(&job.to).or_insert_with(|| {
            files.push((&job.bytes[..], job.to.as_path()));
            files.len() - 1
        });
        file_of_job.push(at);
    }
    let result = durable.publish_group(&files).inspect_err(|fault| health.judge(fault));
    for fault in result.iter().flatten().filter_map(|one| one.as_ref().err()) {
        health.judge(fault);
    }
    drop(files);
    for (job, at) in jobs.into_iter().zip(file_of_job) {
        let own = match &result {
            Ok(published) => published[at].clone().map_err(StoreError::from),
            Err(fault) => Err(fault.clone().into()),
        };
        reply(job, own);
    }
}

fn reply(job: Job, result: Result<Published, StoreError>) {
    // Whoever waited may have hung up since; the file stays published.
    let _ = job.reply.send(result);
}

/// From how many waiting files on two `syncfs` are cheaper than the syncs of each.
const GROUP_MIN: usize = 4;
const GROUP_MAX: usize = 256;
/// By how much a build for tests publishes late.
const LATE: Duration = Duration::from_millis(50);
