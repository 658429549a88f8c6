//! Listing all entries of the archive anew. Owns how much of that is in memory; what was listed
//! before stays so until the end, and on if the end does not come.

use tokio::sync::oneshot;

use super::writer::Message;
use super::{Index, ListedEntry};

/// Entries on their way into the index. Dropped before [`Self::finish`], they come to nothing.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    index: &'a Index,
    waiting: Vec<ListedEntry>,
    /// Bytes of metadata in these.
    waiting_bytes: usize,
    /// Answered when those sent last are written.
    written: Option<oneshot::Receiver<()>>,
}

impl Index {
    /// Begins to list all entries anew. One at a time.
    pub(crate) fn fill(&self) -> Filling<'_> {
        self.send(Message::Fill);
        Filling { index: self, waiting: Vec::new(), waiting_bytes: 0, written: None }
    }
}

impl Filling<'_> {
    /// Adds an entry. It differs from all others in its key or its id.
    pub(crate) async fn add(&mut self, entry: ListedEntry) {
        self.waiting_bytes += entry.metadata.len();
        self.waiting.push(entry);
        if self.waiting.len() >= ROWS || self.waiting_bytes >= BYTES {
            self.pass_on().await;
        }
    }

    /// Replaces what was listed before by what was added, and by what came or went meanwhile.
    pub(crate) async fn finish(mut self) {
        self.pass_on().await;
        self.index.send(Message::Filled);
        self.index.flush().await;
    }

    /// Waits for those before, so that the writer is never far behind.
    async fn pass_on(&mut self) {
        let (reply, written) = oneshot::channel();
        let entries = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.index.send(Message::Add { entries, reply });
        if let Some(earlier) = self.written.replace(written) {
            // Without an answer there is no writer any more, and so nothing to wait for.
            let _ = earlier.await;
        }
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        // Of one that is finished nothing is left.
        self.index.send(Message::NoFill);
    }
}

/// One transaction has so many rows, or so many bytes of metadata; two of them wait at most.
const ROWS: usize = 2048;
const BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use shacache_core::digest::Digest;
    use shacache_core::entry::SignedEntry;

    use super::*;
    use crate::error::StoreError;
    use crate::index::{Change, Position};
    use crate::layout::{Layout, RecordName};
    use crate::seal::Seal;
    use crate::timestamp::Timestamp;

    #[tokio::test]
    async fn what_is_added_takes_the_place_of_all_that_was_listed() {
        let (_folder, index) = index();
        index.record(change(entry("old", 1)));
        let mut filling = index.fill();
        for number in 0..=ROWS as u64 {
            filling.add(entry("new", number)).await;
        }
        index.flush().await;
        assert_eq!(listed(&index).await, [entry("old", 1)], "until the end");
        filling.finish().await;
        let now = listed(&index).await;
        assert_eq!(now.len(), ROWS + 1);
        assert!(now.iter().all(|entry| entry.at.key == "new"), "{now:?}");
    }

    #[tokio::test]
    async fn what_happens_meanwhile_counts_however_it_was_added() {
        let (_folder, index) = index();
        for key in ["stays", "went", "came back"] {
            index.record(change(entry(key, 1)));
        }
        let mut filling = index.fill();
        index.record(removal(entry("went", 1)));
        index.record(removal(entry("came back", 1)));
        index.record(change(entry("came back", 2)));
        index.record(change(entry("came", 1)));
        for key in ["stays", "went", "came back", "came"] {
            filling.add(entry(key, 1)).await;
        }
        index.flush().await;
        let expected = ["came", "came back", "stays"];
        assert_eq!(keys(&index).await, expected, "before the end");
        filling.finish().await;
        assert_eq!(keys(&index).await, expected, "and after it");
        assert!(listed(&index).await.contains(&entry("came back", 2)), "as it came last");
    }

    #[tokio::test]
    async fn large_entries_wait_in_small_numbers() {
        let (_folder, index) = index();
        let mut filling = index.fill();
        for number in 0..100 {
            let large = ListedEntry { metadata: "x".repeat(60_000), ..entry("k", number) };
            filling.add(large).await;
            let waiting: usize = filling.waiting.iter().map(|it| it.metadata.len()).sum();
            assert!(waiting < BYTES, "{waiting} bytes after {number}");
        }
        filling.finish().await;
        assert_eq!(listed(&index).await.len(), 100);
    }

    /// The file refuses the list, as a full disk would.
    #[tokio::test]
    async fn a_list_that_comes_to_nothing_completes_nothing_and_the_cause_is_told() {
        let (_folder, index) = index();
        let list = async |entries: &[u64]| {
            let list = async {
                let mut filling = index.fill();
                for number in entries {
                    filling.add(entry("k", *number)).await;
                }
                filling.finish().await;
                Ok(())
            };
            index.completed_by(list).await
        };
        let failed = list(&[1, 1]).await.expect_err("one entry twice");
        assert!(
            matches!(&failed, StoreError::Index(cause) if cause.sqlite_error_code() ==
            Some(rusqlite::ErrorCode::ConstraintViolation)),
            "{failed:?}"
        );
        assert!(!index.is_complete());
        list(&[1, 2]).await.expect("listed");
        assert!(index.is_complete());
    }

    #[tokio::test]
    async fn one_that_is_given_up_changes_nothing() {
        let (_folder, index) = index();
        index.record(change(entry("old", 1)));
        let mut filling = index.fill();
        filling.add(entry("new", 1)).await;
        drop(filling);
        assert_eq!(keys(&index).await, ["old"]);
        assert!(index.is_unfilled().await.expect("read"));
        let filling = index.fill();
        filling.finish().await;
        assert_eq!(keys(&index).await, [""; 0]);
        assert!(!index.is_unfilled().await.expect("read"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_was_filled_is_believed_and_so_is_one_that_was_about_to_be() {
        let (folder, index) = index();
        let mut filling = index.fill();
        filling.add(entry("k", 1)).await;
        filling.finish().await;
        let path = folder.path().join("index.sqlite");
        let index = reopened(index, &path);
        assert_eq!(keys(&index).await, ["k"]);
        index.state.complete.store(true, std::sync::atomic::Ordering::SeqCst);
        let filling = index.fill();
        std::mem::forget(filling);
        index.flush().await;
        let index = reopened(index, &path);
        assert_eq!(keys(&index).await, ["k"]);
        let connection = rusqlite::Connection::open(&path).expect("opened");
        let left = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'filling'",
            [],
            |row| row.get::<_, u64>(0),
        );
        assert_eq!(left.expect("read"), 0);
    }

    /// Closed, and opened as after an orderly stop.
    fn reopened(index: Index, path: &Path) -> Index {
        let layout = Layout::new(path.parent().expect("a folder").to_owned());
        let seal = Seal::random(&layout).expect("a seal");
        index.state.complete.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(tokio::task::block_in_place(|| index.close(&seal)), "whole");
        let index = Index::open(path, Some(&seal)).expect("opened");
        assert!(index.is_complete(), "believed");
        index
    }

    fn index() -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(&folder.path().join("index.sqlite"), None).expect("opened");
        (folder, index)
    }

    fn entry(key: &str, number: u64) -> ListedEntry {
        let digest = Digest::of(&number.to_le_bytes());
        let metadata = format!("{{\"sha512\": \"{digest}\"}}");
        let id = *SignedEntry::from_texts(&metadata, "").expect("an entry").id();
        let time = Timestamp::from_microseconds(number.cast_signed()).expect("a time");
        let at = Position { record: RecordName { time, id }, key: key.to_owned() };
        ListedEntry { at, digest, metadata }
    }

    fn change(ListedEntry { at, digest, metadata }: ListedEntry) -> Change {
        let key = at.key.parse().expect("a key");
        Change::Entry { key, record: at.record, digest, metadata: metadata.into() }
    }

    fn removal(ListedEntry { at, .. }: ListedEntry) -> Change {
        Change::NoEntry { key: at.key.parse().expect("a key"), record: at.record }
    }

    async fn listed(index: &Index) -> Vec<ListedEntry> {
        index.flush().await;
        index.entries(None, None, None, 10_000).await.expect("read")
    }

    async fn keys(index: &Index) -> Vec<String> {
        let mut keys: Vec<_> = listed(index).await.into_iter().map(|it| it.at.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
