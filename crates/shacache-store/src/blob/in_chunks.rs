//! Reading a blob of a few chunks that all are at hand. Its file is opened only if one of them is
//! driven out before a slow client has come to it; so none is held for such a client in advance.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use shacache_core::digest::Digest;

use super::reader::ArchiveReader;
use super::sums::Sums;
use super::{BlobStore, Shared};
use crate::error::{Fault, StoreError};

/// A blob that was found a moment ago, by chunks that were at hand then.
#[derive(Debug)]
pub(super) struct BlobInChunks {
    pub(super) shared: Arc<Shared>,
    pub(super) digest: Digest,
    pub(super) sums: Arc<Sums>,
}

/// What is still to be handed out of it.
#[derive(Debug)]
pub(super) struct ChunksReader {
    blob: BlobInChunks,
    range: Range<u64>,
}

impl BlobInChunks {
    pub(super) fn size(&self) -> u64 {
        self.sums.size()
    }

    /// Begins to read `range`, which is cut to the blob's size.
    pub(super) fn read(self, range: &Range<u64>) -> ChunksReader {
        let range = super::within(range, self.size());
        ChunksReader { blob: self, range }
    }
}

impl ChunksReader {
    /// Whether all was handed out.
    pub(super) fn is_at_end(&self) -> bool {
        self.range.is_empty()
    }

    /// The next piece; `None` at the end, or if it is not at hand any more.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let BlobInChunks { shared, digest, .. } = &self.blob;
        let piece = shared.hot.start_of(digest, &self.range)?;
        self.range.start += piece.len() as u64;
        Some(piece)
    }

    /// The same from the archive.
    ///
    /// # Errors
    /// As [`Blob::read`](super::Blob::read), and when the blob was taken out of the archive since.
    pub(super) async fn in_archive(&self) -> Result<ArchiveReader, StoreError> {
        let BlobInChunks { shared, digest, sums } = &self.blob;
        let store = BlobStore(Arc::clone(shared));
        let Some(blob) = store.look_up_for_client(digest).await? else {
            let path = shared.layout.blob(digest);
            return Err(Fault::at("open", &path)(Errno::NOENT).into());
        };
        let range = self.range.clone();
        match blob.size() == sums.size() {
            true => Ok(ArchiveReader::checked(blob, Arc::clone(sums), range)),
            false => blob.read(range).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::BlobReader;
    use super::*;
    use crate::timestamp::Day;
    use crate::{Store, StoreOptions};

    async fn read(blob: BlobInChunks, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let (mut reader, mut bytes) = (BlobReader::in_chunks(blob.read(&range)), Vec::new());
        while let Some(piece) = reader.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn what_is_not_at_hand_any_more_comes_from_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::of(folder.path().to_owned());
        let options = StoreOptions { hot_bytes: 4 << 20, ..options };
        let store = Store::open(&options).expect("opened");
        let shared = &store.blobs().0;
        let bytes: Vec<u8> = (0..150_001_u32).map(|n| (n % 251) as u8).collect();
        let mut incoming = store.blobs().incoming(None).expect("begun");
        incoming.write(bytes.clone().into()).await.expect("written");
        let digest = *incoming.commit(None).await.expect("stored").digest();
        let sums = Arc::new(Sums::of(&bytes));
        let blob = || BlobInChunks { shared: Arc::clone(shared), digest, sums: Arc::clone(&sums) };
        // Asked for twice, a chunk is at hand: others begin with it and go on in the archive, or the
        // other way round.
        let parts = [
            3..10,
            3..10,
            0..150_001,
            140_000..140_003,
            140_000..140_003,
            0..u64::MAX,
            70_000..70_001,
            32_767..131_073,
            150_001..150_001,
            0..150_001,
        ];
        for range in parts {
            let part = &bytes[range.start as usize..range.end.min(150_001) as usize];
            assert_eq!(read(blob(), range.clone()).await.expect("read"), part, "{range:?}");
        }
        assert_eq!(shared.usage.noted(&digest), Some(Day::today()));
        assert!(shared.hot.start_of(&digest, &(0..1)).is_some());
        let at_hand = BlobInChunks { ..blob() }.read(&(0..10)).next();
        assert_eq!(at_hand.as_deref(), Some(&bytes[..10]));

        let path = shared.layout.blob(&digest);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(read(blob(), 3..10).await.expect("at hand"), &bytes[3..10]);
        let other = BlobInChunks { digest: Digest::of(b"another"), ..blob() };
        let gone = read(other, 3..10).await;
        assert!(matches!(gone, Err(StoreError::Io { op: "open", .. })), "{gone:?}");
        store.close().await.expect("closed");
    }
}
