//! The files in the archive, looked at from outside.

use std::fs;

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;

use crate::subject::{Between, Subject, key};

/// The names in a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_folders_are_the_documented_ones() {
    let mut subject = Subject::new(Between::Nothing);
    subject.close().await;
    assert_eq!(
        names(subject.data()),
        ["archive", "index", "lock", "quarantine", "state", "tmp", "unclaimed"]
    );
    let archive = subject.data().join("archive");
    assert_eq!(names(&archive), ["VERSION", "audit", "blobs", "entries", "holds", "tombstones"]);
    assert_eq!(fs::read_to_string(archive.join("VERSION")).expect("read"), "1\n");
}

#[tokio::test]
async fn a_blob_is_its_bytes_and_nothing_else() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = *subject.upload(b"some bytes").await.expect("stored").digest();
    let found = fs::read(subject.blob_path(&digest)).expect("the blob is where it should be");
    assert_eq!(found, b"some bytes");
    subject.close().await;
}

#[tokio::test]
async fn an_entry_is_the_body_that_was_put() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = Digest::of(b"");
    let body = format!("[ \"{{\\\"sha512\\\": \\\"{digest}\\\"}}\",\n\"\" ]\n");
    let entry = SignedEntry::from_body(body.as_bytes()).expect("an entry");
    let (key, id) = (key("It's a key/…"), *entry.id());
    subject.store().directory().append(&key, entry).await.expect("added");
    let folder = subject.key_path(&key);
    assert_eq!(folder.file_name().expect("a name"), "%49t%27s%20a%20key%2f%e2%80%a6");
    let [name] = &names(&folder)[..] else { panic!("one entry, one file") };
    let (time, rest) = name.split_at(23);
    assert_eq!(rest, format!("-{id}.json"));
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert_eq!(fs::read_to_string(folder.join(name)).expect("read"), body);
    subject.close().await;
}

#[tokio::test]
async fn a_long_key_lies_beside_its_entries() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key(&"x/".repeat(200));
    let entry = crate::subject::entry(&Digest::of(b""), "long");
    subject.store().directory().append(&key, entry).await.expect("added");
    let folder = subject.key_path(&key);
    assert!(folder.file_name().expect("a name").to_string_lossy().starts_with("%sha256-"));
    assert_eq!(fs::read_to_string(folder.join("%key")).expect("read"), key.as_str());
    subject.close().await;
}

#[tokio::test]
async fn a_tombstone_says_what_when_who_and_why() {
    let mut subject = Subject::new(Between::Nothing);
    let key = key("k");
    let entry = crate::subject::entry(&Digest::of(b""), "gone");
    let id = *entry.id();
    subject.store().directory().append(&key, entry).await.expect("added");
    let [hidden] = &names(&subject.key_path(&key))[..] else { panic!("one entry") };
    assert!(subject.delete(&key, &id).await);
    let name = key.file_name();
    let folder = subject.data().join("archive/tombstones/entries");
    let folder = folder.join(name.fan_out()).join(name.name());
    let [file] = &names(&folder)[..] else { panic!("one tombstone") };
    let text = fs::read_to_string(folder.join(file)).expect("read");
    let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read["who"], "operator");
    assert_eq!(read["why"], "a \"reason\"");
    assert_eq!(read["when"], file[..23]);
    assert_eq!(read["path"], format!("entries/{name}/{hidden}"));
    let quarantine = subject.data().join("quarantine/collected/entries");
    let moved = names(&quarantine.join(name.fan_out()).join(name.name()));
    assert_eq!(moved, [hidden.as_str()], "nothing is deleted");
    subject.close().await;
}

#[tokio::test]
async fn archives_merge_by_copying() {
    let mut one = Subject::new(Between::Nothing);
    let mut other = Subject::new(Between::Nothing);
    let key = key("merged");
    let entry = |note: &str| crate::subject::entry(&Digest::of(b""), note);
    for (subject, notes) in [(&one, ["a", "both"]), (&other, ["both", "b"])] {
        for note in notes {
            subject.store().directory().append(&key, entry(note)).await.expect("added");
        }
    }
    let listed_before = one.listed(&key).await.expect("entries");
    assert_eq!(listed_before.len(), 2);
    let (from, to) = (other.key_path(&key), one.key_path(&key));
    for name in names(&from) {
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
    assert_eq!(names(&to).len(), 4);
    // Shown at once to who opens the archive; the same entry from both is one.
    one.close().await;
    one.open();
    let listed = one.listed(&key).await.expect("entries");
    let notes: Vec<_> = listed
        .iter()
        .map(|(text, _)| serde_json::from_str::<serde_json::Value>(text).expect("JSON"))
        .map(|metadata| metadata["note"].as_str().expect("a note").to_owned())
        .collect();
    assert_eq!(notes, ["a", "both", "b"]);
    one.close().await;
    other.close().await;
}
