//! Collecting what nothing needs: blobs that no entry names, entries whose blob is missing, and, when
//! asked for, entries whose time is over. Owns what counts as needed. What is named and what is held
//! is read from the archive and never from the index, which may lack things.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shacache_core::digest::Digest;

use super::entries::{OfKey, Unreadable};
use super::{Removals, Shared};
use crate::audit::{Action, Removal, Run};
use crate::blocking::blocking;
use crate::error::{Fault, StoreError};
use crate::expiration::Expiration;
use crate::hold::AllHeld;
use crate::naming::Watch;
use crate::scan;
use crate::timestamp::{Day, Timestamp};
use crate::walk;

/// What is to be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collecting {
    /// Blobs that no entry names, and entries whose blob is missing.
    Garbage {
        /// For how many full days nobody may have written or asked for a blob; nor put an entry.
        unused_days: u64,
        /// Also when most entries of that age lack their blob, which looks as if the blobs were kept
        /// elsewhere, or a part of the archive were away.
        most_entries: bool,
    },
    /// Entries whose `expiration_date` has passed.
    Expired,
}

impl Collecting {
    /// For how many days something is kept that nothing needs, unless told otherwise.
    pub const UNUSED_DAYS: u64 = 30;
}

/// The blobs that entries name, by the first eight bytes of their digests. Two blobs with the same
/// ones, should there ever be any, are both named when one is: that keeps too much, not too little.
#[derive(Debug, Default)]
struct NamedBlobs {
    prefixes: HashSet<[u8; 8]>,
    /// How many of the entries are old enough to go, if their blob is missing.
    old_entries: u64,
}

impl NamedBlobs {
    fn prefix(digest: &Digest) -> [u8; 8] {
        let bytes = digest.as_bytes();
        std::array::from_fn(|at| bytes[at])
    }
}

impl Shared {
    pub(super) async fn collect(
        self: &Arc<Self>,
        run: &Run,
        options: Collecting,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let mut removals = Removals::of(dry_run);
        match options {
            Collecting::Expired => self.collect_expired(run, &mut removals).await?,
            Collecting::Garbage { unused_days, most_entries } => {
                // Before the archive is read: what is named from here on may not be found there.
                let watch = self.blobs.naming().watch();
                let (named, orphans) = self.read_entries(unused_days).await?;
                if !most_entries {
                    self.refuse_most(named.old_entries, &orphans).await?;
                }
                self.collect_blobs(run, &watch, &named, unused_days, &mut removals).await?;
                self.collect_entries(run, &watch, orphans, &mut removals).await?;
            }
        }
        Ok(removals)
    }

    async fn collect_expired(
        self: &Arc<Self>,
        run: &Run,
        removals: &mut Removals,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let undated = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&undated);
        let expired = self.choose_entries(Unreadable::Skip, move |_, _, entry| {
            Ok(match Expiration::of(&entry.metadata()) {
                Expiration::At(end) if end <= now => Some(format!("expired {end}")),
                Expiration::At(_) | Expiration::Never => None,
                Expiration::Unreadable => {
                    counted.fetch_add(1, Ordering::Relaxed);
                    None
                }
            })
        });
        for of_key in expired.await? {
            let pass = &self.publisher.enter().await?;
            self.take_out(pass, run, Action::ExpireEntries, of_key, removals, None).await?;
        }
        removals.undated = undated.load(Ordering::Relaxed);
        Ok(())
    }

    /// Every blob that an entry names, and the entries whose blob seems to be missing.
    async fn read_entries(
        self: &Arc<Self>,
        days: u64,
    ) -> Result<(NamedBlobs, Vec<OfKey>), StoreError> {
        let named = Arc::new(Mutex::new(NamedBlobs::default()));
        let (shared, found) = (Arc::clone(self), Arc::clone(&named));
        let orphans = self.choose_entries(Unreadable::Refuse, move |_, record, entry| {
            let mut named = found.lock().unwrap_or_else(PoisonError::into_inner);
            named.prefixes.insert(NamedBlobs::prefix(entry.digest()));
            let received = Day::of_seconds(record.time.as_microseconds().div_euclid(1_000_000));
            let is_old = received.full_days_since() >= days;
            named.old_entries += u64::from(is_old);
            drop(named);
            let is_missing = is_old && scan::status(&shared.layout.blob(entry.digest()))?.is_none();
            Ok::<_, Fault>(is_missing.then(|| format!("no blob; received {}", record.time)))
        });
        let orphans = orphans.await?;
        let named = std::mem::take(&mut *named.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((named, orphans))
    }

    /// Errors when more entries lack their blob than have it.
    async fn refuse_most(&self, entries: u64, orphans: &[OfKey]) -> Result<(), StoreError> {
        let mut missing = 0;
        for one in orphans.iter().flat_map(|of_key| &of_key.entries) {
            // One that was collected comes back.
            missing += u64::from(!self.blobs.is_collected(&one.digest).await?);
        }
        if missing * 2 > entries {
            return Err(StoreError::MostBlobsMissing { missing, entries });
        }
        Ok(())
    }

    async fn collect_blobs(
        &self,
        run: &Run,
        watch: &Watch,
        named: &NamedBlobs,
        days: u64,
        removals: &mut Removals,
    ) -> Result<(), StoreError> {
        let mut held = None;
        for folder in walk::folders(self.layout.blobs()).await? {
            for folder in walk::folders(folder).await? {
                self.blobs.check_running()?;
                let mut digests = blocking(move || walk::digests(&folder)).await?;
                digests.retain(|digest| !named.prefixes.contains(&NamedBlobs::prefix(digest)));
                for batch in digests.chunks(BATCH) {
                    self.collect_batch(run, watch, batch, days, &mut held, removals).await?;
                }
            }
        }
        Ok(())
    }

    /// Blobs whose digests begin with the same byte.
    async fn collect_batch(
        &self,
        run: &Run,
        watch: &Watch,
        digests: &[Digest],
        days: u64,
        known: &mut Option<AllHeld>,
        removals: &mut Removals,
    ) -> Result<(), StoreError> {
        let Some(first) = digests.first() else { return Ok(()) };
        // Before anything is locked that somebody with a pass may wait for.
        let pass = &self.publisher.enter().await?;
        // From here to the end nobody puts an entry that names one of them.
        let _alone = self.blobs.naming().alone(first.as_bytes()[0]).await;
        let (_holding, held) = self.holds.look(known.as_ref()).await?;
        let (mut going, mut what) = (Vec::new(), Vec::new());
        for digest in digests {
            if watch.was_named(digest) {
                continue;
            }
            let Some(idle) = self.blobs.idle(digest, days).await? else { continue };
            if held.blob(digest).is_some() {
                removals.held += 1;
                continue;
            }
            going.push(*digest);
            what.push(Removal {
                path: self.layout.in_archive(&self.layout.blob(digest)),
                key: None,
                digest: Some(digest.to_string()),
                bytes: idle.bytes,
                reason: format!("no entry names it; last used {}", idle.last_used),
            });
        }
        *known = Some(held);
        if going.is_empty() {
            return Ok(());
        }
        if !removals.dry_run {
            run.record(Action::CollectBlobs, &what).await?;
            let stay = self.blobs.collect(pass, going, days).await?;
            let stays = |one: &Removal| {
                stay.iter().any(|digest| one.digest.as_deref() == Some(&digest.to_string()))
            };
            let kept: Vec<Removal> = what.extract_if(.., |one| stays(one)).collect();
            if !kept.is_empty() {
                run.record(Action::Kept, &kept).await?;
            }
        }
        what.into_iter().for_each(|removal| removals.add_blob(removal));
        Ok(())
    }

    async fn collect_entries(
        self: &Arc<Self>,
        run: &Run,
        watch: &Watch,
        orphans: Vec<OfKey>,
        removals: &mut Removals,
    ) -> Result<(), StoreError> {
        for mut of_key in orphans {
            self.blobs.check_running()?;
            let mut still = Vec::new();
            for one in of_key.entries {
                if !self.blobs.is_collected(&one.digest).await? {
                    still.push(one);
                } else if removals.dry_run {
                    removals.restored += 1;
                } else {
                    let pass = self.publisher.enter().await?;
                    removals.restored += u64::from(self.blobs.restore(&pass, &one.digest).await?);
                }
            }
            of_key.entries = still;
            let pass = &self.publisher.enter().await?;
            self.take_out(pass, run, Action::CollectEntries, of_key, removals, Some(watch)).await?;
        }
        Ok(())
    }
}

/// How many blobs one record of the audit log lists, and whose entries wait meanwhile.
const BATCH: usize = 64;
