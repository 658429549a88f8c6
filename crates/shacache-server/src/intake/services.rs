//! The two services of another server as a source, for keys that somebody names. Owns the order of
//! things: a blob is here, every byte of it checked, before an entry that names it is taken.

use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use shacache_core::digest::Digest;
use shacache_core::entry::{Listing, SignedEntry};
use shacache_core::key::{Key, KeyError};
use shacache_store::archive_file::Kind;
use shacache_store::error::Chain;
use shacache_store::import::{Lacking, Taken};
use shacache_store::verify::{Code, Finding};
use tokio::sync::Mutex;

use super::keys::Keys;
use super::{Intake, IntakeError, PieceError, finding};
use crate::upstream::{Arriving, Upstream, UpstreamError};

/// A server that is asked for some keys.
#[derive(Debug)]
pub struct Services {
    upstream: Upstream,
    keys: Vec<Key>,
    /// Of lines that are no keys.
    findings: Vec<Finding>,
    more_damage: u64,
    blob_limit_bytes: u64,
    steps: Arc<Steps>,
    lists: Seen,
    blobs: Seen,
    /// The blobs that were asked for in vain, by the first byte of the digest. Whoever wants a blob
    /// holds its place, so that none is fetched twice at once.
    missing: Vec<Mutex<HashMap<Digest, Missing>>>,
}

/// How far it has come.
#[derive(Debug, Default)]
pub struct Steps {
    keys: u64,
    keys_done: AtomicU64,
    received_bytes: AtomicU64,
}

/// Whether any of many things was there, and any not.
#[derive(Debug, Default)]
struct Seen {
    some: AtomicBool,
    none: AtomicBool,
}

/// Why there is no blob.
#[derive(Debug, Clone, Copy)]
enum Missing {
    /// The other server does not have it.
    There,
    /// It could not be fetched.
    Here,
}

impl Steps {
    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// How many of them were asked for to the end.
    #[must_use]
    pub fn keys_done(&self) -> u64 {
        self.keys_done.load(Ordering::Relaxed)
    }

    /// Bytes of blobs that came, also of those still on their way.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }
}

impl Seen {
    fn note(&self, is_there: bool) {
        let which = if is_there { &self.some } else { &self.none };
        which.store(true, Ordering::Relaxed);
    }

    fn only_none(&self) -> bool {
        self.none.load(Ordering::Relaxed) && !self.some.load(Ordering::Relaxed)
    }
}

impl Services {
    /// Blobs that are longer than `blob_limit_bytes` are left out.
    #[must_use]
    pub fn new(upstream: Upstream, keys: Keys, blob_limit_bytes: u64) -> Self {
        let steps = Arc::new(Steps { keys: keys.len() as u64, ..Steps::default() });
        let no_key =
            |(place, error): (String, &KeyError)| finding(Code::Stray, place, &error.to_string());
        let (findings, more_damage) = (keys.wrong().map(no_key).collect(), keys.more_wrong());
        Self {
            upstream,
            keys: keys.into_keys(),
            findings,
            more_damage,
            blob_limit_bytes,
            steps,
            lists: Seen::default(),
            blobs: Seen::default(),
            missing: (0..=u8::MAX).map(|_| Mutex::default()).collect(),
        }
    }

    /// How far it has come, for somebody who looks on.
    #[must_use]
    pub fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.steps)
    }

    /// Takes in all that the keys list.
    ///
    /// # Errors
    /// When what is taken cannot be written, or the other server is not there or has nothing of what
    /// it is asked for, as somebody has who is asked at a wrong address. What was taken until then
    /// stays.
    pub async fn take(mut self, intake: &Intake) -> Result<(), IntakeError> {
        for finding in mem::take(&mut self.findings) {
            intake.found(finding);
        }
        intake.found_more(self.more_damage);
        let keys = stream::iter(mem::take(&mut self.keys).into_iter().map(Ok));
        keys.try_for_each_concurrent(AT_ONCE, |key| self.key(intake, key)).await?;
        if self.lists.only_none() {
            return Err(self.upstream.has_no_list().into());
        }
        if self.blobs.only_none() {
            return Err(self.upstream.has_no_blob().into());
        }
        Ok(())
    }

    async fn key(&self, intake: &Intake, key: Key) -> Result<(), IntakeError> {
        let from = self.upstream.key_url(&key);
        match self.upstream.listing(&key, LISTING_BYTES).await {
            Ok(Some(body)) => {
                self.lists.note(true);
                self.list(intake, &key, &body, from).await?;
            }
            Ok(None) => {
                self.lists.note(false);
                intake.found(finding(Code::KeyMissing, from, "there are no entries under it"));
            }
            Err(error) => {
                // That it failed is told, and says nothing about what is there.
                self.lists.note(true);
                told(intake, error, Code::EntryDamaged, from)?;
            }
        }
        self.steps.keys_done.fetch_add(1, Ordering::Relaxed);
        intake.show();
        Ok(())
    }

    async fn list(
        &self,
        intake: &Intake,
        key: &Key,
        body: &[u8],
        from: String,
    ) -> Result<(), IntakeError> {
        let listing = match Listing::read(body, LISTING_BYTES) {
            Ok(listing) => listing,
            Err(error) => {
                intake.found(finding(Code::EntryDamaged, from, &error.to_string()));
                return Ok(());
            }
        };
        for (at, entry) in listing.entries().enumerate() {
            let from = format!("{from}[{at}]");
            match entry {
                Ok(entry) => {
                    if self.entry(intake, key, entry, from).await?.is_break() {
                        break;
                    }
                }
                Err(error) => {
                    intake.found(finding(Code::EntryDamaged, from, &error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Breaks where the key is full.
    async fn entry(
        &self,
        intake: &Intake,
        key: &Key,
        entry: SignedEntry,
        from: String,
    ) -> Result<ControlFlow<()>, IntakeError> {
        let digest = *entry.digest();
        let told = |code, detail: &str| {
            intake.found(finding(code, from.clone(), &format!("{detail}: {digest}")));
        };
        let mut missing = self.missing[usize::from(digest.as_bytes()[0])].lock().await;
        match intake.0.target.lacks(key, &entry).await? {
            Lacking::Permission => {
                told(Code::Unwanted, "the entry was deleted here; it names");
                return Ok(ControlFlow::Continue(()));
            }
            Lacking::Nothing => self.blobs.note(true),
            Lacking::BannedBlob => told(Code::Unwanted, "the blob that it names is banned here"),
            Lacking::Blob => {
                let why = match missing.get(&digest) {
                    Some(why) => Some(*why),
                    None => self.blob(intake, &digest).await?,
                };
                if let Some(why) = why
                    && missing.len() < REMEMBERED
                {
                    missing.insert(digest, why);
                }
                self.blobs.note(!matches!(why, Some(Missing::There)));
                match why {
                    None => {}
                    Some(Missing::There) => {
                        told(Code::BlobMissing, "the other server lacks the blob that it names");
                    }
                    Some(Missing::Here) => {
                        told(Code::Unreadable, "left out, for want of the blob that it names");
                        return Ok(ControlFlow::Continue(()));
                    }
                }
            }
        }
        drop(missing);
        let mut taken = intake.0.target.entry(key, entry).await?;
        let mut go_on = ControlFlow::Continue(());
        if let Taken::Left { code: Code::KeyFull, detail } = &mut taken {
            detail.push_str("; what follows in the list is left out, too");
            go_on = ControlFlow::Break(());
        }
        intake.count(Kind::Entry, 0, taken, from);
        Ok(go_on)
    }

    /// Fetches a blob; says why if it is not here afterwards.
    async fn blob(&self, intake: &Intake, digest: &Digest) -> Result<Option<Missing>, IntakeError> {
        let from = self.upstream.blob_url(digest);
        let Arriving { bytes, pieces } =
            match self.upstream.blob(digest, self.blob_limit_bytes).await {
                Ok(Some(arriving)) => arriving,
                Ok(None) => return Ok(Some(Missing::There)),
                Err(error) => {
                    told(intake, error, Code::BlobDamaged, from)?;
                    return Ok(Some(Missing::Here));
                }
            };
        let received = Arc::<AtomicU64>::default();
        let (counted, steps, shown) = (Arc::clone(&received), self.steps(), intake.clone());
        let pieces = pieces.map(move |piece| {
            let piece = piece?;
            let bytes = piece.len() as u64;
            counted.fetch_add(bytes, Ordering::Relaxed);
            steps.received_bytes.fetch_add(bytes, Ordering::Relaxed);
            shown.show();
            Ok::<_, PieceError>(piece)
        });
        let taken = match intake.0.target.blob(digest, bytes, false, pieces.boxed()).await? {
            Ok(taken) => taken,
            Err(error) => {
                match error.downcast::<UpstreamError>() {
                    Ok(error) => told(intake, *error, Code::BlobDamaged, from)?,
                    Err(error) => {
                        let detail = Chain(&*error).to_string();
                        intake.found(finding(Code::Unreadable, from, &detail));
                    }
                }
                return Ok(Some(Missing::Here));
            }
        };
        let is_here = matches!(taken, Taken::New | Taken::AlreadyThere);
        intake.count(Kind::Blob(*digest), received.load(Ordering::Relaxed), taken, from);
        Ok((!is_here).then_some(Missing::Here))
    }
}

/// What cannot be had is a finding, unless nothing can.
fn told(
    intake: &Intake,
    error: UpstreamError,
    damage: Code,
    from: String,
) -> Result<(), IntakeError> {
    let code = match &error {
        UpstreamError::Config(_)
        | UpstreamError::Gone { .. }
        | UpstreamError::Failing { .. }
        | UpstreamError::Denied { .. }
        | UpstreamError::HasNothing { .. } => return Err(error.into()),
        UpstreamError::Wrong { .. } => damage,
        UpstreamError::Failed(_) | UpstreamError::TooLong { .. } => Code::Unreadable,
    };
    intake.found(finding(code, from, &Chain(&error).to_string()));
    Ok(())
}

/// Few enough for a small server on the other side; four share their syncs on this one.
const AT_ONCE: usize = 4;
/// Twice what a key may have here.
const LISTING_BYTES: usize = 32 << 20;
/// Of each of 256 parts of the missing blobs: a million in all. Of more it is asked again.
const REMEMBERED: usize = 4096;
