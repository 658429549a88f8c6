//! Blobs that came without credentials and that no accepted entry names yet: they lie in
//! `unclaimed/`, durable and served to nobody. Owns the account of them: which there are, since when
//! and on whose account, for how long, and which goes when room is needed. Must not know how a blob
//! gets there, nor how it gets into the archive.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use shacache_core::digest::Digest;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::blob::sums::Sums;
use crate::blocking::blocking;
use crate::error::{Chain, Fault, StoreError};
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::scan;

/// What blobs without credentials may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnclaimedLimits {
    /// How long one stays.
    pub keep: Duration,
    /// Bytes of all of them together, those on their way included. One client address may hold a
    /// quarter of it.
    pub bytes: u64,
}

impl Default for UnclaimedLimits {
    fn default() -> Self {
        Self { keep: Duration::from_secs(60 * 60), bytes: 16 << 30 }
    }
}

/// What lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnclaimedTotals {
    /// Blobs.
    pub blobs: u64,
    /// What counts against the limit: bytes of these blobs and of those on their way, 64 KiB at
    /// least for each.
    pub bytes: u64,
}

/// The unclaimed blobs of a store.
#[derive(Debug)]
pub(crate) struct Unclaimed {
    layout: Layout,
    limits: UnclaimedLimits,
    account: Arc<Mutex<Account>>,
    /// Held by whoever changes the file of a digest together with its line in the account.
    changing: Box<[Arc<tokio::sync::Mutex<()>>]>,
    came: Notify,
}

/// A blob that lies there.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    charge: u64,
    holder: Option<IpAddr>,
    since: Instant,
    /// Not known of blobs that an earlier run took in.
    pub(crate) sums: Option<Arc<Sums>>,
}

/// The right to change what lies under a digest.
#[derive(Debug)]
pub(crate) struct Changing {
    _held: OwnedMutexGuard<()>,
}

impl Unclaimed {
    /// Counts what is there, by the times of the files. To whom they belong is not known any more.
    /// Blocking.
    pub(crate) fn open(layout: Layout, limits: UnclaimedLimits) -> Result<Self, Fault> {
        let mut account = Account::default();
        for entry in scan::entries(&layout.unclaimed())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let found = scan::status(&path)?.filter(fs::Metadata::is_file);
            let digest = name.parse().ok().filter(|digest: &Digest| digest.to_string() == name);
            let Some((digest, file)) = digest.zip(found) else {
                tracing::warn!(path = %path.display(), "no unclaimed blob has such a name");
                continue;
            };
            let written = file.modified().map_err(Fault::at("stat", &path))?;
            // A time to come is a clock that was set back.
            let age = SystemTime::now().duration_since(written).unwrap_or_default();
            let now = Instant::now();
            let since = now.checked_sub(age).unwrap_or(now);
            account
                .add(digest, Held { charge: charge(file.len()), holder: None, since, sums: None });
        }
        Ok(Self {
            layout,
            limits,
            account: Arc::new(Mutex::new(account)),
            changing: (0..LOCKS).map(|_| Arc::default()).collect(),
            came: Notify::new(),
        })
    }

    /// How long a blob stays.
    pub(crate) fn keep(&self) -> Duration {
        self.limits.keep
    }

    pub(crate) fn totals(&self) -> UnclaimedTotals {
        let account = self.account();
        UnclaimedTotals { blobs: account.blobs.len() as u64, bytes: account.bytes }
    }

    /// Waits for the turn to change what lies under `digest`.
    pub(crate) async fn changing(&self, digest: &Digest) -> Changing {
        let at = usize::from(digest.as_bytes()[0]) % LOCKS;
        Changing { _held: Arc::clone(&self.changing[at]).lock_owned().await }
    }

    /// What is known of the blob, if it lies there.
    pub(crate) fn held(&self, digest: &Digest) -> Option<Held> {
        self.account().blobs.get(digest).cloned()
    }

    /// Begins the account of an upload by `holder`; `None` counts only against the whole.
    pub(crate) async fn room(
        &self,
        announced_bytes: Option<u64>,
        holder: Option<IpAddr>,
    ) -> Result<Room, StoreError> {
        let mut room =
            Room { account: Arc::clone(&self.account), holder, received_bytes: 0, charge: 0 };
        let limit_bytes = room.limit(&self.limits);
        if announced_bytes.is_some_and(|bytes| bytes > limit_bytes) {
            return Err(StoreError::UnclaimedTooLarge { limit_bytes });
        }
        self.grow(&mut room, 0).await?;
        Ok(room)
    }

    /// Counts `bytes` more; what is oldest goes for them.
    pub(crate) async fn grow(&self, room: &mut Room, bytes: u64) -> Result<(), StoreError> {
        let received_bytes = room.received_bytes.saturating_add(bytes);
        let limit_bytes = room.limit(&self.limits);
        if received_bytes > limit_bytes {
            return Err(StoreError::UnclaimedTooLarge { limit_bytes });
        }
        let more = charge(received_bytes) - room.charge;
        if more > 0 {
            self.charge(more, room.holder).await?;
        }
        room.received_bytes = received_bytes;
        room.charge += more;
        Ok(())
    }

    /// Counts bytes on a holder's account; what is oldest goes for them.
    async fn charge(&self, bytes: u64, holder: Option<IpAddr>) -> Result<(), StoreError> {
        loop {
            let full = match self.account().charge(bytes, holder, &self.limits) {
                Ok(()) => return Ok(()),
                Err(full) => full,
            };
            match full.oldest {
                Some((since, digest)) if since.elapsed() >= GRACE => {
                    self.discard(&digest, since).await?;
                }
                Some((since, _)) => {
                    let retry_after = GRACE.saturating_sub(since.elapsed());
                    return Err(StoreError::Busy { retry_after });
                }
                None => return Err(StoreError::Busy { retry_after: GRACE }),
            }
        }
    }

    /// Notes that a blob lies there now, in place of what was known under its digest.
    pub(crate) fn note(&self, _changing: &Changing, digest: &Digest, room: Room, sums: Arc<Sums>) {
        let (holder, charge) = (room.holder, room.charge);
        // Given back and taken again under one lock, so that nobody takes the room in between.
        let mut account = self.account();
        account.forget(digest);
        room.end(&mut account);
        account.add(*digest, Held { charge, holder, since: Instant::now(), sums: Some(sums) });
        self.came.notify_one();
    }

    /// Notes that the blob lies there no longer.
    pub(crate) fn forget(&self, _changing: &Changing, digest: &Digest) {
        self.account().forget(digest);
    }

    /// Takes the blob away. Once begun it goes to its end, also when the caller stops waiting: the
    /// turn is given back only then.
    pub(crate) async fn remove(
        &self,
        changing: Changing,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let (path, digest) = (self.layout.unclaimed_blob(digest), *digest);
        let account = Arc::clone(&self.account);
        blocking(move || {
            remove_file(&path)?;
            locked(&account).forget(&digest);
            drop(changing);
            Ok::<_, Fault>(())
        })
        .await
    }

    /// Takes blobs away when their time is over, for ever.
    pub(crate) async fn expire(&self, publisher: &Publisher) {
        loop {
            let oldest = self.account().order.first().copied();
            let Some((since, digest)) = oldest else {
                self.came.notified().await;
                continue;
            };
            if let Some(rest) = self.limits.keep.checked_sub(since.elapsed()) {
                tokio::time::sleep(rest + TICK).await;
                continue;
            }
            let removed = match publisher.enter().await {
                Ok(_pass) => self.discard(&digest, since).await,
                Err(refused) => Err(refused),
            };
            if let Err(error) = removed {
                tracing::warn!(%digest, error = %Chain(&error), "an unclaimed blob stays");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Takes a blob away, unless it was claimed or came again meanwhile.
    async fn discard(&self, digest: &Digest, since: Instant) -> Result<(), StoreError> {
        let changing = self.changing(digest).await;
        if self.held(digest).is_none_or(|held| held.since != since) {
            return Ok(());
        }
        self.remove(changing, digest).await?;
        tracing::info!(%digest, "nobody claimed it: removed");
        Ok(())
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        locked(&self.account)
    }
}

/// Room for one upload, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    account: Arc<Mutex<Account>>,
    holder: Option<IpAddr>,
    received_bytes: u64,
    charge: u64,
}

impl Room {
    /// The largest blob that its holder may leave.
    fn limit(&self, limits: &UnclaimedLimits) -> u64 {
        if self.holder.is_some() { limits.bytes / 4 } else { limits.bytes }
    }

    fn end(mut self, account: &mut Account) {
        account.discharge(std::mem::take(&mut self.charge), self.holder);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.charge > 0 {
            locked(&self.account).discharge(self.charge, self.holder);
        }
    }
}

/// Who holds how much since when.
#[derive(Debug, Default)]
struct Account {
    blobs: HashMap<Digest, Held>,
    /// Oldest first.
    order: BTreeSet<(Instant, Digest)>,
    bytes: u64,
    holders: HashMap<IpAddr, Holding>,
}

#[derive(Debug, Default)]
struct Holding {
    bytes: u64,
    order: BTreeSet<(Instant, Digest)>,
}

/// Why there is no room, and what would have to go.
#[derive(Debug, PartialEq, Eq)]
struct Full {
    oldest: Option<(Instant, Digest)>,
}

impl Account {
    /// Counts bytes on the holder's account, if they fit there and in the whole.
    fn charge(
        &mut self,
        bytes: u64,
        holder: Option<IpAddr>,
        limits: &UnclaimedLimits,
    ) -> Result<(), Full> {
        if let Some(holder) = holder {
            let own = self.holders.entry(holder).or_default();
            if own.bytes + bytes > limits.bytes / 4 {
                let oldest = own.order.first().copied();
                self.tidy(holder);
                return Err(Full { oldest });
            }
        }
        if self.bytes + bytes > limits.bytes {
            if let Some(holder) = holder {
                self.tidy(holder);
            }
            return Err(Full { oldest: self.order.first().copied() });
        }
        self.bytes += bytes;
        if let Some(holder) = holder {
            self.holders.entry(holder).or_default().bytes += bytes;
        }
        Ok(())
    }

    fn discharge(&mut self, bytes: u64, holder: Option<IpAddr>) {
        self.bytes -= bytes;
        if let Some(holder) = holder {
            self.holders.entry(holder).or_default().bytes -= bytes;
            self.tidy(holder);
        }
    }

    /// Adds a blob to what is held, whether or not there is room.
    fn add(&mut self, digest: Digest, held: Held) {
        self.bytes += held.charge;
        self.order.insert((held.since, digest));
        if let Some(holder) = held.holder {
            let own = self.holders.entry(holder).or_default();
            own.bytes += held.charge;
            own.order.insert((held.since, digest));
        }
        self.blobs.insert(digest, held);
    }

    fn forget(&mut self, digest: &Digest) {
        let Some(held) = self.blobs.remove(digest) else { return };
        self.order.remove(&(held.since, *digest));
        if let Some(own) = held.holder.and_then(|holder| self.holders.get_mut(&holder)) {
            own.order.remove(&(held.since, *digest));
        }
        self.discharge(held.charge, held.holder);
    }

    fn tidy(&mut self, holder: IpAddr) {
        if self.holders.get(&holder).is_some_and(|own| own.bytes == 0) {
            self.holders.remove(&holder);
        }
    }
}

/// What a blob of this size counts. The least bounds how many files there can be.
fn charge(bytes: u64) -> u64 {
    bytes.max(LEAST)
}

fn remove_file(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::new("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// No change of an account can be left half done by a panic.
fn locked(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

const LOCKS: usize = 256;
const LEAST: u64 = 64 << 10;
/// Younger than this, a blob does not go for another one: its client is about to put the entry.
const GRACE: Duration = Duration::from_secs(60);
/// A timer may end a little early.
const TICK: Duration = Duration::from_millis(2);
/// Before another try to remove what could not be removed.
const PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UnclaimedLimits =
        UnclaimedLimits { keep: Duration::from_secs(3600), bytes: 16 * LEAST };

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn held(charge: u64, holder: Option<IpAddr>) -> Held {
        Held { charge, holder, since: Instant::now(), sums: None }
    }

    #[test]
    fn one_address_gets_a_quarter_and_all_of_them_the_whole() {
        let mut account = Account::default();
        for last in 1..=4 {
            assert_eq!(account.charge(4 * LEAST, address(last), &LIMITS), Ok(()));
            assert!(account.charge(1, address(last), &LIMITS).is_err());
        }
        assert!(account.charge(1, address(5), &LIMITS).is_err());
        assert!(account.charge(1, None, &LIMITS).is_err());
        account.discharge(LEAST, address(1));
        assert_eq!(account.charge(LEAST, address(5), &LIMITS), Ok(()));
    }

    #[test]
    fn what_has_to_go_is_the_oldest_of_whoever_is_full() {
        let mut account = Account::default();
        let [first, second, third] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
        account.add(first, held(4 * LEAST, address(1)));
        account.add(second, held(4 * LEAST, address(2)));
        account.add(third, held(8 * LEAST, None));
        let oldest = |digest: Digest, account: &Account| {
            Err(Full { oldest: Some((account.blobs[&digest].since, digest)) })
        };
        let own = oldest(second, &account);
        assert_eq!(account.charge(1, address(2), &LIMITS), own);
        let of_all = oldest(first, &account);
        assert_eq!(account.charge(1, address(3), &LIMITS), of_all);
    }

    #[test]
    fn an_account_ends_where_it_began() {
        let mut account = Account::default();
        let digest = Digest::of(b"");
        account.add(digest, held(LEAST, address(1)));
        account.forget(&digest);
        account.forget(&digest);
        assert!(account.charge(u64::MAX / 2, address(1), &LIMITS).is_err());
        assert_eq!((account.bytes, account.holders.len(), account.order.len()), (0, 0, 0));
    }

    #[test]
    fn an_upload_that_ends_early_gives_its_room_back() {
        let account = Arc::new(Mutex::new(Account::default()));
        locked(&account).charge(LEAST, address(1), &LIMITS).expect("there is room");
        let room = Room {
            account: Arc::clone(&account),
            holder: address(1),
            received_bytes: 5,
            charge: LEAST,
        };
        drop(room);
        assert_eq!(locked(&account).bytes, 0);
    }
}
