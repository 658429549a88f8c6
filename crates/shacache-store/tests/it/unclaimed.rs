//! Blobs without credentials: who sees them, how long they stay, and how they get into the archive.

use std::fs::{self, File};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use shacache_core::digest::Digest;
use shacache_store::error::StoreError;
use shacache_store::verify::{Code, Subset, VerifyOptions};
use shacache_store::{UnclaimedLimits, UnclaimedTotals};

use crate::subject::{Between, Subject, entry, key, some_bytes};

/// What the smallest blob counts.
const LEAST: u64 = 64 << 10;
const HOUR: Duration = Duration::from_secs(3600);

fn holder(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

fn limited(blobs: u64) -> Subject {
    let limits = UnclaimedLimits { keep: HOUR, bytes: blobs * LEAST };
    Subject::with_limits(Between::Nothing, limits)
}

/// Lets a file be as old as that.
fn age(subject: &Subject, digest: &Digest, age: Duration) {
    let file = File::options().write(true).open(subject.unclaimed_path(digest)).expect("there");
    file.set_modified(SystemTime::now() - age).expect("set");
}

/// Makes the store forget who left what, and count by the times of the files.
async fn reopen(subject: &mut Subject) {
    subject.close().await;
    subject.open();
}

async fn is_served(subject: &Subject, digest: &Digest) -> bool {
    subject.download(digest).await.expect("read").is_some()
}

async fn put(subject: &Subject, digest: &Digest) -> Result<(), StoreError> {
    let appended = subject.store().directory().append(&key("k"), entry(digest, "note")).await;
    appended.map(drop)
}

/// Waits until no more than this is left: a file goes before its line in the account.
async fn left(subject: &Subject, left: UnclaimedTotals) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while subject.store().unclaimed() != left {
        assert!(Instant::now() < deadline, "it stays: {:?}", subject.store().unclaimed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_blob_goes_when_its_time_is_over_and_not_before() {
    let mut subject = Subject::new(Between::Nothing);
    let [old, ending, new] = [1, 2, 3].map(|seed| some_bytes(seed, 1000));
    let mut digests = Vec::new();
    for bytes in [&old, &ending, &new] {
        let stored = subject.upload_unclaimed(bytes, holder(1)).await.expect("stored");
        assert_eq!(stored.unclaimed_for(), Some(HOUR));
        digests.push(*stored.digest());
    }
    age(&subject, &digests[0], HOUR + Duration::from_secs(1));
    age(&subject, &digests[1], HOUR - Duration::from_secs(1));
    reopen(&mut subject).await;
    left(&subject, UnclaimedTotals { blobs: 1, bytes: LEAST }).await;
    let is_there = digests.iter().map(|digest| subject.unclaimed_path(digest).exists());
    assert_eq!(is_there.collect::<Vec<_>>(), [false, false, true]);
    subject.close().await;
}

#[tokio::test]
async fn the_same_bytes_again_begin_the_time_anew() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 200_000);
    let digest = *subject.upload_unclaimed(&bytes, None).await.expect("stored").digest();
    age(&subject, &digest, HOUR - Duration::from_secs(30));
    reopen(&mut subject).await;
    let again = subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored");
    assert!(!again.was_new());
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals { blobs: 1, bytes: 200_000 });
    reopen(&mut subject).await;
    let written = fs::metadata(subject.unclaimed_path(&digest)).expect("there").modified();
    assert!(written.expect("a time").elapsed().expect("past") < Duration::from_secs(30));
    put(&subject, &digest).await.expect("accepted");
    assert!(is_served(&subject, &digest).await);
    subject.close().await;
}

#[tokio::test]
async fn at_the_bound_the_oldest_goes_unless_it_is_young() {
    let mut subject = limited(4);
    let mut digests = Vec::new();
    for seed in 0..4 {
        let stored = subject.upload_unclaimed(&some_bytes(seed, 10), None).await.expect("stored");
        digests.push(*stored.digest());
    }
    let refused = subject.upload_unclaimed(b"one more", None).await;
    let Err(StoreError::Busy { retry_after }) = refused else { panic!("{refused:?}") };
    assert!((1..=60).contains(&retry_after.as_secs()), "{retry_after:?}");
    age(&subject, &digests[2], Duration::from_secs(61));
    age(&subject, &digests[3], Duration::from_secs(59));
    reopen(&mut subject).await;
    let stored = subject.upload_unclaimed(b"one more", None).await.expect("the oldest went");
    assert!(!subject.unclaimed_path(&digests[2]).exists());
    assert!(subject.unclaimed_path(&digests[3]).exists());
    assert!(subject.upload_unclaimed(b"and another", None).await.is_err());
    put(&subject, stored.digest()).await.expect("accepted");
    subject.upload_unclaimed(b"and another", None).await.expect("what is claimed counts no more");
    subject.close().await;
}

#[tokio::test]
async fn one_address_holds_a_quarter_at_most() {
    let mut subject = limited(8);
    for seed in 0..2 {
        subject.upload_unclaimed(&some_bytes(seed, 10), holder(1)).await.expect("stored");
    }
    let refused = subject.upload_unclaimed(b"a third", holder(1)).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    subject.upload_unclaimed(b"a third", holder(2)).await.expect("another address");
    // What one of them takes over from the other counts for it alone.
    subject.upload_unclaimed(&some_bytes(0, 10), holder(2)).await.expect("taken over");
    subject.upload_unclaimed(b"a fourth", holder(1)).await.expect("has room again");
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals { blobs: 4, bytes: 4 * LEAST });
    subject.close().await;
}

#[tokio::test]
async fn after_a_restart_the_quarter_begins_anew_and_the_whole_does_not() {
    let mut subject = limited(8);
    for seed in 0..2 {
        subject.upload_unclaimed(&some_bytes(seed, 10), holder(1)).await.expect("stored");
    }
    assert!(subject.upload_unclaimed(b"a third", holder(1)).await.is_err(), "its quarter is full");
    for last in 1..=3_u64 {
        reopen(&mut subject).await;
        for seed in 0..2 {
            let bytes = some_bytes(10 * last + seed, 10);
            subject.upload_unclaimed(&bytes, holder(1)).await.expect("another quarter");
        }
    }
    reopen(&mut subject).await;
    let refused = subject.upload_unclaimed(b"a ninth", holder(1)).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals { blobs: 8, bytes: 8 * LEAST });
    subject.close().await;
}

#[tokio::test]
async fn uploads_on_their_way_count_and_leave_no_trace() {
    let mut subject = limited(8);
    let blobs = subject.store().blobs().clone();
    let mut first = blobs.incoming_unclaimed(None, holder(1)).await.expect("begun");
    first.write(vec![1; LEAST as usize + 1].into()).await.expect("within a quarter");
    let refused = blobs.incoming_unclaimed(Some(1), holder(1)).await.map(drop);
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    let announced = blobs.incoming_unclaimed(Some(2 * LEAST + 1), holder(2)).await.map(drop);
    let too_large = |refused: &Result<(), StoreError>| matches!(refused, Err(StoreError::UnclaimedTooLarge { limit_bytes }) if *limit_bytes == 2 * LEAST);
    assert!(too_large(&announced), "{announced:?}");
    let grown = first.write(vec![1; LEAST as usize].into()).await;
    assert!(too_large(&grown), "{grown:?}");
    drop(first);
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
    subject.upload_unclaimed(b"one", holder(1)).await.expect("all of its quarter is free");
    subject.close().await;
    assert_eq!(subject.files_below("tmp"), 0);
}

#[tokio::test]
async fn what_is_only_announced_takes_no_space_from_others() {
    let limits = UnclaimedLimits { keep: HOUR, bytes: u64::MAX / 2 };
    let mut subject = Subject::with_limits(Between::Nothing, limits);
    let disk = rustix::fs::statvfs(subject.data()).expect("a disk");
    let free = disk.f_bavail * disk.f_frsize;
    let blobs = subject.store().blobs().clone();
    let mut announced = Vec::new();
    for last in 0..3 {
        let begun = blobs.incoming_unclaimed(Some(free / 2), holder(last)).await;
        announced.push(begun.expect("it fits if it comes"));
    }
    blobs.incoming(Some(free / 2)).map(drop).expect("there is space for who may");
    let too_large = blobs.incoming_unclaimed(Some(2 * free), holder(9)).await.map(drop);
    assert!(matches!(too_large, Err(StoreError::NoSpace)), "{too_large:?}");
    drop(announced);
    subject.close().await;
}

#[tokio::test]
async fn with_credentials_the_same_bytes_are_served_and_lie_there_once() {
    let mut subject = Subject::new(Between::Nothing);
    for length in [10, 300_000] {
        let bytes = some_bytes(1, length);
        let digest = *subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored").digest();
        assert!(!is_served(&subject, &digest).await);
        let stored = subject.upload(&bytes).await.expect("stored");
        assert_eq!(stored.unclaimed_for(), None);
        assert!(is_served(&subject, &digest).await);
        assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
        assert_eq!(subject.files_below("unclaimed"), 0);
    }
    subject.close().await;
}

#[tokio::test]
async fn bytes_that_the_archive_has_stay_there_whoever_sends_them() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 1000);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    let again = subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored");
    assert_eq!((again.was_new(), again.unclaimed_for()), (false, None));
    assert!(is_served(&subject, &digest).await);
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
    subject.close().await;
}

#[tokio::test]
async fn an_entry_that_is_put_again_claims_too() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 1000);
    let digest = Digest::of(&bytes);
    put(&subject, &digest).await.expect("accepted");
    subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored");
    assert!(!is_served(&subject, &digest).await);
    put(&subject, &digest).await.expect("accepted");
    assert!(is_served(&subject, &digest).await);
    subject.close().await;
}

#[tokio::test]
async fn a_new_index_does_not_know_what_is_unclaimed() {
    let mut subject = Subject::new(Between::Nothing);
    let stored = subject.upload_unclaimed(&some_bytes(1, 1000), None).await.expect("stored");
    let found = subject.store().reindex().await.expect("reindexed");
    assert_eq!((found.blobs, found.damaged), (0, 0));
    assert_eq!(subject.store().totals().await.expect("read").blobs, 0);
    assert!(!is_served(&subject, stored.digest()).await);
    put(&subject, stored.digest()).await.expect("accepted");
    let found = subject.store().reindex().await.expect("reindexed");
    assert_eq!((found.blobs, found.entries), (1, 1));
    subject.close().await;
}

#[tokio::test]
async fn what_cannot_be_claimed_fails_the_entry_and_stays() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 1000);
    let digest = *subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored").digest();
    // No folder can be made where a file is.
    let in_the_way = subject.data().join("archive/blobs").join(&digest.to_string()[..2]);
    fs::write(&in_the_way, "").expect("written");
    let refused = put(&subject, &digest).await;
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    assert!(subject.listed(&key("k")).await.is_none(), "no entry names a blob that is not there");
    assert!(subject.unclaimed_path(&digest).exists());
    fs::remove_file(&in_the_way).expect("removed");
    put(&subject, &digest).await.expect("accepted");
    assert!(is_served(&subject, &digest).await);
    subject.close().await;
}

#[tokio::test]
async fn a_ban_wins_over_a_claim() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 1000);
    let digest = *subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored").digest();
    subject.ban(&digest).await;
    put(&subject, &digest).await.expect("entries may name what is banned");
    assert!(!is_served(&subject, &digest).await);
    assert!(!subject.blob_path(&digest).exists());
    assert_eq!(subject.files_below("unclaimed"), 0);
    let refused = subject.upload_unclaimed(&bytes, holder(1)).await;
    assert!(matches!(refused, Err(StoreError::Banned(_))), "{refused:?}");
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
    subject.close().await;
}

#[tokio::test]
async fn what_lies_there_after_a_restart_is_hashed_before_it_is_claimed() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 1000);
    let digest = *subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored").digest();
    subject.close().await;
    fs::write(subject.unclaimed_path(&digest), "something else").expect("written");
    subject.open();
    put(&subject, &digest).await.expect("accepted");
    assert!(!is_served(&subject, &digest).await);
    assert!(!subject.blob_path(&digest).exists());
    assert_eq!(subject.files_below("quarantine"), 1);
    subject.upload_unclaimed(&bytes, holder(1)).await.expect("stored");
    put(&subject, &digest).await.expect("accepted");
    assert!(is_served(&subject, &digest).await);
    subject.close().await;
}

#[tokio::test]
async fn a_check_tells_what_does_not_belong_there() {
    let mut subject = Subject::new(Between::Nothing);
    let stored = subject.upload_unclaimed(&some_bytes(1, 1000), None).await.expect("stored");
    fs::write(subject.data().join("unclaimed/stray"), "").expect("written");
    let options = VerifyOptions {
        subset: Subset::WHOLE,
        resume: false,
        dry_run: false,
        bytes_per_second: None,
    };
    let report = subject.store().verify(options.clone(), |_| true).await.expect("checked");
    let found: Vec<_> = report.findings.iter().map(|it| (it.code, it.path.as_str())).collect();
    assert_eq!(found, [(Code::Stray, "unclaimed/stray")]);
    assert!(subject.unclaimed_path(stored.digest()).exists());
    assert_eq!(subject.store().verify(options, |_| true).await.expect("checked").findings, []);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_uploads_and_removals_at_once_lose_nothing() {
    let mut subject = limited(64);
    let blobs: Arc<Vec<_>> = Arc::new((0..4).map(|seed| some_bytes(seed, 900)).collect());
    let mut tasks = Vec::new();
    for task in 0..8_usize {
        let (store, blobs) = (subject.store().clone(), Arc::clone(&blobs));
        tasks.push(tokio::spawn(async move {
            for round in 0..12 {
                let bytes = &blobs[(task + round) % 4];
                let digest = Digest::of(bytes);
                let mut incoming = match task % 4 {
                    0 => store.blobs().incoming(None).expect("begun"),
                    _ => store.blobs().incoming_unclaimed(None, None).await.expect("begun"),
                };
                incoming.write(bytes.clone().into()).await.expect("written");
                incoming.commit(None).await.expect("stored");
                let entry = entry(&digest, &format!("{task} {round}"));
                store.directory().append(&key("k"), entry).await.expect("added");
                let served = store.blobs().get(&digest).await.expect("read");
                assert!(served.is_some(), "an accepted entry names it");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    for bytes in blobs.iter() {
        let served = subject.download(&Digest::of(bytes)).await.expect("read");
        assert_eq!(served.as_ref(), Some(bytes));
    }
    assert_eq!(subject.listed(&key("k")).await.expect("listed").len(), 96);
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
    assert_eq!(subject.files_below("unclaimed"), 0);
    subject.close().await;
}
