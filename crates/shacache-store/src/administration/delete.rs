//! Deleting entries that somebody names: one, those of a key, those of a signer.

use std::sync::Arc;

use shacache_core::entry::EntryId;
use shacache_core::key::Key;
use shacache_core::trust::PublicKey;

use super::entries::{OfKey, Unreadable};
use super::{Removals, Shared};
use crate::audit::{Action, Run};
use crate::directory::removal::Doomed;
use crate::error::StoreError;
use crate::gate::Pass;
use crate::naming::Watch;

/// Which entries.
#[derive(Debug, Clone)]
pub enum Target {
    /// One.
    Entry {
        /// The key that it is under.
        key: Key,
        /// Which of that key's.
        id: EntryId,
    },
    /// All of a key.
    Key(Key),
    /// All that have a signature by this key, received then or later.
    Signer {
        /// Whose.
        key: PublicKey,
        /// Microseconds since 1970-01-01T00:00:00Z.
        since_us: i64,
    },
}

impl Shared {
    pub(super) async fn delete(
        self: &Arc<Self>,
        pass: &Pass,
        run: &Run,
        target: Target,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let mut removals = Removals::of(dry_run);
        let is_all_or_nothing = !matches!(target, Target::Signer { .. });
        for of_key in self.targets(target).await? {
            if is_all_or_nothing {
                self.refuse_held_entries(&of_key).await?;
            }
            self.take_out(pass, run, Action::DeleteEntries, of_key, &mut removals, None).await?;
        }
        Ok(removals)
    }

    /// Takes the entries of one key out, held ones left alone.
    pub(super) async fn take_out(
        &self,
        pass: &Pass,
        run: &Run,
        action: Action,
        of_key: OfKey,
        removals: &mut Removals,
        orphaned: Option<&Watch>,
    ) -> Result<(), StoreError> {
        let OfKey { key, entries } = of_key;
        let (_holding, held) = self.holds.look(None).await?;
        let (kept, going): (Vec<Doomed>, Vec<Doomed>) =
            entries.into_iter().partition(|one| held.entry(&key, &one.digest).is_some());
        removals.held += kept.len() as u64;
        if removals.dry_run {
            for one in going {
                if self.directory.may_go(&one.digest, orphaned).await? {
                    removals.add_entry(one.removal);
                }
            }
            return Ok(());
        }
        let mut gone = Vec::new();
        for batch in going.chunks(BATCH) {
            gone.extend(self.directory.take_out(pass, run, action, &key, batch, orphaned).await?);
        }
        gone.into_iter().for_each(|removal| removals.add_entry(removal));
        Ok(())
    }

    async fn targets(self: &Arc<Self>, target: Target) -> Result<Vec<OfKey>, StoreError> {
        Ok(match target {
            Target::Entry { key, id } => {
                let mut entries = self.directory.entries(&key).await?;
                entries.retain(|one| one.record.id == id);
                entries.iter_mut().for_each(|one| one.removal.reason = "this entry".to_owned());
                vec![OfKey { key, entries }]
            }
            Target::Key(key) => {
                let mut entries = self.directory.entries(&key).await?;
                entries.iter_mut().for_each(|one| one.removal.reason = "of this key".to_owned());
                vec![OfKey { key, entries }]
            }
            Target::Signer { key, since_us } => {
                self.choose_entries(Unreadable::Skip, move |_, record, entry| {
                    let text = entry.metadata_text().as_bytes();
                    let is_meant = record.time.as_microseconds() >= since_us
                        && key.verifies(text, entry.signature().bytes());
                    Ok(is_meant.then(|| {
                        format!("signed by {}, received {}", key.fingerprint(), record.time)
                    }))
                })
                .await?
            }
        })
    }

    async fn refuse_held_entries(&self, of_key: &OfKey) -> Result<(), StoreError> {
        let (_holding, held) = self.holds.look(None).await?;
        for one in &of_key.entries {
            if let Some(hold) = held.entry(&of_key.key, &one.digest) {
                let held = format!("{} of key {}", one.removal.path, of_key.key.as_str());
                return Err(StoreError::Held { held, hold: hold.clone() });
            }
        }
        Ok(())
    }
}

/// How many entries one record of the audit log lists.
const BATCH: usize = 256;
