//! Exports of an archive that is in use, and what earlier exports, damage and cut-off files do to
//! them; files of other archives taken in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use shacache_core::digest::Digest;
use shacache_store::Moved;
use shacache_store::archive_file::ArchiveFile;
use shacache_store::archive_tree::{ArchiveTree, Part};
use shacache_store::error::StoreError;
use shacache_store::export::{Content, Earlier, ExportFolder, Sink, export, source};
use shacache_store::import::{self, Taken};
use shacache_store::tar_file::{self, TarWriter};
use shacache_store::verify::Code;
use tempfile::TempDir;

use crate::subject::{Between, Subject, entry, key, some_bytes};

/// A stream that is still there when its writer is gone.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every file below a folder.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("listed").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("read"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// An archive with some of everything.
async fn filled() -> Subject {
    let subject = Subject::new(Between::Nothing);
    let directory = subject.store().directory();
    for seed in 0..10 {
        let bytes = some_bytes(seed, 1000 * seed as usize);
        let digest = *subject.upload(&bytes).await.expect("stored").digest();
        let key = key(&format!("Key {}", seed % 3));
        directory.append(&key, entry(&digest, &seed.to_string())).await.expect("added");
    }
    let large = *subject.upload(&some_bytes(99, 3 << 20)).await.expect("stored").digest();
    let long = key(&"long/".repeat(80));
    directory.append(&long, entry(&large, "long")).await.expect("added");
    let gone = entry(&large, "gone");
    directory.append(&long, gone.clone()).await.expect("added");
    assert!(subject.delete(&long, gone.id()).await);
    let banned = *subject.upload(b"banned").await.expect("stored").digest();
    subject.ban(&banned).await;
    // Whoever copies another archive over this one brings such bytes back.
    fs::create_dir_all(subject.blob_path(&banned).parent().expect("a folder")).expect("made");
    fs::write(subject.blob_path(&banned), b"banned").expect("written");
    subject
}

fn export_to_folder(subject: &Subject, folder: &Path, since: &[&Path]) -> Moved {
    let mut sink = ExportFolder::open(folder).expect("opened");
    exported(subject, &mut sink, since)
}

fn exported(subject: &Subject, sink: &mut dyn Sink, since: &[&Path]) -> Moved {
    let mut earlier = Earlier::default();
    since.iter().for_each(|export| earlier.add(export).expect("an export"));
    let archive = source(subject.data()).expect("opened");
    export(&archive, &earlier, sink, &mut |_| {}).expect("exported")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("made")
}

#[tokio::test]
async fn an_export_is_the_archive() {
    let mut subject = filled().await;
    let place = folder();
    let (one, file) = (place.path().join("one"), place.path().join("two.tar"));
    let moved = export_to_folder(&subject, &one, &[]);
    assert_eq!((moved.blobs, moved.entries, moved.others), (12, 11, 5));
    assert_eq!((moved.damage, moved.notes), (0, 0));
    let archive = tree(&subject.data().join("archive"));
    assert_eq!(tree(&one), archive);

    exported(&subject, &mut TarWriter::create(&file).expect("made"), &[]);
    let mut members = BTreeMap::new();
    let tar = fs::File::open(&file).expect("opened");
    tar_file::read::<StoreError>(&file, tar, |mut member| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(member.reader(), &mut bytes).expect("read");
        members.insert(member.path().to_owned(), bytes);
        Ok(())
    })
    .expect("complete");
    members.insert("VERSION".to_owned(), b"1\n".to_vec());
    assert_eq!(members, archive);
    assert_eq!(fs::read_dir(place.path()).expect("listed").count(), 2, "nothing else is left");
    subject.close().await;
}

#[tokio::test]
async fn an_export_adds_what_is_missing_and_leaves_out_what_an_earlier_one_has() {
    let mut subject = filled().await;
    let place = folder();
    let [one, two, three] = ["one", "two", "three"].map(|name| place.path().join(name));
    let file = place.path().join("one.tar");
    export_to_folder(&subject, &one, &[]);
    exported(&subject, &mut TarWriter::create(&file).expect("made"), &[]);
    let new = *subject.upload(b"new").await.expect("stored").digest();
    let added = entry(&new, "new");
    subject.store().directory().append(&key("Key 1"), added).await.expect("added");

    for (place, since) in [(&two, &one), (&three, &file)] {
        let moved = export_to_folder(&subject, place, &[since]);
        assert_eq!((moved.blobs, moved.entries, moved.others), (1, 1, 0), "{}", since.display());
        assert_eq!(tree(place).len(), 3, "the version too");
    }
    let moved = export_to_folder(&subject, &one, &[]);
    assert_eq!((moved.blobs, moved.entries, moved.others), (1, 1, 0));
    assert_eq!(tree(&one), tree(&subject.data().join("archive")));
    subject.close().await;
}

#[tokio::test]
async fn an_entry_that_comes_meanwhile_brings_its_blob() {
    let mut subject = Subject::new(Between::Nothing);
    let first = *subject.upload(b"first").await.expect("stored").digest();
    // Its place among the blobs is before that of the first one.
    let late = (0..).map(|seed| some_bytes(seed, 100)).find(|bytes| Digest::of(bytes) < first);
    let late = late.expect("about every second one");
    let (digest, note) = (Digest::of(&late), entry(&Digest::of(&late), "late"));
    let record = format!("20261122T151200.123456Z-{}.json", note.id());
    let entry_path = subject.key_path(&key("k")).join(record);
    let blob_path = subject.blob_path(&digest);
    let place = folder();
    let mut sink = ExportFolder::open(&place.path().join("export")).expect("opened");
    let archive = source(subject.data()).expect("opened");
    export(&archive, &Earlier::default(), &mut sink, &mut |moved| {
        // The walk has just passed the first blob, and so the place of the other.
        if moved.blobs == 1 && !blob_path.exists() {
            for (path, bytes) in [(&blob_path, &late[..]), (&entry_path, note.body().as_bytes())] {
                fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                fs::write(path, bytes).expect("written");
            }
        }
    })
    .expect("exported");
    assert_eq!(tree(&place.path().join("export")), tree(&subject.data().join("archive")));
    subject.close().await;
}

/// A link cannot be opened, whether the walk over the blobs meets it or an entry leads there.
#[tokio::test]
async fn a_blob_that_cannot_be_opened_is_told_of_once() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = *subject.upload(b"x").await.expect("stored").digest();
    for note in ["a", "b"] {
        subject.store().directory().append(&key("k"), entry(&digest, note)).await.expect("added");
    }
    let folder = subject.blob_path(&digest).parent().expect("a folder").to_owned();
    let elsewhere = subject.data().join("elsewhere");
    fs::rename(&folder, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &folder).expect("linked");
    let place = tempfile::tempdir().expect("made");
    let moved = export_to_folder(&subject, &place.path().join("export"), &[]);
    let codes: Vec<_> = moved.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::Stray, Code::Unreadable], "{:?}", moved.findings);
    assert_eq!((moved.blobs, moved.entries), (0, 2));
    subject.close().await;
}

#[tokio::test]
async fn what_is_damaged_is_left_out_and_told() {
    let mut subject = filled().await;
    let digest = *subject.upload(&some_bytes(7, 5000)).await.expect("stored").digest();
    // Whoever computes its other digests would find the damage first.
    subject.store().reindex().await.expect("reindexed");
    let note = entry(&digest, "of a damaged blob");
    subject.store().directory().append(&key("k"), note).await.expect("added");
    let blob = subject.blob_path(&digest);
    fs::write(&blob, b"other bytes").expect("written");
    let whole = subject.store().directory();
    whole.append(&key("e"), entry(&digest, "e")).await.expect("added");
    let names = fs::read_dir(subject.key_path(&key("e"))).expect("listed");
    let torn = names.map(|name| name.expect("listed").path()).next().expect("an entry");
    fs::write(&torn, b"[\"{\\\"sha512").expect("written");
    let stray = subject.data().join("archive/blobs/.stray.x1Y2z3");
    fs::write(&stray, b"").expect("written");

    let place = folder();
    let moved = export_to_folder(&subject, &place.path().join("export"), &[]);
    let mut found: Vec<_> =
        moved.findings.iter().map(|found| (found.code, found.path.clone())).collect();
    found.sort();
    let path = |path: &Path| path.display().to_string();
    let expected = [
        (Code::BlobDamaged, path(&blob)),
        (Code::EntryDamaged, path(&torn)),
        (Code::Stray, path(&stray)),
    ];
    assert_eq!((found.as_slice(), moved.damage), (&expected[..], 3));
    let mut whole = tree(&subject.data().join("archive"));
    whole.retain(|name, _| !expected.iter().any(|(_, path)| path.ends_with(name)));
    assert_eq!(tree(&place.path().join("export")), whole);
    subject.close().await;
}

#[tokio::test]
async fn an_export_that_fails_leaves_nothing_that_looks_complete() {
    let mut subject = filled().await;
    let place = folder();
    let file = place.path().join("export.tar");
    let sink = TarWriter::create(&file).expect("made");
    let name = ArchiveFile::parse("VERSION").expect("a name");
    assert!(!sink.has(&name, 2).expect("asked"));
    drop(sink);
    assert_eq!(fs::read_dir(place.path()).expect("listed").count(), 0);

    // A stream keeps what it got, and has no end.
    let stream = Shared::default();
    let mut sink = TarWriter::to_stream(&file, Box::new(stream.clone()));
    let (mut text, modified) = (&b"1\n"[..], std::time::SystemTime::now());
    sink.put(&name, Content::new(2, modified, &mut text, &file)).expect("put");
    drop(sink);
    let read = tar_file::read::<StoreError>(&file, &stream.0.borrow()[..], |_| Ok(()));
    assert!(matches!(read, Err(StoreError::NoExport { .. })), "{read:?}");

    exported(&subject, &mut TarWriter::create(&file).expect("made"), &[]);
    let whole = fs::read(&file).expect("read");
    // Where a member ends, as anywhere else.
    for length in [0, 512, 1000, 1024, whole.len() - 1024, whole.len() / 1024 * 512] {
        fs::write(&file, &whole[..length]).expect("written");
        let error = Earlier::default().add(&file).expect_err("cut off");
        assert!(matches!(error, StoreError::NoExport { .. }), "{length}: {error:?}");
    }
    fs::write(&file, whole).expect("written");
    Earlier::default().add(&file).expect("whole");
    subject.close().await;
}

#[tokio::test]
async fn another_format_is_neither_exported_nor_taken_for_an_export() {
    let mut subject = filled().await;
    let place = folder();
    let one = place.path().join("one");
    export_to_folder(&subject, &one, &[]);
    fs::write(one.join("VERSION"), "2\n").expect("written");
    assert!(matches!(ExportFolder::open(&one), Err(StoreError::Format { .. })));
    assert!(matches!(ArchiveTree::open(&one), Err(StoreError::Format { .. })));
    fs::write(subject.data().join("archive/VERSION"), "2\n").expect("written");
    let refused = source(subject.data());
    let Err(StoreError::Format { found, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(found, "2");
    // A folder with anything else in it is not written to.
    fs::create_dir(place.path().join("three")).expect("made");
    fs::write(place.path().join("three/file"), "").expect("written");
    let refused = ExportFolder::open(&place.path().join("three"));
    assert!(matches!(refused, Err(StoreError::NoArchive(_))), "{refused:?}");
    fs::write(subject.data().join("archive/VERSION"), "1\n").expect("written");
    subject.close().await;
}

/// Takes everything of an exported folder, and counts what came of it.
async fn take_all(subject: &Subject, folder: &Path) -> (usize, usize, Vec<Code>) {
    let tree = ArchiveTree::open(folder).expect("an export");
    let (mut new, mut there, mut left) = (0, 0, Vec::new());
    for part in Part::ALL {
        for name in tree.walk(part) {
            let name = name.expect("nothing else is there");
            let bytes = fs::read(tree.path(&name)).expect("read");
            match subject.store().import_text(&name, bytes.into()).await.expect("taken") {
                Taken::New => new += 1,
                Taken::AlreadyThere => there += 1,
                Taken::Left { code, .. } => left.push(code),
            }
        }
    }
    (new, there, left)
}

#[tokio::test]
async fn what_was_exported_makes_the_same_archive_again() {
    let mut subject = filled().await;
    let place = folder();
    let export = place.path().join("export");
    let banned = Digest::of(b"banned");
    export_to_folder(&subject, &export, &[]);
    let mut again = Subject::new(Between::Nothing);
    // Bytes that are banned in both archives are the matter of who drives the import.
    assert_eq!(take_all(&again, &export).await, (27, 0, vec![Code::Unwanted]));
    let mut incoming = again.store().import_blob(None, true).expect("begun");
    incoming.write(Bytes::from_static(b"banned")).await.expect("written");
    let taken = import::finish(incoming, &banned).await.expect("taken");
    assert_eq!(taken, Taken::New);
    assert_eq!(again.download(&banned).await.expect("asked"), None, "banned all the same");
    assert_eq!(tree(&again.data().join("archive")), tree(&subject.data().join("archive")));
    assert_eq!(take_all(&again, &export).await, (0, 28, vec![]), "bytes that are there");

    for text in ["Key 0", "Key 1", "Key 2", &"long/".repeat(80)] {
        let listed = subject.listed(&key(text)).await;
        assert!(listed.is_some());
        assert_eq!(again.listed(&key(text)).await, listed);
    }
    subject.close().await;
    again.close().await;
}

#[tokio::test]
async fn what_was_deleted_or_banned_here_stays_so() {
    let mut subject = Subject::new(Between::Nothing);
    let (key, digest) = (key("k"), Digest::of(b"x"));
    let (deleted, kept) = (entry(&digest, "deleted"), entry(&digest, "kept"));
    let directory = subject.store().directory();
    directory.append(&key, deleted.clone()).await.expect("added");
    let place = folder();
    let export = place.path().join("export");
    export_to_folder(&subject, &export, &[]);
    assert!(subject.delete(&key, deleted.id()).await);
    subject.ban(&digest).await;

    // From an archive: the file may come, and stays hidden.
    fs::remove_dir_all(subject.key_path(&key)).expect("removed");
    assert_eq!(take_all(&subject, &export).await, (1, 0, vec![]));
    assert_eq!(subject.listed(&key).await, None);
    // From another server: as a new upload it would live again.
    let taken = subject.store().import_entry(&key, deleted).await.expect("asked");
    assert!(matches!(taken, Taken::Left { code: Code::Unwanted, .. }), "{taken:?}");
    for expected in [Taken::New, Taken::AlreadyThere] {
        let taken = subject.store().import_entry(&key, kept.clone()).await.expect("asked");
        assert_eq!(taken, expected);
    }
    assert_eq!(subject.listed(&key).await.expect("one").len(), 1);
    let blob = ArchiveFile::blob(&digest);
    let taken = subject.store().import_text(&blob, Bytes::from_static(b"x")).await.expect("asked");
    assert!(matches!(taken, Taken::Left { code: Code::Unwanted, .. }), "{taken:?}");
    subject.close().await;
}

#[tokio::test]
async fn nothing_is_taken_that_is_not_what_its_name_says() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key(&"x".repeat(300)).file_name();
    let note = entry(&Digest::of(b"x"), "a");
    let record = format!("20261122T151200.123456Z-{}.json", note.id());
    let before = tree(&subject.data().join("archive"));
    let blob = ArchiveFile::blob(&Digest::of(b"x"));
    for (path, text, expected) in [
        (blob.path(), "y", Code::BlobDamaged),
        (&format!("entries/{key}/{record}"), "[]", Code::EntryDamaged),
        (
            &format!("entries/{key}/{record}"),
            entry(&Digest::of(b"x"), "b").body(),
            Code::EntryDamaged,
        ),
        (&format!("entries/{key}/%key"), "y", Code::KeyDamaged),
        (&format!("tombstones/entries/{key}/{record}"), "", Code::TombstoneDamaged),
        ("VERSION", "2\n", Code::VersionWrong),
    ] {
        let name = ArchiveFile::parse(path).expect("a name of the format");
        let text = Bytes::copy_from_slice(text.as_bytes());
        let taken = subject.store().import_text(&name, text).await.expect("asked");
        assert!(matches!(&taken, Taken::Left { code, .. } if *code == expected), "{taken:?}");
    }
    assert_eq!(tree(&subject.data().join("archive")), before);
    subject.close().await;
}

#[tokio::test]
async fn what_is_taken_shows_at_once_and_heals_what_is_damaged() {
    let mut subject = Subject::new(Between::Nothing);
    let (key, digest) = (key(&"x".repeat(300)), Digest::of(b"x"));
    let name = key.file_name();
    let file = |record: &str| ArchiveFile::parse(&format!("entries/{name}/{record}")).expect("one");
    let take = async |name: &ArchiveFile, text: &str| {
        let text = Bytes::copy_from_slice(text.as_bytes());
        subject.store().import_text(name, text).await.expect("taken")
    };
    assert_eq!(take(&file("%key"), key.as_str()).await, Taken::New);
    for note in ["a", "b"] {
        let note = entry(&digest, note);
        let record = format!("20261122T151200.123456Z-{}.json", note.id());
        let before = subject.listed(&key).await.map_or(0, |listed| listed.len());
        assert_eq!(take(&file(&record), note.body()).await, Taken::New);
        assert_eq!(subject.listed(&key).await.expect("some").len(), before + 1);
        let path = subject.key_path(&key).join(&record);
        fs::write(&path, "torn").expect("written");
        assert_eq!(take(&file(&record), note.body()).await, Taken::New);
        assert_eq!(fs::read_to_string(&path).expect("read"), note.body());
        let kept = tree(&subject.data().join("quarantine"));
        let kept = kept.iter().find(|(name, _)| name.ends_with(&record)).expect("in quarantine");
        assert_eq!(kept.1, b"torn");
    }
    subject.close().await;
}

/// What a disk made of bytes may still tell something: it is not for an import to throw away.
#[tokio::test]
async fn a_good_blob_does_not_replace_a_damaged_one() {
    let mut subject = Subject::new(Between::Nothing);
    let blobs = subject.store().blobs();
    for (seed, bytes) in [(1, some_bytes(1, 100)), (2, some_bytes(2, 3 << 20))] {
        let digest = *subject.upload(&bytes).await.expect("stored").digest();
        assert!(blobs.has_whole(&digest).await.expect("asked"));
        let mut rotten = bytes.clone();
        rotten[0] ^= 1;
        fs::write(subject.blob_path(&digest), &rotten).expect("written");
        let name = ArchiveFile::blob(&digest);
        let taken = subject.store().import_text(&name, bytes.clone().into()).await.expect("taken");
        assert_eq!(taken, Taken::New);
        assert_eq!(fs::read(subject.blob_path(&digest)).expect("read"), bytes);
        let kept = tree(&subject.data().join("quarantine"));
        assert_eq!(kept.len(), seed);
        assert!(kept.values().any(|kept| *kept == rotten));
        let taken = subject.store().import_text(&name, bytes.into()).await.expect("taken");
        assert_eq!(taken, Taken::AlreadyThere);
    }
    assert!(!blobs.has_whole(&Digest::of(b"absent")).await.expect("asked"));
    subject.close().await;
}
