//! Checking the archive: what is found in a damaged tree, what is done about it, and what is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shacache_core::digest::Digest;
use shacache_core::key::Key;
use shacache_store::verify::{Code, Report, Subset, VerifyOptions};

use crate::subject::{Between, Subject, entry, key, some_bytes};

mod runs;

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
        assert_eq!(damages(&dry), [code], "{name}");
        assert!(dry.findings[0].quarantine.is_none());
        assert_eq!(files(&archive).into_values().collect::<Vec<_>>(), before, "{name}");

        let report = verify(&subject, &WHOLE).await;
        assert_eq!(damages(&report), [code], "{name}");
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

/// Whoever held something wants it kept, whatever became of the file.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_a_hold_stays_where_it_is() {
    let mut subject = filled().await;
    let archive = subject.data().join("archive");
    let wrong = ["holds/case/0a.json", "holds/notes"];
    for path in wrong {
        write(&archive.join(path));
    }
    let before = files(&archive);
    for _ in 0..2 {
        let report = verify(&subject, &WHOLE).await;
        let mut found: Vec<_> = report.findings.iter().map(|it| (it.code, &*it.path)).collect();
        found.sort_unstable();
        let expected = wrong.map(|path| (Code::HoldDamaged, format!("archive/{path}")));
        assert_eq!(found, expected.each_ref().map(|(code, path)| (*code, &**path)));
    }
    assert_eq!(files(&archive), before);
    subject.close().await;
}

/// A name, what is done to the archive, a blob's file and a key's folder, and what is found then.
type Damage = (&'static str, fn(&Path, &Path, &Path), Code);

const DAMAGES: [Damage; 25] = [
    ("flipped", |_, blob, _| edit(blob, |bytes| bytes[700] ^= 1), Code::BlobDamaged),
    ("truncated", |_, blob, _| edit(blob, |bytes| bytes.truncate(10)), Code::BlobDamaged),
    ("zero length", |_, blob, _| edit(blob, Vec::clear), Code::BlobDamaged),
    ("longer", |_, blob, _| edit(blob, |bytes| bytes.push(0)), Code::BlobDamaged),
    ("lost", |_, blob, _| remove(blob), Code::BlobLost),
    ("folder for a blob", |_, blob, _| replace(blob, make), Code::NotAFile),
    ("link for a blob", |_, blob, _| replace(blob, link), Code::NotAFile),
    ("unknown name", |_, blob, _| write(&blob.with_file_name("notes")), Code::Stray),
    ("wrong folder", |archive, _, _| write(&misplaced(archive)), Code::Misplaced),
    ("link beside", |_, blob, _| link(&blob.with_file_name("link")), Code::Stray),
    ("wrong mode", |_, blob, _| chmod(blob, 0), Code::WrongMode),
    (
        "wrong mode of a folder",
        |_, blob, _| chmod(blob.parent().expect("a folder"), 0o200),
        Code::WrongMode,
    ),
    ("stray fan-out", |archive, _, _| make(&archive.join("blobs/AA")), Code::Stray),
    ("stray at the top", |archive, _, _| write(&archive.join("lost+found")), Code::Stray),
    ("stray beside fan-outs", |archive, _, _| write(&archive.join("entries/README")), Code::Stray),
    (
        "foreign key folder",
        |archive, _, _| make(&archive.join("entries/00/Upper")),
        Code::Misplaced,
    ),
    (
        "entry cut short",
        |_, _, folder| edit(&only(folder), |text| text.truncate(9)),
        Code::EntryDamaged,
    ),
    ("entry of another", |_, _, folder| rename_entry(folder), Code::EntryDamaged),
    ("folder for an entry", |_, _, folder| folder_entry(folder), Code::NotAFile),
    ("stray beside entries", |_, _, folder| write(&folder.join("%key")), Code::Stray),
    ("broken tombstone", |archive, _, _| broken_tombstone(archive), Code::TombstoneDamaged),
    (
        "stray among bans",
        |archive, _, _| write(&archive.join("tombstones/blobs/00/notes")),
        Code::Stray,
    ),
    (
        "ban of no blob",
        |archive, _, _| write(&archive.join("tombstones/blobs/00/00/x.json")),
        Code::Stray,
    ),
    (
        "tombstones of no key",
        |archive, _, _| make(&archive.join("tombstones/entries/00/Upper")),
        Code::Stray,
    ),
    (
        "tombstone of no entry",
        |archive, _, _| write(&tombstones(archive).join("notes.json")),
        Code::Stray,
    ),
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
fn misplaced(archive: &Path) -> PathBuf {
    archive.join("blobs/00/00").join("f".repeat(128))
}

fn only(folder: &Path) -> PathBuf {
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

fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}

fn replace(path: &Path, make: fn(&Path)) {
    remove(path);
    make(path);
}

/// The folder of the tombstones of the key `k`.
fn tombstones(archive: &Path) -> PathBuf {
    archive.join("tombstones/entries").join(key("k").file_name().fan_out()).join("k")
}

fn broken_tombstone(archive: &Path) {
    let name = format!("20200101T000000.000000Z-{}.json", "2".repeat(128));
    write(&tombstones(archive).join(name));
}

/// What was found to be damage. Entries that name a blob which is gone are noted beside it.
fn damages(report: &Report) -> Vec<Code> {
    codes(report).into_iter().filter(|code| code.is_damage()).collect()
}

fn codes(report: &Report) -> Vec<Code> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_on_purpose_is_not_lost() {
    let mut subject = filled().await;
    let (banned, damaged) = (some_bytes(3, 3000), some_bytes(4, 4000));
    subject.ban(&Digest::of(&banned)).await;
    assert!(!subject.blob_path(&Digest::of(&banned)).exists());
    edit(&subject.blob_path(&Digest::of(&damaged)), |bytes| bytes[9] ^= 1);
    assert_eq!(codes(&verify(&subject, &WHOLE).await)[..1], [Code::BlobDamaged]);
    let report = verify(&subject, &WHOLE).await;
    // An entry names the damaged one, which is gone; another the banned one, which has to be.
    assert_eq!(codes(&report), [Code::BlobMissing]);
    assert_eq!(report.damage, 0);
    subject.close().await;
}

/// The index of an unclean stop is brought in step; what it alone knows is told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_a_crash_took_is_told_by_the_next_check() {
    let mut subject = filled().await;
    let digest = Digest::of(&some_bytes(5, 5000));
    subject.crash().await;
    remove(&subject.blob_path(&digest));
    subject.open();
    wait_until_indexed(&subject).await;
    let report = verify(&subject, &WHOLE).await;
    let lost = report.findings.iter().find(|finding| finding.code == Code::BlobLost);
    assert!(lost.expect("a finding").path.ends_with(&digest.to_string()));
    assert_eq!(subject.store().counters().lost_blobs, 1);
    assert_eq!(verify(&subject, &WHOLE).await.damage, 0, "told once");
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_index_tells_what_the_old_one_knew() {
    let mut subject = filled().await;
    remove(&subject.blob_path(&Digest::of(&some_bytes(5, 5000))));
    assert_eq!(subject.store().reindex().await.expect("reindexed").lost, 1);
    assert_eq!(subject.store().reindex().await.expect("reindexed").lost, 0);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_moved_away_and_back_loses_nothing() {
    let mut subject = filled().await;
    let bytes = some_bytes(6, 6000);
    let digest = Digest::of(&bytes);
    let path = subject.blob_path(&digest);
    let fan_out = path.ancestors().nth(2).expect("a folder");
    let aside = subject.data().join("aside");
    fs::rename(fan_out, &aside).expect("moved");
    assert!(subject.download(&digest).await.expect("read").is_none());
    // What comes meanwhile lands in a new folder, durable up to the top.
    subject.upload(&bytes).await.expect("stored");
    assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes.clone()));
    fs::rename(fan_out, subject.data().join("newer")).expect("moved");
    let report = verify(&subject, &WHOLE).await;
    assert!(report.findings.iter().any(|finding| finding.code == Code::BlobLost));
    fs::rename(&aside, fan_out).expect("moved back");
    assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes));
    assert_eq!(verify(&subject, &WHOLE).await.findings, []);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_folders_place_is_taken_away_and_nothing_behind_it_read() {
    let mut subject = filled().await;
    let path = subject.blob_path(&Digest::of(&some_bytes(6, 6000)));
    let fan_out = path.ancestors().nth(2).expect("a folder");
    let aside = subject.data().join("aside");
    fs::rename(fan_out, &aside).expect("moved");
    symlink(&aside, fan_out).expect("linked");
    let found = codes(&verify(&subject, &VerifyOptions { dry_run: true, ..WHOLE }).await);
    assert_eq!(found.first(), Some(&Code::Stray), "{found:?}");
    assert!(!found.contains(&Code::Unreadable), "{found:?}");
    verify(&subject, &WHOLE).await;
    assert!(!fan_out.is_symlink());
    fs::rename(&aside, fan_out).expect("moved back");
    assert_eq!(verify(&subject, &WHOLE).await.findings, []);
    subject.close().await;
}

/// Whether a blob is banned cannot be told then, and the check goes on all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_among_the_bans_is_taken_away_and_ends_no_check() {
    let mut subject = filled().await;
    let digest = Digest::of(b"elsewhere");
    let entry = entry(&digest, "its blob is not there");
    subject.store().directory().append(&key("k"), entry).await.expect("added");
    let hex = digest.to_string();
    let bans = subject.data().join("archive/tombstones/blobs").join(&hex[..2]);
    fs::create_dir_all(&bans).expect("made");
    symlink("/nonexistent", bans.join(&hex[2..4])).expect("linked");
    let dry = verify(&subject, &VerifyOptions { dry_run: true, ..WHOLE }).await;
    assert_eq!((damages(&dry), dry.units), (vec![Code::Stray], 256));
    assert_eq!(damages(&verify(&subject, &WHOLE).await), [Code::Stray]);
    assert_eq!(codes(&verify(&subject, &WHOLE).await), [Code::BlobMissing]);
    subject.close().await;
}

/// The key of the entries in a folder whose name does not spell it.
fn long_key() -> Key {
    let key = key(&format!("Key 19 {}", "x".repeat(380)));
    assert!(key.file_name().is_digest());
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_long_key_is_made_anew() {
    let ways: [fn(&Path); 4] = [
        remove,
        |file| edit(file, |text| text.push(b'y')),
        |file| edit(file, Vec::clear),
        |file| replace(file, make),
    ];
    let key = long_key();
    for spoil in ways {
        for by in ["a check", "a walk", "the same entry"] {
            let mut subject = filled().await;
            let file = subject.key_path(&key).join("%key");
            spoil(&file);
            assert_eq!(subject.listed(&key).await.expect("listed all the same").len(), 1);
            match by {
                "a check" => {
                    let report = verify(&subject, &WHOLE).await;
                    assert_eq!(codes(&report), [Code::KeyDamaged]);
                    assert_eq!(verify(&subject, &WHOLE).await.findings, []);
                }
                "a walk" => {
                    let found = subject.store().reindex().await.expect("reindexed");
                    assert_eq!(found.entries, 20);
                }
                _ => {
                    let digest = Digest::of(&some_bytes(19, 19_000));
                    let same = entry(&digest, "note");
                    let appended = subject.store().directory().append(&key, same).await;
                    assert!(!appended.expect("there").was_new);
                }
            }
            assert_eq!(fs::read_to_string(&file).expect("a file"), key.as_str(), "{by}");
            subject.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_long_key_that_nobody_knows_stay_and_are_told_of() {
    let mut subject = filled().await;
    let key = long_key();
    let file = subject.key_path(&key).join("%key");
    subject.close().await;
    subject.remove_index();
    remove(&file);
    subject.open();
    for _ in 0..2 {
        let report = verify(&subject, &WHOLE).await;
        assert_eq!((codes(&report), report.damage), (vec![Code::KeyDamaged], 1));
        assert_eq!(report.entries, 20);
    }
    assert_eq!(subject.listed(&key).await.expect("entries").len(), 1);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_made_anew() {
    for spoil in [remove as fn(&Path), |file| edit(file, Vec::clear), |file| replace(file, make)] {
        let mut subject = filled().await;
        let file = subject.data().join("archive/VERSION");
        spoil(&file);
        let dry = verify(&subject, &VerifyOptions { dry_run: true, ..WHOLE }).await;
        assert_eq!(codes(&dry), [Code::VersionWrong]);
        assert_eq!(codes(&verify(&subject, &WHOLE).await), [Code::VersionWrong]);
        assert_eq!(verify(&subject, &WHOLE).await.findings, []);
        assert_eq!(fs::read_to_string(&file).expect("a file"), "1\n");
        subject.close().await;
        subject.open();
        subject.close().await;
    }
}

/// SQLite itself does not notice a row that was changed, as long as it can be read.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_contradicts_itself_is_made_anew() {
    let mut subject = filled().await;
    let digest = Digest::of(&some_bytes(8, 8000));
    subject.close().await;
    edit(&subject.data().join("index/index.sqlite"), |file| {
        let found = file.windows(64).position(|bytes| bytes == digest.as_bytes());
        file[found.expect("listed") + 63] ^= 1;
    });
    subject.open();
    assert!(subject.store().is_indexed(), "nothing shows yet");
    let report = verify(&subject, &WHOLE).await;
    assert_eq!((codes(&report), report.damage), (vec![Code::IndexWrong], 0));
    wait_until_indexed(&subject).await;
    assert_eq!(verify(&subject, &WHOLE).await.findings, []);
    assert_eq!(subject.store().totals().await.expect("read").blobs, 20);
    subject.close().await;
}

async fn wait_until_indexed(subject: &Subject) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !subject.store().is_indexed() {
        assert!(Instant::now() < deadline, "not indexed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
