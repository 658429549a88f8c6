//! The other digests of new blobs, computed after the answer by one thread of low priority. Owns
//! the queue and the thread; what it finds goes to the index.

use std::sync::Arc;

use shacache_core::digest::{AliasHasher, Digest};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::BlobStore;
use crate::blocking::on_this_thread;
use crate::error::{Chain, StoreError};
use crate::index::{Change, Index};

/// Where new blobs are announced.
#[derive(Debug, Clone)]
pub(crate) struct NewBlobs(mpsc::UnboundedSender<Announcement>);

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Announcement {
    /// A blob whose other digests may not be known.
    Blob(Digest),
    /// The index may list blobs without their other digests.
    Missing,
    /// Somebody waits until all of the above are.
    Flush(oneshot::Sender<()>),
}

impl NewBlobs {
    /// A queue, and the end that [`compute`] takes.
    pub(crate) fn queue() -> (Self, mpsc::UnboundedReceiver<Announcement>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) fn add(&self, digest: Digest) {
        // At shutdown nobody listens any more: the next start finds the blob without aliases.
        let _ = self.0.send(Announcement::Blob(digest));
    }

    /// Looks for blobs that the index lists without their other digests.
    pub(crate) fn catch_up(&self) {
        // At shutdown nobody listens any more; the next start looks for itself.
        let _ = self.0.send(Announcement::Missing);
    }

    /// Waits until every blob announced so far is dealt with.
    pub(crate) async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.send(Announcement::Flush(reply)).is_ok() {
            // Without an answer the thread has ended, and nothing is left to wait for.
            let _ = done.await;
        }
    }
}

/// Computes the aliases of what the index lacks them for, then of every blob announced, until told
/// to stop. Blocking; runs on a thread of its own.
pub(crate) fn compute(
    runtime: &Handle,
    blobs: &BlobStore,
    index: &Arc<Index>,
    mut announced: mpsc::UnboundedReceiver<Announcement>,
    mut stop: watch::Receiver<bool>,
) {
    lower_priority();
    on_this_thread(runtime, async {
        let work = async {
            catch_up(blobs, index).await;
            while let Some(announcement) = announced.recv().await {
                match announcement {
                    Announcement::Blob(digest) => index_one(blobs, index, &digest).await,
                    Announcement::Missing => catch_up(blobs, index).await,
                    // Whoever waited may have gone.
                    Announcement::Flush(reply) => drop(reply.send(())),
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}

/// Lets everything else on the machine go before this thread.
pub(crate) fn lower_priority() {
    // A thread that keeps its priority does the same work, only less politely.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST_PRIORITY);
}

/// Blobs that an earlier run took in and had no time for, or whose other digests got lost with the
/// index.
async fn catch_up(blobs: &BlobStore, index: &Arc<Index>) {
    if let Err(error) = index_missing(blobs, index).await {
        tracing::warn!(error = %Chain(&error), "aliases of earlier blobs are missing");
    }
}

async fn index_missing(blobs: &BlobStore, index: &Arc<Index>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let missing = index.without_aliases(after).await?;
        let Some(last) = missing.last() else {
            return Ok(());
        };
        after = Some(*last);
        for digest in &missing {
            index_one(blobs, index, digest).await;
        }
    }
}

async fn index_one(blobs: &BlobStore, index: &Arc<Index>, digest: &Digest) {
    let hashed = match index.has_aliases(digest).await {
        Ok(true) => Ok(None),
        Ok(false) => hash(blobs, digest).await,
        Err(error) => Err(error),
    };
    match hashed {
        Ok(Some(change)) => index.record(change),
        // Known already, gone, or in quarantine since.
        Ok(None) | Err(StoreError::Damaged(_)) => {}
        Err(error) => tracing::warn!(%digest, error = %Chain(&error), "no aliases computed"),
    }
}

async fn hash(blobs: &BlobStore, digest: &Digest) -> Result<Option<Change>, StoreError> {
    let Some(blob) = blobs.look_up(digest).await? else {
        return Ok(None);
    };
    let size = blob.size();
    let mut reader = blob.read(0..size).await?;
    let mut hasher = AliasHasher::new();
    while let Some(bytes) = reader.next().await? {
        hasher.update(&bytes);
    }
    Ok(Some(Change::Aliases { digest: *digest, aliases: hasher.finish() }))
}

const LOWEST_PRIORITY: i32 = 19;
