//! The bytes of a blob as the body of an answer: exactly as many as its headers announce, or an
//! error, on which the connection is closed short of Content-Length. Must not know HTTP's headers.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future;
use futures_util::stream::{BoxStream, once, try_unfold};
use http_body::{Body as HttpBody, Frame, SizeHint};
use shacache_core::digest::Digest;
use shacache_store::blob::{Blob, BlobReader};
use shacache_store::error::StoreError;

use crate::http::error;
use crate::metrics::Metrics;

/// Some bytes of one blob, read as the client takes them.
pub(super) struct BlobBody {
    pieces: BoxStream<'static, Result<Bytes, StoreError>>,
    missing_bytes: u64,
    digest: Digest,
    metrics: Metrics,
}

impl BlobBody {
    /// Begins to read `range` of `blob`. The first piece is read at once, so that its failure
    /// still has a status, and a small blob is an answer of one piece.
    ///
    /// # Errors
    /// When the store cannot give the first piece; later failures cut the body short.
    pub(super) async fn read(
        metrics: &Metrics,
        blob: Blob,
        range: Range<u64>,
    ) -> Result<Body, StoreError> {
        let digest = *blob.digest();
        let whole_bytes = range.end - range.start;
        let mut reader = blob.read(range).await?;
        let first = reader.next().await?.unwrap_or_default();
        Ok(Self::begun(metrics, digest, first, reader, whole_bytes))
    }

    /// As [`BlobBody::read`], if the first piece is in memory.
    pub(super) fn at_hand(metrics: &Metrics, blob: Blob, range: Range<u64>) -> Option<Body> {
        let digest = *blob.digest();
        let whole_bytes = range.end - range.start;
        let mut reader = blob.read_at_hand(range)?;
        let first = match whole_bytes {
            0 => Bytes::new(),
            _ => reader.next_at_hand()?,
        };
        Some(Self::begun(metrics, digest, first, reader, whole_bytes))
    }

    fn begun(
        metrics: &Metrics,
        digest: Digest,
        first: Bytes,
        reader: BlobReader,
        whole_bytes: u64,
    ) -> Body {
        if first.len() as u64 == whole_bytes {
            return Body::from(first);
        }
        let pieces = try_unfold(reader, async |mut reader| {
            let piece = reader.next().await?;
            Ok(piece.map(|piece| (piece, reader)))
        });
        let pieces = once(future::ready(Ok(first))).chain(pieces).boxed();
        Body::new(Self { pieces, missing_bytes: whole_bytes, digest, metrics: metrics.clone() })
    }
}

impl HttpBody for BlobBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if self.missing_bytes == 0 {
            return Poll::Ready(None);
        }
        let cause = match ready!(self.pieces.as_mut().poll_next(cx)) {
            Some(Ok(piece)) if piece.len() as u64 <= self.missing_bytes => {
                self.missing_bytes -= piece.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            Some(Ok(_)) | None => CutShort::WrongLength,
            Some(Err(error)) => CutShort::Store(error),
        };
        self.missing_bytes = 0;
        error::cut_short(&self.metrics, &self.digest, &cause);
        Poll::Ready(Some(Err(cause)))
    }

    fn is_end_stream(&self) -> bool {
        self.missing_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.missing_bytes)
    }
}

/// Why an answer ends before its last byte.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutShort {
    /// The bytes are damaged or cannot be read.
    #[error(transparent)]
    Store(StoreError),
    /// The store has another number of bytes than it said.
    #[error("the blob does not have the length it had when it was looked up")]
    WrongLength,
}
