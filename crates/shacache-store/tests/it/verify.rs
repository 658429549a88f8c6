//! Checking the archive: what is found in a damaged tree, what is done about it, and what is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use shacache_core::digest::Digest;
use shacache_store::verify::{Code, Report, Subset, VerifyOptions};

use crate::subject::{Between, Subject, entry, key, some_bytes};

const WHOLE: VerifyOptions =
    VerifyOptions { subset: Subset::WHOLE, resume: false, dry_run: false, bytes_per_second: None };

async fn verify(subject: &Subject, options: &VerifyOptions) -> Report {
    subject.store().verify(options.clone(), |_| true).await.expect("the archive can be walked")
}

/// An archive with some blobs and entries in it, and nothing left to be done in the background:
/// whoever reads a blob there finds damage as well.
async fn filled() -> Subject {
    let subject = Subject::new(Between::Nothing);
    for seed in 0..20 {
        let bytes = some_bytes(seed, 1000 * seed as usize);
        let digest = *subject.upload(&bytes).await.expect("stored").digest();
        let key = key(&format!("Key {seed} {}", "x".repeat(20 * seed as usize)));
        let entry = entry(&digest, "note");
        subject.store().directory().append(&key, entry).await.expect("added");
    }
    subject.store().reindex().await.expect("reindexed");
    subject
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(folder).expect("listed") {
        let path = item.expect("listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap_or_default();
            found.insert(path.display().to_string(), content);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_archive_has_no_findings() {
    let mut subject = filled().await;
    let before = files(&subject.data().join("archive"));
    let report = verify(&subject, &WHOLE).await;
    assert_eq!((report.blobs, report.entries, report.units), (20, 20, 256));
    assert_eq!(report.bytes, (0..20).map(|seed| 1000 * seed).sum::<u64>());
    assert_eq!(report.findings, []);
    assert_eq!(files(&subject.data().join("archive")), before);
    assert!(subject.store().oldest_check().is_some());
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_damage_is_found_quarantined_and_found_once() {
    for (name, spoil, code) in DAMAGES {
        let mut subject = filled().await;
        let bytes = some_bytes(19, 19_000);
        let blob = subject.blob_path(&Digest::of(&bytes));
        let folder = subject.key_path(&key("Key 0 "));
        let archive = subject.data().join("archive");
        spoil(&archive, &blob, &folder);
        let before: Vec<_> = files(&archive).into_values().collect();

        let options = VerifyOptions { dry_run: true, ..WHOLE };
        let dry = verify(&subject, &options).await;
        let codes: Vec<_> = dry.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [code], "{name}");
        assert!(dry.findings[0].quarantine.is_none());
        assert_eq!(files(&archive).into_values().collect::<Vec<_>>(), before, "{name}");

        let report = verify(&subject, &WHOLE).await;
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [code], "{name}");
        assert_eq!(report.damage, u64::from(code.is_damage()), "{name}");
        // Nothing is deleted: what was in the archive is there or in quarantine.
        let mut after: Vec<_> = files(&archive).into_values().collect();
        after.extend(files(&subject.data().join("quarantine")).into_values());
        let sorted = |mut contents: Vec<Vec<u8>>| {
            contents.sort();
            contents
        };
        assert_eq!(sorted(after), sorted(before), "{name}");

        let again = verify(&subject, &WHOLE).await;
        assert_eq!(again.damage, 0, "{name}: {:?}", again.findings);
        subject.upload(&bytes).await.expect("stored");
        let healed = subject.download(&Digest::of(&bytes)).await.expect("read");
        assert_eq!(healed, Some(bytes), "{name}");
        subject.close().await;
    }
}

/// A name, what is done to the archive, a blob's file and a key's folder, and what is found then.
type Damage = (&'static str, fn(&Path, &Path, &Path), Code);

const DAMAGES: [Damage; 17] = [
    ("flipped", |_, blob, _| edit(blob, |bytes| bytes[700] ^= 1), Code::BlobDamaged),
    ("truncated", |_, blob, _| edit(blob, |bytes| bytes.truncate(10)), Code::BlobDamaged),
    ("zero length", |_, blob, _| edit(blob, Vec::clear), Code::BlobDamaged),
    ("longer", |_, blob, _| edit(blob, |bytes| bytes.push(0)), Code::BlobDamaged),
    ("unknown name", |_, blob, _| write(&blob.with_file_name("notes")), Code::Stray),
    ("wrong folder", |archive, _, _| write(&misplaced(archive)), Code::Misplaced),
    ("link beside", |_, blob, _| link(&blob.with_file_name("link")), Code::Stray),
    ("wrong mode", |_, blob, _| chmod(blob, 0), Code::WrongMode),
    ("stray fan-out", |archive, _, _| make(&archive.join("blobs/AA")), Code::Stray),
    ("stray at the top", |archive, _, _| write(&archive.join("lost+found")), Code::Stray),
    (
        "foreign key folder",
        |archive, _, _| make(&archive.join("entries/00/Upper")),
        Code::Misplaced,
    ),
    ("long key without its file", |archive, _, _| lose_key(archive), Code::Misplaced),
    (
        "entry cut short",
        |_, _, folder| edit(&only(folder), |text| text.truncate(9)),
        Code::EntryDamaged,
    ),
    ("entry of another", |_, _, folder| rename_entry(folder), Code::EntryDamaged),
    ("folder for an entry", |_, _, folder| folder_entry(folder), Code::NotAFile),
    ("stray beside entries", |_, _, folder| write(&folder.join("%key")), Code::Stray),
    ("broken tombstone", |archive, _, _| broken_tombstone(archive), Code::TombstoneDamaged),
];

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(path).expect("read");
    change(&mut content);
    fs::write(path, content).expect("written");
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, "by hand").expect("written");
}

fn make(path: &Path) {
    write(&path.join("inside"));
}

fn link(path: &Path) {
    symlink("/etc/hostname", path).expect("linked");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

/// A blob's name in a folder that it does not belong to.
fn misplaced(archive: &Path) -> std::path::PathBuf {
    archive.join("blobs/00/00").join("f".repeat(128))
}

fn only(folder: &Path) -> std::path::PathBuf {
    let mut items = fs::read_dir(folder).expect("listed");
    items.next().expect("one entry").expect("listed").path()
}

fn rename_entry(folder: &Path) {
    let path = only(folder);
    let name = format!("20200101T000000.000000Z-{}.json", "0".repeat(128));
    fs::rename(path, folder.join(name)).expect("renamed");
}

fn folder_entry(folder: &Path) {
    make(&folder.join(format!("20200101T000000.000000Z-{}.json", "1".repeat(128))));
}

fn lose_key(archive: &Path) {
    let name = key(&format!("Key 19 {}", "x".repeat(380))).file_name();
    assert!(name.is_digest());
    let path = archive.join("entries").join(name.fan_out()).join(name.name()).join("%key");
    edit(&path, |text| text.push(b'y'));
}

fn broken_tombstone(archive: &Path) {
    let name = format!("20200101T000000.000000Z-{}.json", "2".repeat(128));
    write(&archive.join("tombstones/entries/00/k").join(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_its_blob_is_noted_and_stays() {
    let mut subject = filled().await;
    let key = key("early");
    let early = entry(&Digest::of(b"to come"), "first");
    subject.store().directory().append(&key, early).await.expect("added");
    let report = verify(&subject, &WHOLE).await;
    assert_eq!((report.damage, report.notes), (0, 1));
    assert_eq!(report.findings[0].code, Code::BlobMissing);
    assert_eq!(subject.listed(&key).await.expect("entries").len(), 1);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_checksums_are_noted_and_mended() {
    let mut subject = filled().await;
    subject.close().await;
    let database = rusqlite::Connection::open(subject.data().join("index/index.sqlite"));
    let changed = database
        .expect("opened")
        .execute("UPDATE blob SET sums = zeroblob(length(sums)) WHERE size > 0", []);
    assert_eq!(changed.expect("changed"), 19);
    subject.open();
    let report = verify(&subject, &WHOLE).await;
    assert_eq!((report.damage, report.notes), (0, 19));
    assert_eq!(verify(&subject, &WHOLE).await.notes, 0);
    assert_eq!(subject.files_below("quarantine"), 0);
    subject.close().await;
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
    let (mut blobs, mut damage) = (0, 0);
    for _ in 0..256 {
        assert!(subject.store().oldest_check().is_none());
        let report = subject.store().scrub(None).await.expect("walked");
        blobs += report.blobs;
        damage += report.damage;
    }
    assert_eq!((blobs, damage), (19, 1));
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
    let begun = std::time::Instant::now();
    let options = VerifyOptions { bytes_per_second: Some(1_000_000), ..WHOLE };
    assert_eq!(verify(&subject, &options).await.blobs, 1);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(390));
    subject.close().await;
}
