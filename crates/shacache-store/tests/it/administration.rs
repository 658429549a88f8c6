//! Deleting, collecting and holding: what a dry run leaves alone, what the audit log says, and what
//! happens when something cannot be read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::trust::{Certificate, PublicKey};
use shacache_store::administration::{Collecting, Held, Query, Removals, Target};
use shacache_store::archive_file::ArchiveFile;
use shacache_store::error::StoreError;
use shacache_store::import::Taken;

use crate::contract::listing::complete;
use crate::subject::{Between, Subject, entry, key, operator, some_bytes};

const EVERYTHING_UNUSED: Collecting = Collecting::Garbage { unused_days: 0, most_entries: false };

/// Every file below the folders that hold what is not derived, with its bytes.
fn files(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn add(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("listed").path();
            if path.is_dir() {
                add(&path, files);
            } else {
                files.insert(path.clone(), fs::read(&path).expect("read"));
            }
        }
    }
    let mut files = BTreeMap::new();
    for folder in ["archive", "quarantine", "unclaimed"] {
        add(&data.join(folder), &mut files);
    }
    files
}

/// The records of the audit log, oldest first.
fn audit(data: &Path) -> Vec<Value> {
    let below = |path: &PathBuf| path.starts_with(data.join("archive/audit"));
    let records = files(data).into_iter().filter(|(path, _)| below(path));
    records
        .map(|(path, text)| {
            let record: Value = serde_json::from_slice(&text).expect("JSON");
            let name =
                format!("{}-{}.json", record["when"].as_str().expect("a time"), Digest::of(&text));
            assert!(path.ends_with(format!("{}/{name}", &name[..4])), "{}", path.display());
            record
        })
        .collect()
}

fn expired(digest: &Digest) -> SignedEntry {
    let metadata = format!("{{\"sha512\": \"{digest}\", \"expiration_date\": \"2001-01-01\"}}");
    SignedEntry::from_texts(&metadata, "").expect("an entry")
}

/// A key with an entry that has expired, one without a blob, and a blob without an entry.
async fn filled() -> (Subject, Digest) {
    let subject = Subject::new(Between::Nothing);
    let named = *subject.upload(&some_bytes(1, 10)).await.expect("stored").digest();
    let orphan = *subject.upload(&some_bytes(2, 20)).await.expect("stored").digest();
    for entry in [expired(&named), entry(&Digest::of(b"never sent"), "no blob")] {
        subject.store().directory().append(&key("k"), entry).await.expect("added");
    }
    (subject, orphan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_and_why_and_changes_nothing() {
    let (mut subject, orphan) = filled().await;
    let before = files(subject.data());
    let administration = subject.store().administration().clone();
    let collect = async |options, dry_run| {
        administration.collect(&operator(), options, dry_run).await.expect("collected")
    };
    let delete = async |dry_run| {
        let target = Target::Key(key("k"));
        administration.delete(&operator(), target, dry_run).await.expect("deleted")
    };
    let wanted = [
        collect(EVERYTHING_UNUSED, true).await,
        collect(Collecting::Expired, true).await,
        administration.ban(&operator(), &orphan, true).await.expect("asked"),
        delete(true).await,
    ];
    assert_eq!(files(subject.data()), before);
    let numbers = wanted.each_ref().map(|it| (it.dry_run, it.blobs, it.entries, it.listed.len()));
    let expected = [(true, 1, 1, 2), (true, 0, 1, 1), (true, 1, 0, 1), (true, 0, 2, 2)];
    assert_eq!(numbers, expected);
    assert!(wanted.iter().flat_map(|it| &it.listed).all(|removal| !removal.reason.is_empty()));
    // Done in earnest, it is exactly that.
    let done = collect(Collecting::Expired, false).await;
    assert_eq!(Removals { dry_run: true, ..done }, wanted[1]);
    assert_ne!(files(subject.data()), before);
    drop(administration);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_not_served_from_memory() {
    let (mut subject, orphan) = filled().await;
    let in_chunks = some_bytes(9, 150_000);
    let in_chunks = *subject.upload(&in_chunks).await.expect("stored").digest();
    let administration = subject.store().administration().clone();
    for digest in [orphan, in_chunks] {
        // Asked for often enough, it is at hand: for a moment nobody looks whether its file is there.
        let (file, aside) = (subject.blob_path(&digest), subject.data().join("aside"));
        let mut is_at_hand = false;
        // A machine that stalls may let the moment pass.
        for _ in 0..10 {
            warm(&subject, &digest).await;
            fs::rename(&file, &aside).expect("moved");
            is_at_hand |= subject.download(&digest).await.expect("read").is_some();
            fs::rename(&aside, &file).expect("moved back");
            if is_at_hand {
                break;
            }
        }
        assert!(is_at_hand);
        administration.ban(&operator(), &digest, false).await.expect("banned");
        assert_eq!(subject.download(&digest).await.expect("asked"), None);
        administration.unban(&operator(), &digest).await.expect("ended");
    }
    for digest in [orphan, in_chunks] {
        warm(&subject, &digest).await;
    }
    administration.collect(&operator(), EVERYTHING_UNUSED, false).await.expect("collected");
    for digest in [orphan, in_chunks] {
        assert_eq!(subject.download(&digest).await.expect("asked"), None);
    }
    drop(administration);
    subject.close().await;
}

/// Asks for a blob as often as it takes to have it at hand.
async fn warm(subject: &Subject, digest: &Digest) {
    for _ in 0..3 {
        assert!(subject.download(digest).await.expect("read").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_says_who_did_what_when_and_why() {
    let (mut subject, orphan) = filled().await;
    let administration = subject.store().administration().clone();
    let name = "case".parse().expect("a name");
    administration.hold(&operator(), &name, vec![Held::Key(key("k"))]).await.expect("held");
    administration.release(&operator(), &name, None).await.expect("released");
    administration.collect(&operator(), EVERYTHING_UNUSED, false).await.expect("collected");
    administration.collect(&operator(), Collecting::Expired, false).await.expect("collected");
    administration.ban(&operator(), &orphan, false).await.expect("banned");
    administration.unban(&operator(), &orphan).await.expect("ended");
    drop(administration);
    let records = audit(subject.data());
    let actions: Vec<&str> = records.iter().map(|it| it["action"].as_str().unwrap()).collect();
    let expected =
        ["hold", "release", "collect-blobs", "collect-entries", "expire-entries", "ban", "unban"];
    assert_eq!(actions, expected);
    for record in &records {
        assert_eq!((&record["who"], &record["why"]), (&"operator".into(), &"a \"reason\"".into()));
        assert!(record["run"].as_str() <= record["when"].as_str());
    }
    let blob = &records[2]["what"][0];
    assert_eq!(blob["digest"], orphan.to_string());
    assert_eq!(blob["bytes"], 20);
    assert!(blob["path"].as_str().unwrap().starts_with("blobs/"));
    assert_eq!(records[3]["what"][0]["key"], "k");
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_tools_read_the_audit_log() {
    let (mut subject, orphan) = filled().await;
    let administration = subject.store().administration().clone();
    administration.collect(&operator(), EVERYTHING_UNUSED, false).await.expect("collected");
    drop(administration);
    let read = Command::new("sh")
        .arg("-c")
        .arg("cd archive/audit && cat */*.json | jq -r '.who + \" \" + .what[].digest' | head -n 1")
        .current_dir(subject.data())
        .output()
        .expect("run");
    assert_eq!(String::from_utf8_lossy(&read.stdout), format!("operator {orphan}\n"));
    subject.close().await;
}

/// Puts an entry that a listed tool signed and one that nobody did; gives the tool's key.
async fn put_signed_and_unsigned(subject: &Subject) -> PublicKey {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shacache-core/testdata/golden");
    let body = fs::read(golden.join(SIGNED)).expect("read");
    let signed = SignedEntry::from_body(&body).expect("an entry");
    let pem = fs::read_to_string(golden.join("tool.pem")).expect("read");
    let signer = Certificate::from_pem(&pem).expect("a certificate").public_key().clone();
    for entry in [signed.clone(), entry(signed.digest(), "unsigned")] {
        subject.store().directory().append(&key("k"), entry).await.expect("added");
    }
    signer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_signer_signed_is_found() {
    let mut subject = Subject::new(Between::Nothing);
    let signer = put_signed_and_unsigned(&subject).await;
    let administration = subject.store().administration().clone();
    let search = async |signer: Option<PublicKey>| {
        let query = Query { signer, ..Query::default() };
        administration.search(query, None, 10).await.expect("searched")
    };
    let all = complete(async || search(None).await, 2).await;
    assert_eq!(all.listed.len(), 2);
    let found = search(Some(signer)).await.listed;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(!found[0].metadata.contains("unsigned"), "{found:?}");
    drop(administration);
    subject.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_signer_signed_is_deleted_from_a_time_on() {
    let mut subject = Subject::new(Between::Nothing);
    let signer = put_signed_and_unsigned(&subject).await;
    let administration = subject.store().administration().clone();
    let delete = async |since_us| {
        let target = Target::Signer { key: signer.clone(), since_us };
        administration.delete(&operator(), target, false).await.expect("deleted").entries
    };
    assert_eq!(delete(i64::MAX).await, 0, "it was received before");
    assert_eq!(delete(0).await, 1);
    assert_eq!(delete(0).await, 0);
    let listed = subject.listed(&key("k")).await.expect("one is left");
    assert!(listed[0].0.contains("unsigned"), "{listed:?}");
    drop(administration);
    subject.close().await;
}

/// Nobody knows what it names, and so nothing is known to be unnamed.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_everything() {
    let (mut subject, _) = filled().await;
    let administration = subject.store().administration().clone();
    let folder = subject.key_path(&key("k"));
    let damaged = folder.join(fs::read_dir(&folder).unwrap().next().unwrap().unwrap().file_name());
    let text = fs::read(&damaged).expect("read");
    fs::write(&damaged, "no entry").expect("written");
    let before = files(subject.data());
    let refused = administration.collect(&operator(), EVERYTHING_UNUSED, false).await;
    assert!(matches!(refused, Err(StoreError::Unsure(_))), "{refused:?}");
    fs::write(&damaged, text).expect("written");

    let hold = subject.data().join("archive/holds/case/0.json");
    fs::create_dir_all(hold.parent().expect("a folder")).expect("made");
    fs::write(&hold, "{}").expect("written");
    for refused in [
        administration.collect(&operator(), EVERYTHING_UNUSED, false).await,
        administration.delete(&operator(), Target::Key(key("k")), false).await,
        administration.ban(&operator(), &Digest::of(b""), false).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Unsure(_))), "{refused:?}");
    }
    fs::remove_dir_all(hold.parent().expect("a folder")).expect("removed");
    let mut after = files(subject.data());
    after.remove(&damaged);
    assert!(after.iter().all(|(path, bytes)| before[path] == *bytes));
    assert_eq!(after.len() + 1, before.len());
    drop(administration);
    subject.close().await;
}

/// An entry whose blob was here and got lost is no garbage: its blob may be found again.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_blob_got_lost_stays() {
    let mut subject = Subject::new(Between::Nothing);
    let digest = *subject.upload(&some_bytes(1, 10)).await.expect("stored").digest();
    let other = *subject.upload(&some_bytes(2, 10)).await.expect("stored").digest();
    for (digest, name) in [(&digest, "k"), (&other, "other")] {
        let entry = entry(digest, "one");
        subject.store().directory().append(&key(name), entry).await.expect("added");
    }
    subject.close().await;
    fs::remove_file(subject.blob_path(&digest)).expect("removed");
    subject.open();
    let administration = subject.store().administration().clone();
    let collected = administration.collect(&operator(), EVERYTHING_UNUSED, false).await;
    assert_eq!(collected.expect("collected").entries, 0);
    assert!(subject.listed(&key("k")).await.is_some());
    drop(administration);
    subject.close().await;
}

/// An entry that comes from another archive names its blob as one that a client puts does.
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_entry_brings_its_blob_back() {
    let (mut subject, orphan) = filled().await;
    let administration = subject.store().administration().clone();
    administration.collect(&operator(), EVERYTHING_UNUSED, false).await.expect("collected");
    drop(administration);
    assert_eq!(subject.download(&orphan).await.expect("read"), None);
    let entry = entry(&orphan, "from elsewhere");
    let (key, id) = (key("k").file_name(), entry.id());
    let path =
        format!("entries/{}/{}/20200101T000000.000000Z-{id}.json", key.fan_out(), key.name());
    let name = ArchiveFile::parse(&path).expect("a name");
    let text = Bytes::copy_from_slice(entry.body().as_bytes());
    assert_eq!(subject.store().import_text(&name, text).await.expect("asked"), Taken::New);
    assert_eq!(subject.download(&orphan).await.expect("read"), Some(some_bytes(2, 20)));
    subject.close().await;
}

/// Whoever puts an entry waits for whoever collects, who must not wait for the end of all writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_is_closed_while_it_collects_ends() {
    for round in 0..20_u64 {
        let mut subject = Subject::new(Between::Nothing);
        for seed in 0..40 {
            subject.upload(&some_bytes(seed, 10)).await.expect("stored");
        }
        let store = subject.store();
        let (administration, directory) =
            (store.administration().clone(), store.directory().clone());
        let puts = (0..40).map(|seed| {
            let (directory, digest) = (directory.clone(), Digest::of(&some_bytes(seed, 10)));
            let key = key(&format!("k{seed}"));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(round * seed % 7)).await;
                directory.append(&key, entry(&digest, "one")).await
            })
        });
        let puts: Vec<_> = puts.collect();
        let collecting = tokio::spawn(async move {
            drop(administration.collect(&operator(), EVERYTHING_UNUSED, false).await);
        });
        tokio::time::sleep(Duration::from_millis(round % 10)).await;
        drop(directory);
        tokio::time::timeout(Duration::from_secs(20), subject.close()).await.expect("it ends");
        collecting.await.expect("ended");
        for put in puts {
            drop(put.await.expect("ended"));
        }
    }
}

/// What is collected and what came back are what was meant to be: no check finds anything wrong.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_collected_counts_as_lost() {
    let (mut subject, orphan) = filled().await;
    let administration = subject.store().administration().clone();
    administration.collect(&operator(), EVERYTHING_UNUSED, false).await.expect("collected");
    let entry = entry(&orphan, "back");
    subject.store().directory().append(&key("k"), entry).await.expect("added");
    administration.ban(&operator(), &Digest::of(&some_bytes(1, 10)), false).await.expect("banned");
    drop(administration);
    subject.close().await;
    subject.open();
    let options = shacache_store::verify::VerifyOptions {
        subset: shacache_store::verify::Subset::WHOLE,
        resume: false,
        dry_run: false,
        bytes_per_second: None,
    };
    let report = subject.store().verify(options, |_| true).await.expect("checked");
    assert_eq!((report.findings, report.blobs), (Vec::new(), 1));
    assert_eq!(subject.store().counters().lost_blobs, 0);
    subject.close().await;
}

const SIGNED: &str = "tool.json";
