//! Reading a blob: no byte leaves before its chunk was checked. With known checksums each chunk
//! stands for itself, so any range can be read; without them the whole is hashed as it goes and the
//! last chunk is held back until the digest is known to be right.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use shacache_core::digest::Hasher;

use super::Blob;
use super::sums::{CHUNK_BYTES, Summer, Sums};
use crate::blocking::blocking;
use crate::defence::Defence;
use crate::error::{Fault, StoreError};

/// Verified bytes of a blob, in order.
#[derive(Debug)]
pub struct BlobReader {
    /// `None` once it turned out to be damaged.
    blob: Option<Blob>,
    check: Check,
    range: Range<u64>,
    /// The next chunk to be handed out.
    chunk: u64,
    /// Chunks read ahead, unchecked.
    ahead: VecDeque<Bytes>,
}

#[derive(Debug)]
enum Check {
    Sums(Arc<Sums>),
    Hash { hasher: Hasher, summer: Summer },
}

impl BlobReader {
    pub(super) fn checked(blob: Blob, sums: Arc<Sums>, range: Range<u64>) -> Self {
        let chunk = range.start / CHUNK_BYTES as u64;
        Self { blob: Some(blob), check: Check::Sums(sums), range, chunk, ahead: VecDeque::new() }
    }

    pub(super) fn hashing(blob: Blob) -> Self {
        let range = 0..blob.size;
        let check = Check::Hash { hasher: Hasher::new(), summer: Summer::default() };
        Self { blob: Some(blob), check, range, chunk: 0, ahead: VecDeque::new() }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// When the bytes are damaged or cannot be read; the answer must then be cut short. Damage is
    /// dealt with in the background.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let start = self.chunk * CHUNK_BYTES as u64;
        let Some(blob) = &self.blob else {
            return Ok(None);
        };
        if start >= self.range.end {
            return Ok(None);
        }
        let wanted = start..(start + CHUNK_BYTES as u64).min(blob.size);
        let bytes = match self.ahead.pop_front() {
            Some(bytes) => bytes,
            None => match read_resident(&blob.file, &wanted) {
                Some(bytes) => bytes,
                None => self.read_ahead(start).await?,
            },
        };
        if bytes.len() as u64 != wanted.end - wanted.start || !self.passes(&bytes) {
            return Err(self.damaged());
        }
        self.chunk += 1;
        let from = self.range.start.saturating_sub(start).min(bytes.len() as u64) as usize;
        let to = (self.range.end - start).min(bytes.len() as u64) as usize;
        Ok(Some(bytes.slice(from..to)))
    }

    /// Checks the chunk at hand; the last one passes only if the whole does.
    fn passes(&mut self, bytes: &Bytes) -> bool {
        if !Defence::Checks.is_up() {
            return true;
        }
        let Some(blob) = &self.blob else {
            return false;
        };
        match &mut self.check {
            Check::Sums(sums) => sums.check(self.chunk, bytes),
            Check::Hash { hasher, summer } => {
                hasher.update(bytes);
                summer.update(bytes);
                if (self.chunk + 1) * (CHUNK_BYTES as u64) < blob.size {
                    return true;
                }
                let right = std::mem::take(hasher).finish() == blob.digest;
                if right {
                    blob.shared.know(&blob.digest, &Arc::new(std::mem::take(summer).finish()));
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

    /// Reads this chunk and the next few on a thread that may block.
    async fn read_ahead(&mut self, start: u64) -> Result<Bytes, StoreError> {
        let Some(blob) = &self.blob else {
            return Ok(Bytes::new());
        };
        // The last chunk of a range is read whole, because its sum is of the whole.
        let end = self.range.end.next_multiple_of(CHUNK_BYTES as u64).min(blob.size);
        let end = end.min(start + READ_AHEAD_BYTES);
        let (file, path) = (Arc::clone(&blob.file), blob.shared.layout.blob(&blob.digest));
        let read =
            blocking(move || read_blocking(&file, start..end).map_err(Fault::at("read", &path)));
        let mut bytes = Bytes::from(read.await?);
        let first = bytes.split_to(bytes.len().min(CHUNK_BYTES));
        while !bytes.is_empty() {
            self.ahead.push_back(bytes.split_to(bytes.len().min(CHUNK_BYTES)));
        }
        Ok(first)
    }
}

/// The bytes of `range` if the page cache has all of them.
fn read_resident(file: &File, range: &Range<u64>) -> Option<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        let offset = range.start + filled as u64;
        let target = &mut [IoSliceMut::new(&mut bytes[filled..])];
        match rustix::io::preadv2(file, target, offset, ReadWriteFlags::NOWAIT) {
            Ok(0) => return None,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            // Not resident, or a file system that cannot tell.
            Err(_) => return None,
        }
    }
    Some(bytes.into())
}

/// The bytes of `range`, fewer where the file ends early.
fn read_blocking(file: &File, range: Range<u64>) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

const READ_AHEAD_BYTES: u64 = 8 * CHUNK_BYTES as u64;
