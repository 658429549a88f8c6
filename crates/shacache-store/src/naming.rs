//! Blobs that an entry on its way names. Owns the agreement between those who put entries and those
//! who collect what nothing names: either the collector learns of the entry before it takes the blob
//! away, or the entry finds the blob gone and brings it back before its 201. Must not know how
//! either is done.
//!
//! Whoever puts an entry says so with [`Naming::name`] before it looks for the blob, and holds the
//! answer until the entry is on disk. Whoever collects begins with [`Naming::watch`], then reads
//! the archive, and asks [`Watch::was_named`] while [`Naming::alone`] keeps new names out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shacache_core::digest::Digest;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::defence::Defence;

/// What is being named. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Naming(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shards: Box<[Arc<RwLock<()>>]>,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// How many entries on their way name a blob.
    under_way: HashMap<Digest, usize>,
    /// Every blob named since each watch began.
    watches: HashMap<u64, HashSet<Digest>>,
    next: u64,
}

/// An entry on its way.
#[derive(Debug)]
pub(crate) struct Named {
    shared: Arc<Shared>,
    digest: Digest,
    _shard: Option<OwnedRwLockReadGuard<()>>,
}

/// Since when names are remembered, as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    number: u64,
}

/// Nobody names a blob whose digest begins with a certain byte.
#[derive(Debug)]
pub(crate) struct Alone {
    _shard: OwnedRwLockWriteGuard<()>,
}

impl Naming {
    pub(crate) fn new() -> Self {
        let shards = (0..=u8::MAX).map(|_| Arc::default()).collect();
        Self(Arc::new(Shared { shards, names: Mutex::default() }))
    }

    /// Says that an entry that names the blob is on its way; waits for whoever just collects.
    pub(crate) async fn name(&self, digest: &Digest) -> Named {
        if !Defence::Naming.is_up() {
            return Named { shared: Arc::clone(&self.0), digest: *digest, _shard: None };
        }
        let shard = self.0.shard(digest.as_bytes()[0]).read_owned().await;
        let mut names = self.0.names();
        *names.under_way.entry(*digest).or_default() += 1;
        for named in names.watches.values_mut() {
            named.insert(*digest);
        }
        drop(names);
        Named { shared: Arc::clone(&self.0), digest: *digest, _shard: Some(shard) }
    }

    /// Remembers from now on what is named, and what is being named just now.
    pub(crate) fn watch(&self) -> Watch {
        let mut names = self.0.names();
        let number = names.next;
        names.next += 1;
        let named = names.under_way.keys().copied().collect();
        names.watches.insert(number, named);
        Watch { shared: Arc::clone(&self.0), number }
    }

    /// Waits until nobody names a blob whose digest begins with this byte, and keeps it so.
    pub(crate) async fn alone(&self, first_byte: u8) -> Alone {
        Alone { _shard: self.0.shard(first_byte).write_owned().await }
    }
}

impl Watch {
    /// Whether the blob was named since.
    pub(crate) fn was_named(&self, digest: &Digest) -> bool {
        let names = self.shared.names();
        names.watches.get(&self.number).is_none_or(|named| named.contains(digest))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.names().watches.remove(&self.number);
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut names = self.shared.names();
        let Some(count) = names.under_way.get_mut(&self.digest) else { return };
        *count -= 1;
        if *count == 0 {
            names.under_way.remove(&self.digest);
        }
    }
}

impl Shared {
    fn shard(&self, first_byte: u8) -> Arc<RwLock<()>> {
        Arc::clone(&self.shards[usize::from(first_byte)])
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // Each change is one insertion or removal.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn a_watch_knows_what_is_named_during_it_and_what_was_on_its_way() {
        let naming = Naming::new();
        let [before, under_way, during] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
        drop(naming.name(&before).await);
        let named = naming.name(&under_way).await;
        let watch = naming.watch();
        drop(named);
        drop(naming.name(&during).await);
        assert!(!watch.was_named(&before));
        assert!(watch.was_named(&under_way) && watch.was_named(&during));
        drop(watch);
        assert!(!naming.watch().was_named(&during));
    }

    #[tokio::test]
    async fn who_names_and_who_collects_wait_for_each_other() {
        let naming = Naming::new();
        let digest = Digest::of(b"1");
        let first_byte = digest.as_bytes()[0];
        let waits = |poll: Poll<()>| assert_eq!(poll, Poll::Pending);
        let named = naming.name(&digest).await;
        let mut alone = pin!(async { drop(naming.alone(first_byte).await) });
        waits(alone.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        drop(named);
        alone.await;
        let alone = naming.alone(first_byte).await;
        let mut named = pin!(async { drop(naming.name(&digest).await) });
        waits(named.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        drop(alone);
        named.await;
    }
}
