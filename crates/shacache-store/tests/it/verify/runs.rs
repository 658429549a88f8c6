//! How checks go on: in shares, at a rate, cut off and resumed, and by themselves in the background.

use std::fs;
use std::time::{Duration, Instant};

use shacache_core::digest::Digest;
use shacache_store::error::StoreError;
use shacache_store::verify::{Report, VerifyOptions};

use super::{WHOLE, edit, filled, remove, verify, write};
use crate::subject::{Between, Subject, some_bytes};

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_pauses_for_days_ends_when_nobody_wants_it() {
    let mut subject = filled().await;
    let slow = VerifyOptions { bytes_per_second: Some(1), ..WHOLE };
    let begun = Instant::now();
    let mut asked = 0;
    let go_on = move |_: &Report| {
        asked += 1;
        asked < 5
    };
    let report = subject.store().verify(slow.clone(), go_on).await.expect("ended early");
    assert!(report.units < 256);
    // Closing ends it, too.
    let checking = tokio::spawn({
        let store = subject.store().clone();
        async move { store.verify(slow, |_| true).await }
    });
    tokio::task::yield_now().await;
    subject.close().await;
    let checked = checking.await.expect("no panic");
    assert!(matches!(checked, Err(StoreError::Closed)), "{checked:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_cover_the_whole_and_a_run_is_resumed() {
    let mut subject = filled().await;
    let mut blobs = 0;
    for part in 1..=30 {
        let subset = format!("{part}/30").parse().expect("a share");
        blobs += verify(&subject, &VerifyOptions { subset, ..WHOLE }).await.blobs;
    }
    assert_eq!(blobs, 20);
    let half = |report: &Report| report.units < 100;
    let first = subject.store().verify(WHOLE, half).await.expect("walked");
    assert_eq!(first.units, 100);
    subject.close().await;
    subject.open();
    let rest = verify(&subject, &VerifyOptions { resume: true, ..WHOLE }).await;
    assert_eq!((rest.units, first.blobs + rest.blobs), (156, 20));
    // There is nothing left to resume: the next run begins anew.
    let next = verify(&subject, &VerifyOptions { resume: true, ..WHOLE }).await;
    assert_eq!(next.units, 256);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_wrong_lets_no_check_be_left_out() {
    let mut subject = filled().await;
    subject.close().await;
    let times: Vec<String> =
        (0..256).map(|unit| format!("\"{unit}\": \"29990101T000000.000000Z\"")).collect();
    let state = format!("{{\"run\": null, \"checked\": {{{}}}}}", times.join(", "));
    fs::write(subject.data().join("state/verify.json"), state).expect("written");
    subject.open();
    assert!(subject.store().oldest_check().is_none());
    assert_eq!(verify(&subject, &WHOLE).await.units, 256);
    assert!(subject.store().oldest_check().is_some());
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_as_no_check() {
    let mut subject = filled().await;
    let dry = VerifyOptions { dry_run: true, ..WHOLE };
    assert_eq!(verify(&subject, &dry).await.units, 256);
    assert!(subject.store().oldest_check().is_none());
    let cut_off = |report: &Report| report.units < 100;
    subject.store().verify(WHOLE, cut_off).await.expect("walked");
    // Neither does it take progress from a run that was cut off.
    assert_eq!(verify(&subject, &dry).await.units, 256);
    let rest = verify(&subject, &VerifyOptions { resume: true, ..WHOLE }).await;
    assert_eq!(rest.units, 156);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scrubbing_reaches_everything_and_finds_damage() {
    let mut subject = filled().await;
    let damaged = Digest::of(&some_bytes(7, 7000));
    edit(&subject.blob_path(&damaged), |bytes| bytes[6999] ^= 1);
    write(&subject.data().join("archive/notes"));
    write(&subject.data().join("archive/entries/notes"));
    write(&subject.data().join("unclaimed/notes"));
    remove(&subject.blob_path(&Digest::of(&some_bytes(8, 8000))));
    let (mut blobs, mut damage) = (0, 0);
    for _ in 0..256 {
        assert!(subject.store().oldest_check().is_none());
        let report = subject.store().scrub(None).await.expect("walked");
        blobs += report.blobs;
        damage += report.damage;
    }
    assert_eq!((blobs, damage), (18, 5));
    assert!(subject.store().oldest_check().is_some());
    subject.close().await;
    subject.open();
    assert!(subject.store().oldest_check().is_some(), "kept between runs");
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let mut subject = Subject::new(Between::Nothing);
    subject.upload(&some_bytes(1, 400_000)).await.expect("stored");
    let begun = Instant::now();
    let options = VerifyOptions { bytes_per_second: Some(1_000_000), ..WHOLE };
    assert_eq!(verify(&subject, &options).await.blobs, 1);
    assert!(begun.elapsed() >= Duration::from_millis(390));
    subject.close().await;
}

/// What a thread starts has the priority that it has itself, and keeps it.
#[test]
fn a_check_leaves_no_thread_of_its_low_priority_to_requests() {
    let runtime = || tokio::runtime::Runtime::new().expect("started");
    let earlier = runtime();
    let mut subject = earlier.block_on(filled());
    earlier.block_on(subject.close());
    drop(earlier);
    // Nobody but the check needs a thread that may block in this one.
    let runtime = runtime();
    runtime.block_on(async {
        subject.open();
        verify(&subject, &WHOLE).await;
    });
    let usual = nice(&fs::read_to_string("/proc/self/stat").expect("read"));
    let tasks = fs::read_dir("/proc/self/task").expect("listed");
    let low: Vec<String> = tasks
        .filter_map(|task| fs::read_to_string(task.expect("listed").path().join("stat")).ok())
        .filter(|stat| nice(stat) > usual)
        .collect();
    let is_own = |stat: &String| ["(verify)", "(aliases)"].iter().any(|it| stat.contains(it));
    assert!(low.iter().all(is_own), "{low:?}");
    runtime.block_on(subject.close());
}

/// Of a thread, from its status in one line.
fn nice(stat: &str) -> i32 {
    let after_name = stat.rsplit(')').next().expect("the rest of the line");
    after_name.split_whitespace().nth(16).expect("a number").parse().expect("a number")
}
