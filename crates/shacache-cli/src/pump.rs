//! Moves a download into a file or pipe: receiving and checking on one thread, writing on another.

use std::io::{self, Write};

use bytes::Bytes;
use shacache_client::ClientError;
use shacache_client::blob::Download;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::progress::Bar;

/// Why a download did not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PumpError {
    /// The bytes did not come, or were wrong.
    #[error("cannot download")]
    Source(#[from] ClientError),
    /// The bytes could not be written.
    #[error("cannot write")]
    Sink(#[source] io::Error),
}

/// Writes everything that is left of `download` to `sink`, which is handed back with the outcome:
/// after a failure it holds what came before it.
pub(crate) async fn pump<S: Write + Send + 'static>(
    mut download: Download,
    had: u64,
    mut sink: S,
    bar: Bar,
) -> (Option<S>, Result<(), PumpError>) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
    let writer = spawn_blocking(move || {
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(piece) = receiver.blocking_recv()
        {
            outcome = sink.write_all(&piece);
        }
        let outcome = outcome.and_then(|()| sink.flush());
        (sink, outcome)
    });
    let mut at = had;
    let received = loop {
        match download.piece().await {
            Ok(Some(piece)) => {
                at += piece.len() as u64;
                bar.at(at);
                // Refused only when the writer has failed; its own error is the one to tell.
                if sender.send(piece).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(PumpError::Source(error)),
        }
    };
    drop(sender);
    bar.finish();
    match writer.await {
        Ok((sink, Ok(()))) => (Some(sink), received),
        Ok((sink, Err(error))) => (Some(sink), Err(PumpError::Sink(error))),
        Err(panicked) => (None, Err(PumpError::Sink(io::Error::other(panicked)))),
    }
}

/// Pieces between the two threads; each is at most some hundred KiB.
const QUEUE: usize = 16;
