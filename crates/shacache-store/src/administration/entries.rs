//! Reading every entry of the archive, to choose some. Owns what happens with those that cannot be
//! read. Must not know what they are chosen for.

use std::path::Path;
use std::sync::Arc;

use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;

use super::Shared;
use crate::blocking::blocking;
use crate::directory::removal::Doomed;
use crate::error::{Fault, StoreError};
use crate::layout::RecordName;
use crate::walk;

/// The chosen entries of one key.
#[derive(Debug)]
pub(super) struct OfKey {
    pub(super) key: Key,
    pub(super) entries: Vec<Doomed>,
}

/// What to do about what may be an entry and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is none of those that are wanted.
    Skip,
    /// Nobody knows what it names.
    Refuse,
}

impl Shared {
    /// Asks `choose` about every entry that no tombstone hides; a text chooses it, and says why.
    pub(super) async fn choose_entries(
        self: &Arc<Self>,
        unreadable: Unreadable,
        choose: impl Fn(&Key, &RecordName, &SignedEntry) -> Result<Option<String>, Fault>
        + Send
        + Sync
        + 'static,
    ) -> Result<Vec<OfKey>, StoreError> {
        let choose = Arc::new(choose);
        let mut chosen = Vec::new();
        for fan_out in walk::folders(self.layout.entries()).await? {
            self.blobs.check_running()?;
            let (shared, choose) = (Arc::clone(self), Arc::clone(&choose));
            let here = blocking(move || {
                let mut chosen = Vec::new();
                for folder in walk::paths(&fan_out)? {
                    chosen.extend(shared.choose_of_key(&folder, unreadable, &*choose)?);
                }
                Ok::<_, StoreError>(chosen)
            });
            chosen.extend(here.await?);
        }
        Ok(chosen)
    }

    fn choose_of_key(
        &self,
        folder: &Path,
        unreadable: Unreadable,
        choose: &impl Fn(&Key, &RecordName, &SignedEntry) -> Result<Option<String>, Fault>,
    ) -> Result<Option<OfKey>, StoreError> {
        let unsure = || match unreadable {
            Unreadable::Skip => Ok(None),
            Unreadable::Refuse => Err(StoreError::Unsure(self.layout.shown(folder))),
        };
        let Some(read) = walk::read_key(&self.layout, self.publisher.durable(), folder)? else {
            return if walk::has_records(folder)? { unsure() } else { Ok(None) };
        };
        if read.skipped > 0 && unreadable == Unreadable::Refuse {
            return unsure();
        }
        let mut entries = Vec::new();
        for (record, entry) in &read.entries {
            if let Some(reason) = choose(&read.key, record, entry)? {
                entries.push(Doomed::new(&self.layout, &read.key, *record, entry, reason));
            }
        }
        Ok((!entries.is_empty()).then_some(OfKey { key: read.key, entries }))
    }
}
