//! The directory's part of the walk. Some keys are read while others go into the index, and the disk
//! is asked for several at once. Owns how much of what was read is in memory; must not know how an
//! entry is told from other files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Reindexed, Reindexer, Unread};
use crate::blocking::{blocking, joined};
use crate::directory::key_file;
use crate::durable::Durable;
use crate::error::{Fault, StoreError};
use crate::index::filling::Filling;
use crate::index::{Change, ListedEntry, Position};
use crate::layout::Layout;
use crate::walk::{self, KeyEntries};

/// What reading one key gives.
type KeyRead = Result<Option<KeyEntries>, Fault>;

impl Reindexer {
    /// Lists the entries in some folders of keys.
    pub(super) async fn walk_keys(
        &self,
        folders: &[PathBuf],
        filling: &mut Option<Filling<'_>>,
        found: &mut Reindexed,
        unread: &mut Unread,
    ) -> Result<(), StoreError> {
        let mut waiting: VecDeque<_> = folders.chunks(RUN_KEYS).collect();
        let mut reading = VecDeque::with_capacity(RUNS);
        loop {
            while reading.len() < RUNS
                && let Some(run) = waiting.pop_front()
            {
                reading.push_back((run, self.read_keys(run)));
            }
            let Some((run, read)) = reading.pop_front() else {
                return Ok(());
            };
            self.blobs.check_running()?;
            let read = joined(read).await?;
            let (run, left) = run.split_at(read.len());
            if !left.is_empty() {
                waiting.push_front(left);
            }
            for (folder, read) in run.iter().zip(read) {
                let read = match unread.skip(read.map_err(StoreError::from))? {
                    Some(None) => unread.skip(self.read_nameless(folder).await)?,
                    read => read,
                };
                match read {
                    Some(Some(key)) => found.entries += self.list_key(key, filling).await,
                    Some(None) => {
                        let path = folder.display();
                        tracing::warn!(%path, "skipped: not the folder of a key");
                    }
                    None => {}
                }
            }
            if filling.is_none() {
                // The index is never far behind.
                self.index.flush().await;
            }
        }
    }

    /// Lists what was read of a key, and gives the number of its entries.
    async fn list_key(&self, read: KeyEntries, filling: &mut Option<Filling<'_>>) -> u64 {
        let KeyEntries { key, entries, .. } = read;
        let number = entries.len() as u64;
        for (record, entry) in entries {
            let digest = *entry.digest();
            if let Some(filling) = filling {
                let at = Position { record, key: key.as_str().to_owned() };
                let metadata = entry.metadata_text().to_owned();
                filling.add(ListedEntry { at, digest, metadata }).await;
            } else {
                let metadata = entry.metadata_text().into();
                self.index.record(Change::Found { key: key.clone(), record, digest, metadata });
            }
        }
        number
    }

    /// Begins to read some keys, of which the last may be left.
    fn read_keys(&self, folders: &[PathBuf]) -> JoinHandle<Result<Vec<KeyRead>, StoreError>> {
        let (layout, publisher) = (self.layout.clone(), Arc::clone(&self.publisher));
        let folders = folders.to_vec();
        tokio::task::spawn_blocking(move || Ok(read_run(&layout, publisher.durable(), &folders)))
    }

    /// A key whose folder does not say which it is, if the index still knows.
    async fn read_nameless(&self, folder: &Path) -> Result<Option<KeyEntries>, StoreError> {
        if !key_file::restore(&self.layout, &self.index, &self.publisher, folder).await? {
            return Ok(None);
        }
        let (layout, publisher) = (self.layout.clone(), Arc::clone(&self.publisher));
        let folder = folder.to_owned();
        blocking(move || walk::read_key(&layout, publisher.durable(), &folder)).await
    }
}

/// Reads keys, the first in any case, until they are large together. Blocking.
fn read_run(layout: &Layout, durable: &Durable, folders: &[PathBuf]) -> Vec<KeyRead> {
    let (mut run, mut bytes) = (Vec::with_capacity(folders.len()), 0);
    for folder in folders {
        let read = walk::read_key(layout, durable, folder);
        if let Ok(Some(key)) = &read {
            bytes += key.entries.iter().map(|(_, entry)| entry.body().len()).sum::<usize>();
        }
        run.push(read);
        if bytes >= RUN_BYTES {
            break;
        }
    }
    run
}

/// So many keys are read in one go…
const RUN_KEYS: usize = 64;
/// …or fewer, if they have so many bytes: those of the last of them come on top, up to what a key may
/// have…
const RUN_BYTES: usize = 1 << 20;
/// …in so many places at once; and what was read in one more goes into the index.
const RUNS: usize = 4;

#[cfg(test)]
mod tests {
    use std::fs;

    use shacache_core::digest::Digest;
    use shacache_core::entry::SignedEntry;
    use shacache_core::key::Key;

    use super::*;
    use crate::layout::RecordName;
    use crate::timestamp::Timestamp;

    #[test]
    fn large_keys_are_read_few_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(folder.path().to_owned());
        fs::create_dir_all(layout.temporary()).expect("made");
        let keys: Vec<PathBuf> = (0..4).map(|number| large_key(&layout, number)).collect();
        let durable = Durable::new(layout.clone()).expect("opened");
        let read = |from: usize| {
            let run = read_run(&layout, &durable, &keys[from..]);
            run.iter()
                .map(|it| it.as_ref().expect("read").as_ref().expect("a key").entries.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(read(0), [ENTRIES, ENTRIES], "no more once they are large");
        assert_eq!(read(3), [ENTRIES], "the last one");
    }

    /// More than half of what a run may have.
    fn large_key(layout: &Layout, number: usize) -> PathBuf {
        let key: Key = format!("large-{number}").parse().expect("a key");
        let folder = layout.key_entries(&key.file_name());
        fs::create_dir_all(&folder).expect("made");
        for number in 0..ENTRIES {
            let digest = Digest::of(&number.to_le_bytes());
            let text =
                format!("{{\"sha512\": \"{digest}\", \"more\": \"{}\"}}", "x".repeat(60_000));
            let entry = SignedEntry::from_texts(&text, "").expect("an entry");
            let record = RecordName { time: Timestamp::now(), id: *entry.id() };
            fs::write(folder.join(record.file_name()), entry.body()).expect("written");
        }
        folder
    }

    const ENTRIES: usize = 10;
}
