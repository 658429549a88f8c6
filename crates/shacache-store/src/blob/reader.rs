//! Reading a blob: no byte leaves before its chunk was checked. With known checksums each chunk
//! stands for itself, so any range can be read; without them the whole is hashed as it goes and the
//! last chunk is held back until the digest is known to be right.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use shacache_core::digest::Hasher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::archived::ArchivedBlob;
use super::chunk::{self, Chunk, PIECE_BYTES};
use super::in_chunks::ChunksReader;
use super::kept::Kept;
use super::sums::{CHUNK_BYTES, Summer, Sums};
use crate::blocking::blocking;
use crate::defence::Defence;
use crate::error::{Fault, StoreError};

/// Verified bytes of a blob, in order.
#[derive(Debug)]
pub struct BlobReader(Source);

#[derive(Debug)]
enum Source {
    /// Until it is handed out.
    AtHand(Option<Bytes>),
    InChunks(ChunksReader),
    Archive(Box<ArchiveReader>),
}

impl BlobReader {
    /// What is at hand already.
    pub(super) fn at_hand(bytes: Bytes) -> Self {
        Self(Source::AtHand(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    pub(super) fn in_chunks(reader: ChunksReader) -> Self {
        Self(Source::InChunks(reader))
    }

    pub(super) fn archive(reader: ArchiveReader) -> Self {
        Self(Source::Archive(Box::new(reader)))
    }

    /// The next piece of a blob that is at hand, if it still is; else, and at the end, nothing.
    pub fn next_at_hand(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Source::AtHand(piece) => piece.take(),
            Source::InChunks(reader) => reader.next(),
            Source::Archive(_) => None,
        }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// When the bytes are damaged or cannot be read; the answer must then be cut short. Damage is
    /// dealt with in the background.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if let Some(piece) = self.next_at_hand() {
            return Ok(Some(piece));
        }
        if let Source::InChunks(reader) = &self.0
            && !reader.is_at_end()
        {
            *self = Self::archive(Box::pin(reader.in_archive()).await?);
        }
        match &mut self.0 {
            Source::AtHand(_) | Source::InChunks(_) => Ok(None),
            Source::Archive(reader) => reader.next().await,
        }
    }
}

/// As above, of an open file.
#[derive(Debug)]
pub(crate) struct ArchiveReader {
    /// `None` once it turned out to be damaged.
    blob: Option<ArchivedBlob>,
    check: Check,
    /// What is still to be handed out.
    range: Range<u64>,
    /// The rest of the chunk that was checked last.
    checked: Option<Kept>,
    /// Chunks read ahead, unchecked.
    ahead: VecDeque<Ahead>,
}

/// A chunk read ahead, and its share of what all readers together may hold.
#[derive(Debug)]
struct Ahead {
    number: u64,
    chunk: Chunk,
    _share: OwnedSemaphorePermit,
}

/// What reading from the disk may cost, all readers together.
#[derive(Debug)]
pub(super) struct ColdReads {
    /// Threads that read; many more would gain nothing but memory to keep.
    turns: Semaphore,
    /// Chunks held by those who read ahead: one whose client has stopped reading keeps its own.
    ahead: Arc<Semaphore>,
}

impl Default for ColdReads {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(READING_THREADS),
            ahead: Arc::new(Semaphore::new(ALL_AHEAD_CHUNKS)),
        }
    }
}

impl ColdReads {
    /// The shares of one reader; of none, it reads what it needs at once and no more.
    fn shares(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.ahead).try_acquire_many_owned(AHEAD_CHUNKS).ok()
    }
}

#[derive(Debug)]
enum Check {
    Sums(Arc<Sums>),
    Hash { hasher: Hasher, summer: Summer },
}

impl ArchiveReader {
    pub(super) fn checked(blob: ArchivedBlob, sums: Arc<Sums>, range: Range<u64>) -> Self {
        Self::new(blob, Check::Sums(sums), range)
    }

    pub(super) fn hashing(blob: ArchivedBlob) -> Self {
        let range = 0..blob.size;
        Self::new(blob, Check::Hash { hasher: Hasher::new(), summer: Summer::default() }, range)
    }

    fn new(blob: ArchivedBlob, check: Check, range: Range<u64>) -> Self {
        Self { blob: Some(blob), check, range, checked: None, ahead: VecDeque::new() }
    }

    /// As [`BlobReader::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.blob.is_none() || self.range.is_empty() {
            return Ok(None);
        }
        let piece = match self.checked.as_ref().and_then(Kept::next) {
            Some(piece) => piece,
            // Boxed, so that nobody carries the room for it along from piece to piece.
            None => Box::pin(self.next_of_chunk()).await?,
        };
        self.range.start += piece.len() as u64;
        Ok(Some(piece))
    }

    /// Checks the chunk that is at hand next, which may be one that was begun already, and gives
    /// the first piece that is wanted of it.
    async fn next_of_chunk(&mut self) -> Result<Bytes, StoreError> {
        let number = self.range.start / CHUNK_BYTES as u64;
        let start = number * CHUNK_BYTES as u64;
        // Those that others had read meanwhile were taken from memory.
        while self.ahead.pop_front_if(|ahead| ahead.number < number).is_some() {}
        let pieces = match self.hot_chunk(number) {
            Some(chunk) => [chunk].into(),
            None => self.checked_chunk(number).await?,
        };
        let from = (self.range.start - start) as usize;
        let to = (self.range.end - start).min(CHUNK_BYTES as u64) as usize;
        let mut pieces = chunk::cut(pieces, from..to);
        let (Some(blob), Some(first)) = (&self.blob, pieces.pop_front()) else {
            return Err(self.damaged());
        };
        // The old rest goes first.
        self.checked = None;
        if !pieces.is_empty() {
            self.checked = Some(blob.shared.kept_pieces.keep(pieces));
        }
        Ok(first)
    }

    /// A chunk that was checked for somebody else.
    fn hot_chunk(&self, number: u64) -> Option<Bytes> {
        match (&self.blob, &self.check) {
            // Without sums the whole has to pass by.
            (Some(ArchivedBlob { look: Some(_), shared, digest, size, .. }), Check::Sums(_)) => {
                shared.hot.chunk(digest, number, *size)
            }
            _ => None,
        }
    }

    /// The pieces of a chunk, read and checked.
    async fn checked_chunk(&mut self, number: u64) -> Result<VecDeque<Bytes>, StoreError> {
        let Some(blob) = &self.blob else {
            return Err(StoreError::Closed);
        };
        let start = number * CHUNK_BYTES as u64;
        let wanted = start..(start + CHUNK_BYTES as u64).min(blob.size);
        let chunk = match self.ahead.pop_front_if(|ahead| ahead.number == number) {
            Some(ahead) => ahead.chunk,
            None => match Chunk::resident(&blob.file, &wanted, &blob.shared.buffers) {
                Some(chunk) => chunk,
                None => self.read_ahead(start).await?,
            },
        };
        if chunk.len() != wanted.end - wanted.start || !self.passes(number, &chunk).await {
            return Err(self.damaged());
        }
        let pieces = chunk.into_pieces();
        // By its sum, or because it was the last of a whole that passed: what may still turn out to be
        // damaged is kept for nobody.
        if let (Some(ArchivedBlob { look: Some(look), shared, digest, size, .. }), Check::Sums(_)) =
            (&self.blob, &self.check)
        {
            match pieces.front() {
                Some(all) if *size <= PIECE_BYTES as u64 => {
                    shared.hot.keep_blob(digest, *look, all);
                }
                _ => shared.hot.keep_chunk(digest, number, &pieces, *size),
            }
        }
        Ok(pieces)
    }

    /// Checks the chunk at hand; the last one passes only if the whole does.
    async fn passes(&mut self, number: u64, chunk: &Chunk) -> bool {
        if !Defence::Checks.is_up() {
            return true;
        }
        let Some(blob) = &self.blob else {
            return false;
        };
        match &mut self.check {
            Check::Sums(sums) => sums.check(number, chunk.pieces()),
            Check::Hash { hasher, summer } => {
                // Read once more, it is what it was when it was hashed.
                if let Some(passes) = summer.check(number, chunk.pieces()) {
                    return passes;
                }
                for piece in chunk.pieces() {
                    hasher.update(piece);
                    summer.update(piece);
                }
                if (number + 1) * (CHUNK_BYTES as u64) < blob.size {
                    return true;
                }
                let right = std::mem::take(hasher).finish() == blob.digest;
                if right {
                    let sums = Arc::new(std::mem::take(summer).finish());
                    blob.shared.know_if_there(&blob.digest, &sums).await;
                    self.check = Check::Sums(sums);
                }
                right
            }
        }
    }

    fn damaged(&mut self) -> StoreError {
        match self.blob.take() {
            Some(blob) => {
                let digest = Box::new(blob.digest);
                blob.suspect();
                StoreError::Damaged(digest)
            }
            None => StoreError::Closed,
        }
    }

    /// Reads this chunk, and the next few if there is room for them, on a thread that may block.
    async fn read_ahead(&mut self, start: u64) -> Result<Chunk, StoreError> {
        let Some(blob) = &self.blob else {
            return Err(StoreError::Closed);
        };
        let _turn = blob.shared.cold_reads.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        // A chunk read once more has its successors already.
        let shares = || blob.shared.cold_reads.shares();
        let mut shares = self.ahead.is_empty().then(shares).flatten();
        let chunks = if shares.is_some() { 1 + u64::from(AHEAD_CHUNKS) } else { 1 };
        // The last chunk of a range is read whole, because its sum is of the whole.
        let end = self.range.end.next_multiple_of(CHUNK_BYTES as u64).min(blob.size);
        let end = end.min(start + chunks * CHUNK_BYTES as u64);
        let (file, path) = (Arc::clone(&blob.file), blob.shared.layout.blob(&blob.digest));
        let buffers = blob.shared.buffers.clone();
        let read = blocking(move || {
            let read = |start| {
                Chunk::blocking(&file, &(start..end.min(start + CHUNK_BYTES as u64)), &buffers)
            };
            let first = read(start).map_err(Fault::at("read", &path))?;
            let ahead = (start..end).step_by(CHUNK_BYTES).skip(1).map(read);
            let ahead = ahead.collect::<Result<Vec<_>, _>>().map_err(Fault::at("read", &path))?;
            Ok::<_, Fault>((first, ahead))
        });
        let (first, ahead) = read.await?;
        for (number, chunk) in (start / CHUNK_BYTES as u64 + 1..).zip(ahead) {
            if let Some(share) = shares.as_mut().and_then(|shares| shares.split(1)) {
                self.ahead.push_back(Ahead { number, chunk, _share: share });
            }
        }
        Ok(first)
    }
}

/// Beyond the chunk that is needed: half a mebibyte in all is read at once.
const AHEAD_CHUNKS: u32 = 7;

/// 4 MiB: a disk does not read well for many at once.
const ALL_AHEAD_CHUNKS: usize = 64;

/// As many requests as disks take at once.
const READING_THREADS: usize = 32;
