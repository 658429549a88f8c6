//! What a source sends to be taken in, from a thread of its own. Owns what has to be in an archive
//! before what, and the way of bytes from blocking reads into streams; must not know what is taken.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;
use shacache_store::archive_file::{ArchiveFile, Kind};
use shacache_store::error::StoreError;
use shacache_store::verify::{Code, Finding};
use tokio::sync::mpsc;

use super::{PieceError, Pieces, finding};

/// Something to be taken in, and what messages say where it is from.
pub(super) enum Item {
    Text { name: ArchiveFile, text: Bytes, from: String },
    Blob { digest: Digest, bytes: u64, pieces: Pieces, from: String },
    Entries { key: Key, entries: Vec<SignedEntry>, from: String },
    Finding(Finding),
}

/// What has to be in the archive before what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// What hides, and what belongs to nothing.
    First,
    /// What is named.
    Named,
    /// What names it.
    Naming,
}

impl Item {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Blob { .. } => Stage::Named,
            Self::Entries { .. } => Stage::Naming,
            Self::Text { name, .. } => match name.kind() {
                Kind::Blob(_) | Kind::KeyFile => Stage::Named,
                Kind::Entry => Stage::Naming,
                Kind::Version | Kind::Ban(_) | Kind::Tombstone | Kind::Hold | Kind::Audit => {
                    Stage::First
                }
            },
            Self::Finding(_) => Stage::First,
        }
    }
}

/// Where a source sends what it reads. Blocking.
pub(super) struct Sender(mpsc::Sender<Item>);

/// Why a source ends before its end.
pub(super) enum SourceEnd {
    /// Nobody takes any more.
    Stopped,
    Failed(StoreError),
}

impl From<StoreError> for SourceEnd {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Sender {
    pub(super) fn new(items: mpsc::Sender<Item>) -> Self {
        Self(items)
    }

    pub(super) fn send(&self, item: Item) -> Result<(), SourceEnd> {
        self.0.blocking_send(item).map_err(|_| SourceEnd::Stopped)
    }

    pub(super) fn found(&self, code: Code, from: String, detail: &str) -> Result<(), SourceEnd> {
        self.send(Item::Finding(finding(code, from, detail)))
    }

    /// Sends a small file. What cannot be read is a finding.
    pub(super) fn text(
        &self,
        name: ArchiveFile,
        reader: &mut dyn Read,
        from: String,
    ) -> Result<Result<(), io::Error>, SourceEnd> {
        let mut text = Vec::new();
        match reader.take(ArchiveFile::MAX_TEXT_BYTES + 1).read_to_end(&mut text) {
            Ok(_) => self.send(Item::Text { name, text: text.into(), from }).map(Ok),
            Err(error) => {
                self.found(Code::Unreadable, from, &error.to_string())?;
                Ok(Err(error))
            }
        }
    }

    /// Sends a blob of so many bytes, in memory independent of its size. What cannot be read is a
    /// finding.
    pub(super) fn blob(
        &self,
        digest: Digest,
        bytes: u64,
        reader: &mut dyn Read,
        from: String,
    ) -> Result<Result<(), io::Error>, SourceEnd> {
        let (pieces, received) = mpsc::channel::<Result<Bytes, PieceError>>(PIECES_AHEAD);
        let received = stream::unfold(received, |mut received| async {
            received.recv().await.map(|piece| (piece, received))
        });
        let mut item = Some(Item::Blob { digest, bytes, pieces: received.boxed(), from });
        let mut read_bytes = 0;
        loop {
            let mut piece = Vec::with_capacity(bytes.min(PIECE_BYTES) as usize);
            let read = reader.take(PIECE_BYTES).read_to_end(&mut piece);
            // Sent when its first piece is there: small ones need not wait for each other.
            if let Some(item) = item.take() {
                self.send(item)?;
            }
            match read {
                Ok(0) => return Ok(Ok(())),
                Ok(length) => {
                    read_bytes += length as u64;
                    // Whoever wants no more of it has said why elsewhere.
                    let unwanted = pieces.blocking_send(Ok(piece.into())).is_err();
                    if unwanted || read_bytes >= bytes {
                        return Ok(Ok(()));
                    }
                }
                Err(error) => {
                    let told = io::Error::new(error.kind(), error.to_string());
                    let _unwanted = pieces.blocking_send(Err(told.into()));
                    return Ok(Err(error));
                }
            }
        }
    }
}

const PIECE_BYTES: u64 = 256 << 10;
const PIECES_AHEAD: usize = 4;
