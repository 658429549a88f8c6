//! Opening, closing, locking, and what an unclean stop leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use shacache_core::digest::Digest;
use shacache_store::administration::{Query, Target};
use shacache_store::error::{Chain, StoreError};
use shacache_store::verify::{Subset, VerifyOptions};
use shacache_store::{Health, Reindexed, Store, StoreOptions};

use crate::subject::{Between, Subject, entry, key, operator, some_bytes};

#[tokio::test]
async fn a_second_process_is_refused() {
    let mut subject = Subject::new(Between::Nothing);
    let refused = subject.try_open();
    assert!(matches!(refused, Err(StoreError::Locked(_))), "{refused:?}");
    subject.close().await;
    subject.open();
    subject.close().await;
}

#[tokio::test]
async fn another_format_is_refused_in_one_line() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    fs::write(subject.data().join("archive/VERSION"), "2\n").expect("written");
    let refused = subject.try_open().expect_err("format 2 is not known").to_string();
    assert!(refused.ends_with("archive/VERSION: archive format \"2\", this version reads 1"));
    assert!(!refused.contains('\n'));
}

#[tokio::test]
async fn an_archive_that_lost_its_version_is_refused() {
    let mut subject = Subject::new(Between::Nothing);
    subject.upload(b"some bytes").await.expect("stored");
    subject.close().await;
    fs::remove_file(subject.data().join("archive/VERSION")).expect("removed");
    let refused = subject.try_open();
    assert!(matches!(refused, Err(StoreError::Format { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_no_long_read() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = Digest::of(b"nobody reads all of it");
    let path = subject.blob_path(&digest);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    // Sparse: reading it takes minutes and no space. Moved in, because the walk after a start would
    // condemn one that is still empty.
    let aside = subject.data().join("sparse");
    let file = fs::File::create(&aside).expect("made");
    file.set_len(1 << 40).expect("sparse");
    fs::rename(&aside, &path).expect("moved in");
    let blob = subject.store().blobs().get(&digest).await.expect("read").expect("there");
    let reading = tokio::spawn(async move { blob.read(1..2).await.map(drop) });
    let checking = {
        let store = subject.store().clone();
        let options = VerifyOptions {
            subset: Subset::WHOLE,
            resume: false,
            dry_run: false,
            bytes_per_second: None,
        };
        tokio::spawn(async move { store.verify(options, |_| true).await })
    };
    let begun = Instant::now();
    subject.close().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let read = reading.await.expect("no panic");
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    let checked = checking.await.expect("no panic");
    assert!(matches!(checked, Err(StoreError::Closed)), "{checked:?}");
    assert!(path.exists(), "a read that was cut off condemns nothing");
}

#[tokio::test]
async fn an_archive_on_another_file_system_is_refused() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("shared memory is a file system");
    let blobs = subject.data().join("archive/blobs");
    fs::remove_dir(&blobs).expect("removed");
    std::os::unix::fs::symlink(elsewhere.path(), &blobs).expect("linked");
    let refused = subject.try_open();
    assert!(matches!(refused, Err(StoreError::TwoFileSystems(..))), "{refused:?}");
}

#[tokio::test]
async fn a_link_for_a_folder_of_the_data_folder_is_refused() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    let aside = subject.data().join("aside");
    for folder in ["archive", "archive/blobs", "quarantine"] {
        let folder = subject.data().join(folder);
        fs::rename(&folder, &aside).expect("moved");
        std::os::unix::fs::symlink(&aside, &folder).expect("linked");
        let refused = subject.try_open();
        assert!(matches!(&refused, Err(StoreError::Link(link)) if *link == folder), "{refused:?}");
        fs::remove_file(&folder).expect("removed");
        fs::rename(&aside, &folder).expect("moved back");
    }
    subject.open();
    subject.close().await;
}

#[tokio::test]
async fn the_marker_is_there_exactly_after_an_orderly_stop() {
    let mut subject = Subject::new(Between::Nothing);
    let marker = subject.data().join("index/clean");
    assert!(!marker.exists());
    subject.close().await;
    // The index of a new archive is complete only once it was compared.
    subject.open();
    index_complete(&subject, 0).await;
    subject.close().await;
    assert!(marker.exists());
    subject.open();
    assert!(!marker.exists());
    subject.remove_index();
    subject.close().await;
    assert!(!marker.exists(), "an index that is gone is not clean");
}

#[tokio::test]
async fn only_an_archive_is_opened_where_one_has_to_be() {
    let parent = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(parent.path().join("file"), "text").expect("written");
    for name in ["", "missing", "file"] {
        let data = parent.path().join(name);
        let refused = Store::open_existing(&options(&data));
        let refused = refused.expect_err("no archive").to_string();
        let expected = format!("{} is no data folder: there is no archive in it", data.display());
        assert_eq!(refused, expected);
    }
    assert_eq!(fs::read_dir(parent.path()).expect("listed").count(), 1, "nothing was made");
    let mut subject = Subject::new(Between::Nothing);
    subject.upload(b"some bytes").await.expect("stored");
    subject.close().await;
    // An archive alone is enough; one that lost its version is told so.
    let data = parent.path().join("restored");
    fs::create_dir(&data).expect("made");
    fs::rename(subject.data().join("archive"), data.join("archive")).expect("moved");
    let options = options(&data);
    let store = Store::open_existing(&options).expect("opened");
    store.close().await.expect("closed");
    fs::remove_file(options.data.join("archive/VERSION")).expect("removed");
    let refused = Store::open_existing(&options);
    assert!(matches!(refused, Err(StoreError::Format { .. })), "{refused:?}");
}

fn options(data: &Path) -> StoreOptions {
    StoreOptions::of(data.to_owned())
}

/// Copies a folder with all that is in it, as a backup does.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(done.success());
}

/// Neither half of the data folder may come from elsewhere without being compared with the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_a_backup_is_not_believed() {
    for restored in ["index", "archive"] {
        let mut subject = Subject::new(Between::Nothing);
        subject.upload(b"before the backup").await.expect("stored");
        index_complete(&subject, 1).await;
        subject.close().await;
        let (folder, backup) = (subject.data().join(restored), subject.data().join("backup"));
        copy(&folder, &backup);
        subject.open();
        assert!(subject.store().is_indexed(), "an orderly stop is believed");
        subject.upload(b"after the backup").await.expect("stored");
        index_complete(&subject, 2).await;
        subject.close().await;
        fs::rename(&folder, subject.data().join("newer")).expect("moved");
        copy(&backup, &folder);
        assert!(subject.data().join("index/clean").exists());
        // Untended, it stays as it was found.
        let store = subject.try_open().expect("opened");
        subject.adopt(store);
        assert!(!subject.store().is_indexed(), "{restored}");
        subject.close().await;
        subject.open();
        let there = if restored == "index" { 2 } else { 1 };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !subject.store().is_indexed() {
            assert!(Instant::now() < deadline, "compared");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What the newer index alone knows is told by the next check.
        subject.store().reindex().await.expect("reindexed");
        assert_eq!(subject.store().totals().await.expect("read").blobs, there, "{restored}");
        subject.close().await;
    }
}

#[tokio::test]
async fn a_seal_without_its_other_half_is_not_believed() {
    for lost in ["state/clean", "index/clean"] {
        let mut subject = Subject::new(Between::Nothing);
        index_complete(&subject, 0).await;
        subject.close().await;
        fs::remove_file(subject.data().join(lost)).expect("removed");
        let store = subject.try_open().expect("opened");
        subject.adopt(store);
        assert!(!subject.store().is_indexed(), "{lost}");
        assert!(!subject.data().join("state/clean").exists());
        assert!(!subject.data().join("index/clean").exists());
        subject.close().await;
    }
}

#[tokio::test]
async fn leftovers_in_tmp_are_removed_at_start() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    fs::write(subject.data().join("tmp/17"), "half a blob").expect("written");
    fs::create_dir_all(subject.data().join("tmp/a/b")).expect("made");
    fs::write(subject.data().join("tmp/a/b/c"), "by hand").expect("written");
    subject.open();
    assert_eq!(subject.files_below("tmp"), 0);
    subject.close().await;
}

#[tokio::test]
async fn the_data_folder_is_for_its_owner() {
    let parent = tempfile::tempdir().expect("a temporary folder can be made");
    let data = parent.path().join("new");
    let store = Store::open(&options(&data)).expect("opened");
    let mode = fs::metadata(&data).expect("made").permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
    store.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_index_catches_up() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 200_000);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.crash().await;
    subject.remove_index();
    let foreign = some_bytes(2, 100);
    let path = subject.blob_path(&Digest::of(&foreign));
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, &foreign).expect("copied in by hand");
    subject.open();
    assert!(subject.download(&digest).await.expect("read").is_some(), "served at once");
    index_complete(&subject, 2).await;
    subject.close().await;
}

/// It is compared with an index that has a list of entries already.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_list_of_entries_follows_the_archive() {
    let mut subject = Subject::new(Between::Nothing);
    for name in ["stays", "goes", "is older"] {
        let entry = entry(&Digest::of(b""), name);
        subject.store().directory().append(&key(name), entry).await.expect("added");
    }
    subject.store().reindex().await.expect("reindexed");
    assert_eq!(listed(&subject).await.len(), 3);
    subject.crash().await;
    let file = |name: &str| {
        let mut files = fs::read_dir(subject.key_path(&key(name))).expect("listed");
        files.next().expect("one").expect("listed").path()
    };
    let older = file("is older");
    let (_, id) = older.to_str().and_then(|path| path.rsplit_once('-')).expect("a name");
    fs::rename(&older, older.with_file_name(format!("{OLD}-{id}"))).expect("renamed");
    let came = subject.key_path(&key("came"));
    fs::create_dir_all(&came).expect("made");
    fs::copy(file("stays"), came.join(file("stays").file_name().expect("a name"))).expect("copied");
    fs::remove_dir_all(subject.key_path(&key("goes"))).expect("removed");
    subject.open();
    index_complete(&subject, 0).await;
    let found = listed(&subject).await;
    let mut keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["came", "is older", "stays"]);
    assert_eq!(found[0], ("is older".to_owned(), OLD.to_owned()));
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reindex_counts_what_is_there() {
    let mut subject = Subject::new(Between::Nothing);
    for seed in 0..3 {
        subject.upload(&some_bytes(seed, 100_000)).await.expect("stored");
    }
    let long = key(&"K".repeat(300));
    for key in [&key("a"), &key("B/c"), &long] {
        let entry = entry(&Digest::of(b""), "x");
        subject.store().directory().append(key, entry).await.expect("added");
    }
    let expected = Reindexed { blobs: 3, bytes: 300_000, damaged: 0, entries: 3, lost: 0 };
    assert_eq!(subject.store().reindex().await.expect("reindexed"), expected);
    subject.remove_index();
    assert_eq!(subject.store().reindex().await.expect("reindexed"), expected);
    let totals = subject.store().totals().await.expect("read");
    assert_eq!((totals.blobs, totals.bytes, totals.entries), (3, 300_000, 3));
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_made_anew() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 300_000);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.close().await;
    for damage in [&b"not a database at all"[..], &[0; 8192]] {
        fs::write(subject.data().join("index/index.sqlite"), damage).expect("written");
        subject.open();
        let range = subject.download_range(&digest, 70_000..70_010).await;
        assert_eq!(range.expect("read"), bytes[70_000..70_010]);
        index_complete(&subject, 1).await;
        subject.close().await;
    }
}

/// Of an older version, of a newer one, of this one but of another shape.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_version_is_made_anew() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = *subject.upload(&some_bytes(1, 300_000)).await.expect("stored").digest();
    index_complete(&subject, 1).await;
    subject.close().await;
    let changes = [
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 99",
        "ALTER TABLE blob RENAME COLUMN sums TO crcs",
        "DROP TABLE entry",
    ];
    for change in changes {
        let database = rusqlite::Connection::open(subject.data().join("index/index.sqlite"));
        database.expect("opened").execute_batch(change).expect(change);
        subject.open();
        assert!(subject.download(&digest).await.expect("read").is_some(), "served at once");
        index_complete(&subject, 1).await;
        subject.close().await;
        assert!(subject.data().join("index/clean").exists(), "{change}");
    }
}

#[tokio::test]
async fn what_is_no_file_in_the_indexs_place_is_refused_in_one_line() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    let path = subject.data().join("index/index.sqlite");
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    let refused = subject.try_open().expect_err("a folder");
    let expected = format!("open {}: it is not a file", path.display());
    assert_eq!(Chain(&refused).to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_goes_to_its_end_when_nobody_waits_for_it() {
    let mut subject = Subject::new(Between::Nothing);
    for (seed, size) in [(1, 10), (2, 500_000)] {
        let bytes = some_bytes(seed, size);
        let mut incoming = subject.store().blobs().incoming(None).expect("begun");
        incoming.write(bytes.clone().into()).await.expect("written");
        let abandoned = incoming.commit(None).now_or_never();
        assert!(abandoned.is_none(), "a commit takes longer than an instant");
    }
    let entry = entry(&Digest::of(b""), "abandoned");
    let abandoned = subject.store().directory().append(&key("k"), entry).now_or_never();
    assert!(abandoned.is_none());
    // An orderly end waits for all three, and for the index to know them.
    index_complete(&subject, 2).await;
    subject.close().await;
    assert!(subject.data().join("index/clean").exists());
    subject.open();
    assert!(subject.listed(&key("k")).await.is_some());
    let totals = subject.store().totals().await.expect("read");
    assert_eq!((totals.blobs, totals.entries), (2, 1));
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_to_its_end_when_nobody_waits_for_it() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = *subject.upload(b"not ours").await.expect("stored").digest();
    let entry = entry(&digest, "a mistake");
    let (key, id) = (key("k"), *entry.id());
    subject.store().directory().append(&key, entry).await.expect("added");
    index_complete(&subject, 1).await;
    let administration = subject.store().administration();
    let banned = administration.ban(&operator(), &digest, false).now_or_never();
    assert!(banned.is_none(), "a ban takes longer than an instant");
    // An orderly end waits for it.
    subject.close().await;
    subject.open();
    let administration = subject.store().administration();
    let target = Target::Entry { key: key.clone(), id };
    assert!(administration.delete(&operator(), target, false).now_or_never().is_none());
    subject.close().await;
    subject.open();
    assert!(subject.listed(&key).await.is_none());
    assert!(subject.download(&digest).await.expect("read").is_none());
    subject.close().await;
}

#[tokio::test]
async fn a_closed_store_takes_nothing() {
    let mut subject = Subject::new(Between::Nothing);
    let store = subject.store().clone();
    assert_eq!(store.health(), Health::Healthy);
    subject.close().await;
    let mut incoming = store.blobs().incoming(None).expect("begun");
    incoming.write("late".into()).await.expect("kept in memory");
    let refused = incoming.commit(None).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
}

/// Waits until the index lists this many blobs.
/// The entries that the index lists, oldest first: key and time.
async fn listed(subject: &Subject) -> Vec<(String, String)> {
    let page = subject.store().administration().search(Query::default(), None, 10).await;
    page.expect("read").listed.into_iter().map(|found| (found.key, found.received)).collect()
}

async fn index_complete(subject: &Subject, blobs: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let totals = subject.store().totals().await.expect("read");
        if totals.blobs == blobs && subject.store().is_indexed() {
            return;
        }
        assert!(Instant::now() < deadline, "{totals:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const OLD: &str = "20200101T000000.000000Z";
