//! What holds of deleting, collecting and holding, whatever happens to the index meanwhile.

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;
use shacache_store::administration::{Collecting, Held, HoldName, Removals, Target};
use shacache_store::error::StoreError;

use crate::subject::{Subject, entry, key, operator, some_bytes};

fn unused_for(unused_days: u64) -> Collecting {
    Collecting::Garbage { unused_days, most_entries: false }
}

const EVERYTHING_UNUSED: Collecting = Collecting::Garbage { unused_days: 0, most_entries: false };

async fn collect(subject: &Subject, options: Collecting) -> Removals {
    let collected = subject.store().administration().collect(&operator(), options, false).await;
    collected.expect("collected")
}

async fn put(subject: &Subject, key: &Key, entry: SignedEntry) {
    subject.store().directory().append(key, entry).await.expect("added");
}

async fn is_served(subject: &Subject, digest: &Digest) -> bool {
    subject.download(digest).await.expect("read").is_some()
}

fn name(text: &str) -> HoldName {
    text.parse().expect("a name")
}

fn expired(digest: &Digest, date: &str) -> SignedEntry {
    let metadata = format!("{{\"sha512\": \"{digest}\", \"expiration_date\": \"{date}\"}}");
    SignedEntry::from_texts(&metadata, "").expect("an entry")
}

pub(crate) async fn what_no_entry_names_is_collected_and_comes_back(subject: &mut Subject) {
    let (needed, orphan) = (some_bytes(1, 100), some_bytes(2, 300_000));
    for bytes in [&needed, &orphan] {
        subject.upload(bytes).await.expect("stored");
    }
    let [needed, orphan] = [&needed, &orphan].map(|bytes| Digest::of(bytes));
    put(subject, &key("k"), entry(&needed, "needed")).await;
    subject.step().await;
    let kept = collect(subject, unused_for(30)).await;
    assert_eq!((kept.blobs, kept.entries), (0, 0), "it was uploaded just now");
    subject.step().await;
    let collected = collect(subject, EVERYTHING_UNUSED).await;
    assert_eq!((collected.blobs, collected.entries, collected.bytes), (1, 0, 300_000));
    assert_eq!(collected.listed[0].digest, Some(orphan.to_string()));
    subject.step().await;
    assert!(is_served(subject, &needed).await && !is_served(subject, &orphan).await);
    let quarantine = subject.data().join("quarantine/collected");
    let archive = subject.data().join("archive");
    let moved = subject.blob_path(&orphan);
    assert!(quarantine.join(moved.strip_prefix(archive).expect("below")).exists());
    subject.step().await;
    put(subject, &key("k"), entry(&orphan, "needed after all")).await;
    assert!(is_served(subject, &orphan).await, "it is back before the entry is acknowledged");
    subject.step().await;
    assert_eq!(subject.download(&orphan).await.expect("read"), Some(some_bytes(2, 300_000)));
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 0);
}

pub(crate) async fn a_removed_entry_needs_its_blob_no_more(subject: &mut Subject) {
    let digest = *subject.upload(&some_bytes(3, 10)).await.expect("stored").digest();
    let (key, entry) = (key("k"), entry(&digest, "one"));
    let id = *entry.id();
    put(subject, &key, entry).await;
    subject.step().await;
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 0);
    assert!(subject.delete(&key, &id).await);
    subject.step().await;
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 1);
    subject.step().await;
    assert!(!is_served(subject, &digest).await);
}

pub(crate) async fn an_entry_whose_blob_is_missing_is_collected(subject: &mut Subject) {
    let there = *subject.upload(&some_bytes(4, 10)).await.expect("stored").digest();
    let never = Digest::of(b"never sent");
    put(subject, &key("k"), entry(&there, "there")).await;
    put(subject, &key("k"), entry(&never, "never")).await;
    subject.step().await;
    let kept = collect(subject, unused_for(1)).await;
    assert_eq!(kept.entries, 0, "its blob may still come");
    let collected = collect(subject, EVERYTHING_UNUSED).await;
    assert_eq!((collected.blobs, collected.entries), (0, 1));
    assert_eq!(collected.listed[0].key.as_deref(), Some("k"));
    subject.step().await;
    assert_eq!(subject.listed(&key("k")).await.expect("one is left").len(), 1);
}

/// As in a server that keeps only a directory, or whose blobs are not mounted.
pub(crate) async fn when_most_blobs_are_missing_nothing_is_collected(subject: &mut Subject) {
    let (there, alone) = (some_bytes(4, 10), some_bytes(5, 10));
    let there = *subject.upload(&there).await.expect("stored").digest();
    let alone = *subject.upload(&alone).await.expect("stored").digest();
    put(subject, &key("there"), entry(&there, "there")).await;
    for name in ["one", "two"] {
        put(subject, &key(name), entry(&Digest::of(name.as_bytes()), name)).await;
    }
    subject.step().await;
    let administration = subject.store().administration().clone();
    for dry_run in [true, false] {
        let refused = administration.collect(&operator(), EVERYTHING_UNUSED, dry_run).await;
        let Err(StoreError::MostBlobsMissing { missing: 2, entries: 3 }) = refused else {
            panic!("{refused:?}");
        };
    }
    assert!(is_served(subject, &alone).await);
    assert_eq!(collect(subject, unused_for(1)).await.entries, 0, "none is old enough");
    let most = Collecting::Garbage { unused_days: 0, most_entries: true };
    let collected = collect(subject, most).await;
    assert_eq!((collected.blobs, collected.entries), (1, 2));
    subject.step().await;
    assert!(subject.listed(&key("there")).await.is_some());
    assert!(subject.listed(&key("one")).await.is_none());
}

pub(crate) async fn entries_expire_when_somebody_says_so(subject: &mut Subject) {
    let digest = *subject.upload(&some_bytes(5, 10)).await.expect("stored").digest();
    for (at, date) in ["2001-01-01", "2999-01-01", "some day", "2002/01/01 12:00:00 GMT+1"]
        .into_iter()
        .enumerate()
    {
        put(subject, &key(&format!("k{at}")), expired(&digest, date)).await;
    }
    subject.step().await;
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.entries, 0, "nothing expires by itself");
    let collected = collect(subject, Collecting::Expired).await;
    assert_eq!((collected.entries, collected.undated), (2, 1));
    subject.step().await;
    for (at, is_left) in [false, true, true, false].into_iter().enumerate() {
        let listed = subject.listed(&key(&format!("k{at}"))).await;
        assert_eq!(listed.is_some(), is_left, "k{at}");
    }
}

pub(crate) async fn a_held_blob_outlives_every_deletion(subject: &mut Subject) {
    let digest = *subject.upload(&some_bytes(6, 10)).await.expect("stored").digest();
    let (name, held) = (name("case-7"), vec![Held::Blob(digest)]);
    let by_key = *subject.upload(&some_bytes(7, 10)).await.expect("stored").digest();
    put(subject, &key("held"), expired(&by_key, "2001-01-01")).await;
    put(subject, &key("k"), expired(&digest, "2001-01-01")).await;
    let administration = subject.store().administration().clone();
    let both = [held.clone(), vec![Held::Key(key("held"))]].concat();
    assert_eq!(administration.hold(&operator(), &name, both.clone()).await.expect("held"), 2);
    assert_eq!(administration.hold(&operator(), &name, both).await.expect("held"), 0);
    drop(administration);
    subject.step().await;
    let administration = subject.store().administration().clone();
    assert_eq!(collect(subject, Collecting::Expired).await.held, 2);
    for target in [
        Target::Key(key("held")),
        Target::Key(key("k")),
        Target::Entry { key: key("k"), id: *expired(&digest, "2001-01-01").id() },
    ] {
        let refused = administration.delete(&operator(), target, false).await;
        assert!(matches!(refused, Err(StoreError::Held { .. })), "{refused:?}");
    }
    for digest in [digest, by_key] {
        let refused = administration.ban(&operator(), &digest, false).await;
        assert!(matches!(refused, Err(StoreError::Held { .. })), "{refused:?}");
    }
    drop(administration);
    subject.step().await;
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 0);
    assert!(is_served(subject, &digest).await && is_served(subject, &by_key).await);
    assert!(subject.listed(&key("held")).await.is_some());
    // The hold is all that kept it.
    let administration = subject.store().administration().clone();
    assert_eq!(administration.release(&operator(), &name, None).await.expect("released"), 2);
    assert_eq!(administration.holds().await.expect("read"), []);
    drop(administration);
    subject.step().await;
    assert_eq!(collect(subject, Collecting::Expired).await.entries, 2);
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 2);
    assert!(!is_served(subject, &digest).await);
}

pub(crate) async fn a_held_orphan_is_not_collected(subject: &mut Subject) {
    let digest = *subject.upload(&some_bytes(8, 10)).await.expect("stored").digest();
    let held = vec![Held::Blob(digest)];
    let administration = subject.store().administration().clone();
    administration.hold(&operator(), &name("h"), held.clone()).await.expect("held");
    drop(administration);
    subject.step().await;
    let collected = collect(subject, EVERYTHING_UNUSED).await;
    assert_eq!((collected.blobs, collected.held), (0, 1));
    let administration = subject.store().administration().clone();
    assert_eq!(administration.release(&operator(), &name("g"), None).await.expect("asked"), 0);
    let other = Some(vec![Held::Blob(Digest::of(b"other"))]);
    assert_eq!(administration.release(&operator(), &name("h"), other).await.expect("asked"), 0);
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 0);
    assert_eq!(administration.release(&operator(), &name("h"), Some(held)).await.expect("let"), 1);
    drop(administration);
    subject.step().await;
    assert_eq!(collect(subject, EVERYTHING_UNUSED).await.blobs, 1);
}

pub(crate) async fn the_end_of_a_ban_brings_the_bytes_back(subject: &mut Subject) {
    let bytes = some_bytes(9, 1000);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    put(subject, &key("k"), entry(&digest, "named")).await;
    subject.step().await;
    subject.ban(&digest).await;
    assert!(!subject.blob_path(&digest).exists(), "its bytes are in quarantine");
    subject.step().await;
    put(subject, &key("k"), entry(&digest, "named again")).await;
    assert!(!is_served(subject, &digest).await, "no entry brings back what is banned");
    let collected = collect(subject, EVERYTHING_UNUSED).await;
    assert_eq!(collected.entries, 0, "what is banned is not missing");
    let administration = subject.store().administration().clone();
    assert!(administration.unban(&operator(), &digest).await.expect("ended"));
    assert!(!administration.unban(&operator(), &digest).await.expect("asked"));
    drop(administration);
    subject.step().await;
    assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes.clone()));
    assert!(!subject.upload(&bytes).await.expect("taken again").was_new());
}
