//! What a damaged or foreign file in the archive does: it is never delivered, never deleted, and
//! hurts nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use shacache_core::digest::Digest;
use shacache_store::Health;
use shacache_store::error::{Chain, StoreError};

use crate::subject::{Between, Subject, entry, key, some_bytes};

const CHUNK: usize = 64 * 1024;

/// Whether the index knows the blob's checksums when the damage is met.
#[derive(Debug, Clone, Copy)]
enum Sums {
    Known,
    Unknown,
}

/// Ways to spoil a file's content.
type Damage = (&'static str, fn(&mut Vec<u8>));

/// Ways to spoil the index of a data folder.
type IndexDamage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 6] = [
    ("first byte", |bytes| bytes[0] ^= 1),
    ("a byte in the middle", |bytes| bytes[3 * CHUNK + 5] ^= 0x80),
    ("last byte", |bytes| *bytes.last_mut().expect("not empty") ^= 1),
    ("cut short", |bytes| bytes.truncate(2 * CHUNK)),
    ("emptied", Vec::clear),
    ("longer", |bytes| bytes.extend_from_slice(b"more")),
];

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_never_delivered_and_a_new_upload_heals() {
    for sums in [Sums::Known, Sums::Unknown] {
        for (damage, spoil) in DAMAGES {
            let context = format!("{damage}, sums {sums:?}");
            let mut subject = Subject::new(Between::Nothing);
            let bytes = some_bytes(1, 4 * CHUNK + 100);
            let digest = *subject.upload(&bytes).await.expect("stored").digest();
            subject.close().await;
            if matches!(sums, Sums::Unknown) {
                subject.remove_index();
            }
            let mut spoilt = bytes.clone();
            spoil(&mut spoilt);
            fs::write(subject.blob_path(&digest), &spoilt).expect("written");
            // The background must not find the damage before the reader does.
            let store = subject.try_open().expect("opened");
            subject.adopt(store);
            let whole = subject.download(&digest).await;
            assert!(
                matches!(whole, Err(StoreError::Damaged(_)) | Ok(None)),
                "{context}: {whole:?}"
            );
            gone(&subject, &digest, &context).await;
            assert_eq!(subject.store().counters().damaged_blobs, 1, "{context}");
            let kept = fs::read_dir(subject.data().join("quarantine/damaged")).expect("made");
            let kept: Vec<_> = kept.map(|entry| entry.expect("listed").path()).collect();
            assert_eq!(kept.len(), 1, "{context}");
            assert_eq!(fs::read(&kept[0]).expect("read"), spoilt, "{context}: nothing is lost");
            subject.upload(&bytes).await.expect("stored");
            assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes), "{context}");
            subject.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_checked_yet_is_kept_in_memory_for_nobody() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 4 * CHUNK + 100);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.close().await;
    subject.remove_index();
    let mut spoilt = bytes.clone();
    spoilt[0] ^= 1;
    fs::write(subject.blob_path(&digest), &spoilt).expect("written");
    let store = subject.try_open().expect("opened");
    subject.adopt(store);
    let mut readers = Vec::new();
    for _ in 0..3 {
        let blob = subject.store().blobs().get(&digest).await.expect("read").expect("there");
        let size = blob.size();
        let mut reader = blob.read(0..size).await.expect("begun");
        // Whether it is right is known once the whole is.
        assert_eq!(reader.next().await.expect("read").expect("a piece")[0], spoilt[0]);
        readers.push(reader);
    }
    for mut reader in readers {
        let end = loop {
            match reader.next().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Err(StoreError::Damaged(_))), "{end:?}");
    }
    gone(&subject, &digest, "damaged").await;
    subject.upload(&bytes).await.expect("stored");
    let healed = subject.download(&digest).await.expect("read");
    assert!(healed == Some(bytes), "other bytes");
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_over_damage_is_cut_short() {
    for sums in [Sums::Known, Sums::Unknown] {
        let mut subject = Subject::new(Between::Nothing);
        let mut bytes = some_bytes(1, 4 * CHUNK);
        let digest = *subject.upload(&bytes).await.expect("stored").digest();
        subject.close().await;
        if matches!(sums, Sums::Unknown) {
            subject.remove_index();
        }
        bytes[2 * CHUNK + 9] ^= 4;
        fs::write(subject.blob_path(&digest), &bytes).expect("written");
        let store = subject.try_open().expect("opened");
        subject.adopt(store);
        let range = subject.download_range(&digest, CHUNK as u64 + 1..3 * CHUNK as u64).await;
        assert!(matches!(range, Err(StoreError::Damaged(_))), "{sums:?}: {range:?}");
        gone(&subject, &digest, "range").await;
        subject.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_over_damage_heals_it() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 3 * CHUNK);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    fs::write(subject.blob_path(&digest), b"something else").expect("written");
    subject.upload(&bytes).await.expect("stored");
    assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes));
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_checksums_in_the_index_condemn_no_blob() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 3 * CHUNK);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.close().await;
    let database = rusqlite::Connection::open(subject.data().join("index/index.sqlite"));
    let changed = database.expect("opened").execute("UPDATE blob SET sums = zeroblob(12)", []);
    assert_eq!(changed.expect("changed"), 1);
    let store = subject.try_open().expect("opened");
    subject.adopt(store);
    let cut = subject.download(&digest).await;
    assert!(matches!(cut, Err(StoreError::Damaged(_))), "{cut:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while subject.download(&digest).await.is_err() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes));
    assert_eq!(subject.files_below("quarantine"), 0);
    subject.close().await;
}

/// One bit of the index is flipped, or its end cut off, again and again. `SHACACHE_INDEX_DAMAGES`
/// tells how often; the long tier sets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_never_hurts_the_archive() {
    let times = std::env::var("SHACACHE_INDEX_DAMAGES")
        .map_or(60, |number| number.parse::<u64>().expect("SHACACHE_INDEX_DAMAGES is a number"));
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 3 * CHUNK);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    let entry = entry(&digest, "noted");
    subject.store().directory().append(&key("k"), entry).await.expect("added");
    subject.store().reindex().await.expect("indexed");
    subject.close().await;
    let index = subject.data().join("index/index.sqlite");
    let whole = fs::read(&index).expect("read");
    for number in 0..times {
        let mut damaged = whole.clone();
        let random = u64::from_le_bytes(some_bytes(number + 9, 8).try_into().expect("eight bytes"));
        let at = (random >> 3) as usize % whole.len();
        if number % 10 == 9 {
            damaged.truncate(at);
        } else {
            damaged[at] ^= 1 << (random & 7);
        }
        fs::write(&index, &damaged).expect("written");
        subject.open();
        let context = format!("damage {number} at {at}");
        let mut range = subject.download_range(&digest, 70_000..140_000).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        // Wrong checksums end one answer; they are made anew meanwhile.
        while range.is_err() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
            range = subject.download_range(&digest, 70_000..140_000).await;
        }
        assert_eq!(range.expect(&context), bytes[70_000..140_000], "{context}");
        assert_eq!(subject.listed(&key("k")).await.expect("the entry").len(), 1, "{context}");
        subject.close().await;
        assert_eq!(subject.files_below("quarantine"), 0, "{context}");
    }
}

/// SQLite finds nothing wrong with these.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_holds_what_no_index_does_is_made_anew() {
    let spoiled: [IndexDamage; 5] = [
        ("a seal that is no text", |data| {
            let seal = fs::read(data.join("index/clean")).expect("read");
            flip_high_bit(&data.join("index/index.sqlite"), &seal);
        }),
        ("a table's name that is no text", |data| {
            flip_high_bit(&data.join("index/index.sqlite"), b"blob_md5 ON");
        }),
        ("a size below zero", |data| execute(data, "UPDATE blob SET size = -1")),
        ("half a digest", |data| execute(data, "UPDATE blob SET digest = zeroblob(32)")),
        ("half a digest of another blob", |data| {
            execute(data, "INSERT INTO blob (digest, size, sums) VALUES (zeroblob(32), 0, x'')");
        }),
    ];
    for (name, spoil) in spoiled {
        let mut subject = Subject::new(Between::Nothing);
        let bytes = some_bytes(1, 3 * CHUNK);
        let digest = *subject.upload(&bytes).await.expect("stored").digest();
        subject.store().reindex().await.expect("indexed");
        subject.close().await;
        spoil(subject.data());
        subject.adopt(subject.try_open().expect(name));
        let found = subject.store().reindex().await.expect(name);
        assert_eq!((found.blobs, found.lost), (1, 0), "{name}");
        let totals = subject.store().totals().await.expect(name);
        assert_eq!((totals.blobs, totals.bytes), (1, 3 * CHUNK as u64), "{name}");
        assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes), "{name}");
        assert_eq!(subject.files_below("quarantine"), 0, "{name}");
        subject.close().await;
    }
}

fn flip_high_bit(file: &Path, of_first: &[u8]) {
    let mut bytes = fs::read(file).expect("read");
    let at = bytes.windows(of_first.len()).position(|found| found == of_first);
    bytes[at.expect("it is there")] ^= 0x80;
    fs::write(file, bytes).expect("written");
}

fn execute(data: &Path, sql: &str) {
    let database = rusqlite::Connection::open(data.join("index/index.sqlite")).expect("opened");
    assert_eq!(database.execute(sql, []).expect("changed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_nothing_else_out_of_a_new_index() {
    let mut subject = Subject::new(Between::Nothing);
    let mut links = Vec::new();
    for seed in 1..4 {
        let digest = *subject.upload(&some_bytes(seed, 1000)).await.expect("stored").digest();
        let key = key(&format!("key-{seed}"));
        subject.store().directory().append(&key, entry(&digest, "n")).await.expect("added");
        if seed == 2 {
            let (hex, name) = (digest.to_string(), key.file_name());
            let tombstones = subject.data().join("archive/tombstones");
            links.push(tombstones.join("blobs").join(&hex[..2]).join(&hex[2..4]));
            links.push(tombstones.join("entries").join(name.fan_out()).join(name.name()));
        }
    }
    for link in &links {
        fs::create_dir_all(link.parent().expect("a folder")).expect("made");
        symlink("/nonexistent", link).expect("linked");
    }
    subject.close().await;
    subject.remove_index();
    subject.adopt(subject.try_open().expect("opened"));
    let failed = subject.store().reindex().await.expect_err("one blob and one key are not read");
    assert!(Chain(&failed).to_string().contains("it is a link"), "{}", Chain(&failed));
    let totals = subject.store().totals().await.expect("read");
    assert_eq!((totals.blobs, totals.entries), (2, 2));
    assert!(!subject.store().is_indexed());
    links.iter().for_each(|link| fs::remove_file(link).expect("removed"));
    let found = subject.store().reindex().await.expect("reindexed");
    assert_eq!((found.blobs, found.entries), (3, 3));
    assert!(subject.store().is_indexed());
    // What was listed of a key that cannot be read any more stays so, and nobody takes the list for
    // whole.
    links.iter().for_each(|link| symlink("/nonexistent", link).expect("linked"));
    subject.store().reindex().await.expect_err("one blob and one key are not read");
    assert_eq!(subject.store().totals().await.expect("read").entries, 3);
    assert!(!subject.store().is_indexed());
    subject.close().await;
}

#[tokio::test]
async fn putting_an_entry_again_heals_its_file() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key("torn");
    let whole = entry(&Digest::of(b""), "whole");
    subject.store().directory().append(&key, whole.clone()).await.expect("added");
    let folder = subject.key_path(&key);
    let file = fs::read_dir(&folder).expect("listed").next().expect("one").expect("listed").path();
    for torn in [&b""[..], b"[\"{", b"[\"{}\", \"\"]"] {
        fs::write(&file, torn).expect("written");
        subject.close().await;
        subject.open();
        assert_eq!(subject.listed(&key).await, None);
        subject.store().directory().append(&key, whole.clone()).await.expect("added");
        let listed = subject.listed(&key).await.expect("the entry");
        assert_eq!(listed, [(whole.metadata_text().to_owned(), String::new())]);
        assert_eq!(fs::read_to_string(&file).expect("read"), whole.body());
    }
    subject.close().await;
}

#[tokio::test]
async fn what_is_no_entry_is_skipped_and_the_others_listed() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key("mixed");
    let (good, other) = (entry(&Digest::of(b""), "good"), entry(&Digest::of(b""), "other"));
    subject.store().directory().append(&key, good.clone()).await.expect("added");
    let folder = subject.key_path(&key);
    let name = |number: u32, id: &str| format!("20200101T000000.{number:06}Z-{id}.json");
    let id = other.id().to_string();
    fs::write(folder.join("notes.txt"), "by hand").expect("written");
    fs::write(folder.join(name(1, "ab")), other.body()).expect("written");
    fs::write(folder.join(name(2, &id)), "[\"{}\", \"\"]").expect("written");
    fs::write(folder.join(name(3, &"0".repeat(128))), other.body()).expect("written");
    fs::create_dir(folder.join(name(4, &"1".repeat(128)))).expect("made");
    symlink("/etc/passwd", folder.join(name(5, &"2".repeat(128)))).expect("linked");
    fs::write(folder.join(name(6, &"3".repeat(128))), vec![b' '; 1 << 20]).expect("written");
    subject.close().await;
    subject.open();
    let listed = subject.listed(&key).await.expect("the good one");
    assert_eq!(listed, [(good.metadata_text().to_owned(), String::new())]);
    assert_eq!(subject.store().counters().skipped_entries, 5);
    subject.close().await;
}

/// Ways to have something else than a file in a blob's place.
type Odd = (&'static str, fn(&Path));

const ODD: [Odd; 5] = [
    ("folder", |path| fs::create_dir(path).expect("made")),
    ("full folder", |path| fs::create_dir_all(path.join("inside")).expect("made")),
    ("link", |path| symlink("/etc/passwd", path).expect("linked")),
    ("pipe", |path| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).expect("made");
    }),
    ("socket", |path| {
        // The path may be longer than a socket's address: it is made elsewhere and moved in.
        let aside = tempfile::tempdir_in(path.parent().expect("a folder")).expect("made");
        drop(UnixListener::bind(aside.path().join("s")).expect("bound"));
        fs::rename(aside.path().join("s"), path).expect("moved");
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_blob_is_a_miss_and_an_upload_heals_it() {
    for (name, make) in ODD {
        for size in [10, 3 * CHUNK] {
            let mut subject = Subject::new(Between::Nothing);
            let bytes = some_bytes(1, size);
            let digest = Digest::of(&bytes);
            let path = subject.blob_path(&digest);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            make(&path);
            let kind = fs::symlink_metadata(&path).expect("there").file_type();
            assert!(subject.download(&digest).await.expect("read").is_none(), "{name}");
            assert!(subject.upload(&bytes).await.expect("stored").was_new(), "{name}");
            assert_eq!(subject.download(&digest).await.expect("read"), Some(bytes), "{name}");
            let relative = path.strip_prefix(subject.data()).expect("below");
            let displaced = subject.data().join("quarantine/displaced");
            let run = fs::read_dir(displaced).expect("made").next().expect("one").expect("listed");
            let kept = fs::symlink_metadata(run.path().join(relative)).expect("nothing is lost");
            assert_eq!(kept.file_type(), kind, "{name}");
            assert_eq!(subject.store().health(), Health::Healthy);
            subject.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_heals_what_is_no_file_in_its_place() {
    let mut subject = Subject::new(Between::Nothing);
    let (key, entry) = (key("k"), entry(&Digest::of(b""), "note"));
    subject.store().directory().append(&key, entry.clone()).await.expect("added");
    let folder = subject.key_path(&key);
    let path = fs::read_dir(&folder).expect("listed").next().expect("one").expect("listed").path();
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    subject.close().await;
    subject.open();
    assert_eq!(subject.listed(&key).await, None);
    subject.store().directory().append(&key, entry.clone()).await.expect("added");
    assert_eq!(subject.listed(&key).await.expect("the entry").len(), 1);
    assert_eq!(fs::read_to_string(&path).expect("read"), entry.body());
    subject.close().await;
}

/// A folder that somebody replaced by a link to one elsewhere: nothing is read through it, and
/// nothing lands behind it.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_in_the_archive_is_followed() {
    for levels in [1, 2] {
        for size in [10, 3 * CHUNK] {
            let mut subject = Subject::new(Between::Nothing);
            let bytes = some_bytes(1, size);
            let path = subject.blob_path(&Digest::of(&bytes));
            let link = path.ancestors().nth(levels).expect("a folder");
            let elsewhere = tempfile::tempdir().expect("made");
            fs::create_dir_all(link.parent().expect("a folder")).expect("made");
            symlink(elsewhere.path(), link).expect("linked");
            let refused = subject.upload(&bytes).await.expect_err("a link leads there");
            let expected = format!("open {}: it is a link, and none is followed", link.display());
            assert_eq!(Chain(&refused).to_string(), expected);
            assert_eq!(fs::read_dir(elsewhere.path()).expect("listed").count(), 0);
            assert_eq!(subject.files_below("tmp"), 0);
            // It may be there, behind the link: no miss.
            let found = subject.store().blobs().get(&Digest::of(&bytes)).await;
            assert!(matches!(found, Err(StoreError::Io { .. })), "{found:?}");
            assert_eq!(subject.store().health(), Health::Healthy);
            fs::remove_file(link).expect("removed");
            subject.upload(&bytes).await.expect("stored");
            subject.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_among_the_entries_is_followed() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key("k");
    let elsewhere = tempfile::tempdir().expect("made");
    let folder = subject.key_path(&key);
    let link = folder.parent().expect("a folder");
    symlink(elsewhere.path(), link).expect("linked");
    fs::create_dir(elsewhere.path().join("k")).expect("made");
    let put = subject.store().directory().append(&key, entry(&Digest::of(b""), "note")).await;
    assert!(matches!(put, Err(StoreError::Io { .. })), "{put:?}");
    let got = subject.store().directory().get(&key).await;
    assert!(matches!(got, Err(StoreError::Io { .. })), "{got:?}");
    assert_eq!(fs::read_dir(elsewhere.path().join("k")).expect("listed").count(), 0);
    subject.close().await;
}

#[tokio::test]
async fn a_file_in_a_folders_place_is_a_miss() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = Digest::of(b"beneath a file");
    let path = subject.blob_path(&digest);
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder.parent().expect("a folder")).expect("made");
    fs::write(folder, "a file").expect("written");
    assert!(subject.download(&digest).await.expect("read").is_none());
    subject.close().await;
}

/// Also when they are published in one group.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_one_write_stops_no_other() {
    let mut subject = Subject::new(Between::Nothing);
    let bytes = some_bytes(1, 10);
    let path = subject.blob_path(&Digest::of(&bytes));
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder.parent().expect("a folder")).expect("made");
    fs::write(folder, "in the way of one").expect("written");
    for _ in 0..20 {
        let many: Vec<_> = (2..34).map(|seed| some_bytes(seed, 10)).collect();
        let uploads =
            futures_util::future::join_all(many.iter().map(|bytes| subject.upload(bytes)));
        let (refused, stored) = tokio::join!(subject.upload(&bytes), uploads);
        assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
        for one in stored {
            one.expect("stored");
        }
    }
    assert_eq!(subject.files_below("tmp"), 0);
    assert_eq!(subject.store().health(), Health::Healthy);
    subject.close().await;
}

/// Waits until a damaged blob was moved away.
async fn gone(subject: &Subject, digest: &Digest, context: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while subject.store().counters().damaged_blobs == 0 {
        assert!(Instant::now() < deadline, "{context}: still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!subject.blob_path(digest).exists(), "{context}");
    let found = subject.store().blobs().get(digest).await.expect("read");
    assert!(found.is_none(), "{context}");
}
