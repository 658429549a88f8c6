//! A store in a folder of its own, and what may happen to it between two steps of a test.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use shacache_core::digest::{AliasDigest, Digest};
use shacache_core::entry::{EntryId, SignedEntry};
use shacache_core::key::Key;
use shacache_store::administration::{Deletion, Target};
use shacache_store::blob::{Blob, Resolved, Stored};
use shacache_store::error::StoreError;
use shacache_store::{Store, StoreOptions, UnclaimedLimits};
use tempfile::TempDir;

/// What happens between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// Nothing.
    Nothing,
    /// Somebody deletes the index while the store is open.
    IndexVanishes,
    /// The store is closed and opened again.
    Reopened,
    /// The store is closed, its index deleted, and opened again.
    ReopenedWithoutIndex,
}

/// The store under test.
pub(crate) struct Subject {
    folder: TempDir,
    store: Option<Store>,
    between: Between,
    unclaimed: UnclaimedLimits,
}

impl Subject {
    pub(crate) fn new(between: Between) -> Self {
        Self::with_limits(between, UnclaimedLimits::default())
    }

    pub(crate) fn with_limits(between: Between, unclaimed: UnclaimedLimits) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut subject = Self { folder, store: None, between, unclaimed };
        subject.open();
        subject
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open")
    }

    pub(crate) fn try_open(&self) -> Result<Store, StoreError> {
        let data = self.data().to_owned();
        Store::open(&StoreOptions { data, unclaimed: self.unclaimed, hot_bytes: HOT_BYTES })
    }

    pub(crate) fn open(&mut self) {
        let store = self.try_open().expect("the store opens");
        store.tend();
        self.store = Some(store);
    }

    /// Uses a store that nothing tends in the background.
    pub(crate) fn adopt(&mut self, store: Store) {
        self.store = Some(store);
    }

    pub(crate) async fn close(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await.expect("the store closes");
        }
    }

    /// Ends the store as a crash would: without a word to the index or the marker.
    pub(crate) async fn crash(&mut self) {
        self.close().await;
        let marker = self.data().join("index/clean");
        if marker.exists() {
            std::fs::remove_file(marker).expect("the marker can be removed");
        }
    }

    /// The boundary between two steps of a test.
    pub(crate) async fn step(&mut self) {
        match self.between {
            Between::Nothing => {}
            Between::IndexVanishes => self.remove_index(),
            Between::Reopened => {
                self.close().await;
                self.open();
            }
            Between::ReopenedWithoutIndex => {
                self.close().await;
                self.remove_index();
                self.open();
            }
        }
    }

    pub(crate) fn remove_index(&self) {
        let index = self.data().join("index");
        loop {
            match std::fs::remove_dir_all(&index) {
                Ok(()) => return,
                Err(error) if error.kind() == ErrorKind::NotFound && !index.exists() => return,
                // The store makes its files anew while they are being deleted.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound
                    ) => {}
                Err(error) => panic!("the index can be deleted: {error}"),
            }
        }
    }

    pub(crate) async fn upload(&self, bytes: &[u8]) -> Result<Stored, StoreError> {
        self.upload_pieces(bytes, bytes.len().max(1), Some(bytes.len() as u64)).await
    }

    pub(crate) async fn upload_pieces(
        &self,
        bytes: &[u8],
        piece: usize,
        announced: Option<u64>,
    ) -> Result<Stored, StoreError> {
        let mut incoming = self.store().blobs().incoming(announced)?;
        for piece in bytes.chunks(piece) {
            incoming.write(Bytes::copy_from_slice(piece)).await?;
        }
        incoming.commit(None).await
    }

    /// Uploads as a client without credentials does.
    pub(crate) async fn upload_unclaimed(
        &self,
        bytes: &[u8],
        holder: Option<IpAddr>,
    ) -> Result<Stored, StoreError> {
        let announced = Some(bytes.len() as u64);
        let mut incoming = self.store().blobs().incoming_unclaimed(announced, holder).await?;
        incoming.write(Bytes::copy_from_slice(bytes)).await?;
        incoming.commit(None).await
    }

    /// Bans a blob.
    pub(crate) async fn ban(&self, digest: &Digest) {
        let banned = self.store().administration().ban(&operator(), digest, false).await;
        assert_eq!(banned.expect("banned").blobs, 1);
    }

    /// Deletes an entry; says whether it was there.
    pub(crate) async fn delete(&self, key: &Key, id: &EntryId) -> bool {
        let target = Target::Entry { key: key.clone(), id: *id };
        let deleted = self.store().administration().delete(&operator(), target, false).await;
        deleted.expect("deleted").entries == 1
    }

    pub(crate) fn unclaimed_path(&self, digest: &Digest) -> PathBuf {
        self.data().join("unclaimed").join(digest.to_string())
    }

    /// The whole blob; `None` when there is none.
    pub(crate) async fn download(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        match self.store().blobs().get(digest).await? {
            None => Ok(None),
            Some(blob) => {
                let size = blob.size();
                let bytes = read(blob, 0..size).await?;
                assert_eq!(bytes.len() as u64, size, "the blob is as long as it says");
                Ok(Some(bytes))
            }
        }
    }

    pub(crate) async fn download_range(
        &self,
        digest: &Digest,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, StoreError> {
        read(self.store().blobs().get(digest).await?.expect("the blob is there"), range).await
    }

    /// Waits until another digest is known. It is computed after the upload was answered.
    pub(crate) async fn resolved(&self, alias: &AliasDigest) -> Resolved {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let resolved = self.store().blobs().resolve(alias).await.expect("the index is read");
            if resolved != Resolved::Missing || Instant::now() > deadline {
                return resolved;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The metadata texts and signatures listed under a key.
    pub(crate) async fn listed(&self, key: &Key) -> Option<Vec<(String, String)>> {
        let listing = self.store().directory().get(key).await.expect("the archive is read")?;
        Some(serde_json::from_slice(listing.json()).expect("a listing is a list of pairs"))
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.data().join("archive/blobs").join(&hex[..2]).join(&hex[2..4]).join(&hex)
    }

    /// The folder of a key's entries.
    pub(crate) fn key_path(&self, key: &Key) -> PathBuf {
        let name = key.file_name();
        self.data().join("archive/entries").join(name.fan_out()).join(name.name())
    }

    /// How many files lie anywhere below a folder of the data folder.
    pub(crate) fn files_below(&self, folder: &str) -> usize {
        fn count(folder: &Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            entries
                .map(|entry| entry.expect("the folder can be listed").path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.data().join(folder))
    }
}

async fn read(blob: Blob, range: std::ops::Range<u64>) -> Result<Vec<u8>, StoreError> {
    let mut reader = blob.read(range).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Bytes that no two calls with different seeds share, and that no chunk repeats.
pub(crate) fn some_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn operator() -> Deletion {
    Deletion { who: "operator".into(), why: "a \"reason\"".into() }
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().expect("the text is a key")
}

/// An unsigned entry that names `digest` and carries a note.
pub(crate) fn entry(digest: &Digest, note: &str) -> SignedEntry {
    let metadata = format!("{{\"sha512\": \"{digest}\", \"note\": \"{note}\"}}");
    SignedEntry::from_texts(&metadata, "").expect("the texts make an entry")
}

/// Little, so that some of it is driven out.
const HOT_BYTES: u64 = 1 << 20;
