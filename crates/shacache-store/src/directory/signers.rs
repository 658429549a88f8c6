//! Whose signature an entry has, as far as a list of keys tells, and which entries a revoked key
//! hides. Owns what was found out already: no signature is checked twice while it is remembered, and
//! no list is narrowed for each who asks.
//! Must not know how entries lie on disk.

use std::sync::Arc;

use quick_cache::sync::Cache;
use shacache_core::entry::{EntryId, SignedEntry};
use shacache_core::trust::{Fingerprint, Revocation, Trust};

use super::listing::{self, Listing};
use crate::blocking::blocking;
use crate::error::StoreError;
use crate::layout::RecordName;

/// The keys that a server trusts. Changing one means making another: what was found out with the
/// old list is forgotten with it.
#[derive(Debug)]
pub struct Signers {
    trust: Trust,
    revocations: Vec<Revocation>,
    /// By entry, the places in the list of those who signed it.
    found: Cache<EntryId, Arc<[usize]>>,
    narrowed: Cache<Narrowed, Option<Arc<Listing>>, NarrowedWeight>,
}

/// What was asked for: the tag of the whole list, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Narrowed {
    tag: Box<str>,
    wanted: Narrowing,
}

/// Which entries of a key are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Narrowing {
    /// Those that any listed key signed.
    Verified,
    /// Those that this key signed, if it is listed.
    SignedBy(Fingerprint),
}

impl Signers {
    /// A revocation of a key that is not listed hides nothing: without the key nobody can tell
    /// what it signed.
    #[must_use]
    pub fn new(trust: Trust, revocations: Vec<Revocation>) -> Self {
        let narrowed = listing::cache(NarrowedWeight);
        Self { trust, revocations, found: Cache::new(REMEMBERED), narrowed }
    }

    /// The listed keys.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The revocation of a key; the earliest if there are several.
    #[must_use]
    pub fn revocation_of(&self, signer: &Fingerprint) -> Option<&Revocation> {
        let of_it = self.revocations.iter().filter(|revocation| revocation.signer == *signer);
        of_it.min_by_key(|revocation| revocation.since_us)
    }

    /// Whether a revoked key signed the entry and it was received too late.
    pub(super) fn hides(&self, record: &RecordName, entry: &SignedEntry) -> bool {
        self.revoked_signer(entry, record.time.as_microseconds()).is_some()
    }

    /// A key that signed the entry and is revoked for what is received at this time. Two listed
    /// certificates can have one key in two forms: revoking either revokes it.
    #[must_use]
    pub fn revoked_signer(&self, entry: &SignedEntry, received_us: i64) -> Option<Fingerprint> {
        // In this order: for most entries no signature has to be checked.
        let mut hiding = self.revocations.iter().filter(|it| it.hides(received_us));
        let found = hiding.find(|it| self.have_signed(entry, |signer| *signer == it.signer));
        found.map(|revocation| revocation.signer)
    }

    /// Those entries of a list that are wanted; `None` when there are none.
    pub(super) async fn narrow(
        self: &Arc<Self>,
        all: Arc<Listing>,
        wanted: Narrowing,
    ) -> Result<Option<Arc<Listing>>, StoreError> {
        if let Narrowing::SignedBy(signer) = &wanted
            && self.trust.certificate_of(signer).is_none()
        {
            return Ok(None);
        }
        let asked = Narrowed { tag: all.tag().into(), wanted };
        let signers = Arc::clone(self);
        let narrowed = blocking(move || Ok::<_, StoreError>(all.narrowed(&signers, wanted)));
        self.narrowed.get_or_insert_async(&asked, narrowed).await
    }

    /// Whether the entry is one that is wanted.
    pub(super) fn fits(&self, wanted: Narrowing, entry: &SignedEntry) -> bool {
        match wanted {
            Narrowing::Verified => self.have_signed(entry, |_| true),
            Narrowing::SignedBy(signer) => self.have_signed(entry, |it| *it == signer),
        }
    }

    fn have_signed(&self, entry: &SignedEntry, wanted: impl Fn(&Fingerprint) -> bool) -> bool {
        let listed = self.trust.certificates();
        let signers = self.places_of(entry);
        signers.iter().any(|at| wanted(listed[*at].public_key().fingerprint()))
    }

    fn places_of(&self, entry: &SignedEntry) -> Arc<[usize]> {
        if let Some(found) = self.found.get(entry.id()) {
            return found;
        }
        let listed = self.trust.certificates().iter().enumerate();
        let text = entry.metadata_text().as_bytes();
        let signature = entry.signature().bytes();
        let found: Arc<[usize]> = listed
            .filter(|(_, certificate)| certificate.public_key().verifies(text, signature))
            .map(|(at, _)| at)
            .collect();
        self.found.insert(*entry.id(), Arc::clone(&found));
        found
    }
}

impl Default for Signers {
    /// Nobody.
    fn default() -> Self {
        Self::new(Trust::default(), Vec::new())
    }
}

#[derive(Debug, Clone)]
struct NarrowedWeight;

impl quick_cache::Weighter<Narrowed, Option<Arc<Listing>>> for NarrowedWeight {
    fn weight(&self, asked: &Narrowed, listing: &Option<Arc<Listing>>) -> u64 {
        let text = listing.as_ref().map_or(0, |listing| listing.json().len());
        (size_of::<Narrowed>() + asked.tag.len() + text) as u64
    }
}

/// About 10 MiB.
const REMEMBERED: usize = 65_536;
