//! Bytes about to be uploaded: hashed once, and readable again as often as a retry needs them.
//! Memory stays independent of their number.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use shacache_core::digest::{Digest, Hasher};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::error::ClientError;

/// The bytes of a blob, with their digest.
#[derive(Clone)]
pub struct Payload {
    content: Content,
    digest: Digest,
    length: u64,
    progress: Option<Arc<dyn Progress>>,
}

/// Watches bytes on their way to the server.
pub trait Progress: Send + Sync {
    /// `bytes` of the payload have been handed to the connection so far. Starts anew when an upload
    /// is tried again.
    fn sent(&self, bytes: u64);
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    /// A file of any kind that can be read at an offset, and its change time when it was hashed.
    File(Arc<File>, Option<SystemTime>),
}

impl Payload {
    /// Bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        let (digest, length) = (Digest::of(&bytes), bytes.len() as u64);
        Self { content: Content::Memory(bytes), digest, length, progress: None }
    }

    /// The whole of a regular file, whatever its position is. Reads it once, to hash it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn from_file(file: File) -> io::Result<Self> {
        let modified = file.metadata()?.modified().ok();
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; HASH_BYTES];
        let mut length = 0;
        loop {
            let read = read_at(&file, &mut buffer, length)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        let content = Content::File(Arc::new(file), modified);
        Ok(Self { content, digest: hasher.finish(), length, progress: None })
    }

    /// Everything that `reader` gives, kept in a temporary file that has no name.
    ///
    /// # Errors
    /// When `reader` fails or the temporary folder is full.
    pub fn from_reader(reader: &mut impl Read) -> io::Result<Self> {
        let mut spool = tempfile::tempfile()?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; HASH_BYTES];
        let mut length = 0;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..read]);
            spool.write_all(&buffer[..read])?;
            length += read as u64;
        }
        spool.rewind()?;
        let content = Content::File(Arc::new(spool), None);
        Ok(Self { content, digest: hasher.finish(), length, progress: None })
    }

    /// Tells `progress` how far an upload is.
    #[must_use]
    pub fn watched_by(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The digest of the bytes, which is the blob's name.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes all the bytes to `out`.
    ///
    /// # Errors
    /// When the bytes cannot be read again, or `out` fails.
    pub fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let file = match &self.content {
            Content::Memory(bytes) => return out.write_all(bytes),
            Content::File(file, _) => file,
        };
        let mut buffer = vec![0; HASH_BYTES];
        let mut at = 0;
        while at < self.length {
            let wanted = buffer.len().min(usize::try_from(self.length - at).unwrap_or(usize::MAX));
            file.read_exact_at(&mut buffer[..wanted], at)?;
            out.write_all(&buffer[..wanted])?;
            at += wanted as u64;
        }
        Ok(())
    }

    /// The bytes from the start; `sent` learns how many were taken.
    pub(super) fn pieces(
        &self,
        sent: watch::Sender<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (content, length, progress) =
            (self.content.clone(), self.length, self.progress.clone());
        stream::try_unfold(0, move |at| {
            let (content, progress, sent) = (content.clone(), progress.clone(), sent.clone());
            async move {
                let piece = content.piece(at, length).await?;
                if piece.is_empty() {
                    return Ok(None);
                }
                let after = at + piece.len() as u64;
                sent.send_replace(after);
                if let Some(progress) = progress {
                    progress.sent(after);
                }
                Ok(Some((piece, after)))
            }
        })
    }

    /// An upload that failed because the file shrank must not be tried again.
    pub(super) fn check_unchanged(&self) -> Result<(), ClientError> {
        let Content::File(file, Some(hashed)) = &self.content else { return Ok(()) };
        let now = file.metadata().map_err(|error| ClientError::local("the file sent", error))?;
        if now.len() == self.length && now.modified().ok() == Some(*hashed) {
            return Ok(());
        }
        let error = io::Error::new(io::ErrorKind::InvalidData, "it changed during the upload");
        Err(ClientError::local("the file sent", error))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, {})", self.length, self.digest)
    }
}

impl Content {
    /// Up to [`PIECE_BYTES`] from `at`, nothing only at `length`.
    async fn piece(&self, at: u64, length: u64) -> io::Result<Bytes> {
        let wanted = (length - at).min(PIECE_BYTES as u64) as usize;
        match self {
            // `at` is inside the buffer, so it fits.
            Self::Memory(bytes) => Ok(bytes.slice(at as usize..at as usize + wanted)),
            Self::File(file, _) => {
                let file = Arc::clone(file);
                let piece = spawn_blocking(move || {
                    let mut buffer = vec![0; wanted];
                    file.read_exact_at(&mut buffer, at).map(|()| Bytes::from(buffer))
                });
                piece.await.map_err(io::Error::other)?
            }
        }
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

const HASH_BYTES: usize = 1024 * 1024;
const PIECE_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_gives_the_same_payload() {
        let bytes = vec![7; 3 * HASH_BYTES + 1];
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&bytes).expect("room for it");
        let payloads = [
            Payload::from_file(file).expect("readable"),
            Payload::from_reader(&mut bytes.as_slice()).expect("readable"),
            Payload::from_bytes(bytes.clone().into()),
        ];
        for payload in payloads {
            assert_eq!(
                (payload.len(), payload.digest()),
                (bytes.len() as u64, &Digest::of(&bytes))
            );
        }
    }
}
