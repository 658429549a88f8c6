//! What holds for the directory.

use std::collections::HashSet;
use std::sync::Arc;

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_store::error::StoreError;

use crate::subject::{Subject, entry, key};

pub(crate) async fn an_unknown_key_is_a_miss(subject: &mut Subject) {
    assert_eq!(subject.listed(&key("nobody put this")).await, None);
}

pub(crate) async fn entries_come_back_as_they_were_put(subject: &mut Subject) {
    let digest = Digest::of(b"");
    let texts = [
        format!("{{\"sha512\": \"{digest}\"}}"),
        format!("{{ \"note\" : \"\\u00e9 \\ud83d\\ude00 \\/\", \"sha512\":\"{digest}\" }}"),
        format!("{{\"sha512\": \"{digest}\", \"t\": 1.0e+3, \"n\": NaN, \"raw\": \"é\"}}"),
        format!("{{\"lone\": \"\\ud800\", \"sha512\": \"{}\"}}", digest.to_string().to_uppercase()),
    ];
    let key = key("pypi:some=1.0");
    for text in &texts {
        let entry = SignedEntry::from_texts(text, "").expect("an entry");
        subject.store().directory().append(&key, entry).await.expect("added");
        subject.step().await;
    }
    let listed = subject.listed(&key).await.expect("there are entries");
    let expected: Vec<_> = texts.into_iter().map(|text| (text, String::new())).collect();
    assert_eq!(listed, expected);
}

pub(crate) async fn entries_are_listed_oldest_first(subject: &mut Subject) {
    let key = key("many");
    let digest = Digest::of(b"");
    let notes: Vec<String> = (0..20).map(|number| format!("{}", number * 7919 % 20)).collect();
    for note in &notes {
        subject.store().directory().append(&key, entry(&digest, note)).await.expect("added");
    }
    subject.step().await;
    let listed = subject.listed(&key).await.expect("there are entries");
    let expected: Vec<_> =
        notes.iter().map(|note| entry(&digest, note).metadata_text().to_owned()).collect();
    assert_eq!(listed.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), expected);
}

pub(crate) async fn the_same_entry_is_one_entry(subject: &mut Subject) {
    let key = key("twice");
    let entry = entry(&Digest::of(b""), "same");
    let directory = subject.store().directory().clone();
    assert!(directory.append(&key, entry.clone()).await.expect("added").was_new);
    drop(directory);
    subject.step().await;
    assert!(!subject.store().directory().append(&key, entry).await.expect("added").was_new);
    assert_eq!(subject.listed(&key).await.expect("there are entries").len(), 1);
}

pub(crate) async fn spellings_of_a_signature_are_one_entry(subject: &mut Subject) {
    let key = key("wrapped");
    let metadata = format!("{{\"sha512\": \"{}\"}}", Digest::of(b""));
    for (signature, is_new) in [("YWJjZGVm", true), ("YWJj\nZGVm\n", false)] {
        let entry = SignedEntry::from_texts(&metadata, signature).expect("an entry");
        let appended = subject.store().directory().append(&key, entry).await.expect("added");
        assert_eq!(appended.was_new, is_new);
        subject.step().await;
    }
    // As it was first received.
    assert_eq!(subject.listed(&key).await, Some(vec![(metadata, "YWJjZGVm".into())]));
}

pub(crate) async fn odd_keys_do_not_meet(subject: &mut Subject) {
    let long = "k".repeat(512);
    let longer = format!("{}l", &long[..511]);
    let keys = [
        "a",
        "A",
        "a/b",
        "a%2Fb",
        "a%2fb",
        "..",
        ".",
        "%",
        "file-urlmd5:0",
        "x>=1",
        "x<1",
        "`",
        "'q'",
        "é",
        "e\u{301}",
        " ",
        "a b",
        long.as_str(),
        longer.as_str(),
    ];
    for text in keys {
        let entry = entry(&Digest::of(b""), text);
        subject.store().directory().append(&key(text), entry).await.expect("added");
    }
    subject.step().await;
    for text in keys {
        let listed = subject.listed(&key(text)).await.expect("there is an entry");
        let expected = entry(&Digest::of(b""), text).metadata_text().to_owned();
        assert_eq!(listed, [(expected, String::new())], "{text}");
    }
}

pub(crate) async fn many_writers_lose_nothing(subject: &mut Subject) {
    let directory = subject.store().directory().clone();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let directory = directory.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    let key = key(&format!("shared {}", number % 5));
                    let note = format!("{writer} {number}");
                    let entry = entry(&Digest::of(b""), &note);
                    directory.append(&key, entry).await?;
                    let listing = directory.get(&key).await?.expect("there are entries");
                    let json = String::from_utf8_lossy(listing.json()).into_owned();
                    assert!(json.contains(&note), "an acknowledged entry is in every later list");
                }
                Ok::<_, StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("added");
    }
    drop(directory);
    subject.step().await;
    let mut seen = HashSet::new();
    for number in 0..5 {
        let listed = subject.listed(&key(&format!("shared {number}"))).await;
        for pair in listed.expect("there are entries") {
            assert!(seen.insert(pair), "no entry twice");
        }
    }
    assert_eq!(seen.len(), 200);
}

pub(crate) async fn a_removed_entry_is_hidden_until_it_is_put_again(subject: &mut Subject) {
    let key = key("removed");
    let (one, other) = (entry(&Digest::of(b""), "one"), entry(&Digest::of(b""), "other"));
    let directory = subject.store().directory().clone();
    directory.append(&key, one.clone()).await.expect("added");
    directory.append(&key, other.clone()).await.expect("added");
    drop(directory);
    assert!(subject.delete(&key, one.id()).await);
    subject.step().await;
    let listed = subject.listed(&key).await.expect("one is left");
    assert_eq!(listed, [(other.metadata_text().to_owned(), String::new())]);
    assert!(!subject.delete(&key, one.id()).await);
    let directory = subject.store().directory().clone();
    assert!(directory.append(&key, one.clone()).await.expect("added").was_new);
    drop(directory);
    subject.step().await;
    let texts = [&other, &one].map(|entry| (entry.metadata_text().to_owned(), String::new()));
    assert_eq!(subject.listed(&key).await.expect("both"), texts);
}

pub(crate) async fn the_tag_changes_with_the_list(subject: &mut Subject) {
    let key = key("tagged");
    let mut tags = HashSet::new();
    for note in ["a", "b", "c"] {
        let directory = subject.store().directory().clone();
        directory.append(&key, entry(&Digest::of(b""), note)).await.expect("added");
        let tag = directory.get(&key).await.expect("read").expect("entries").tag().to_owned();
        drop(directory);
        subject.step().await;
        let listing = subject.store().directory().get(&key).await.expect("read");
        assert_eq!(listing.expect("entries").tag(), tag);
        assert!(tags.insert(tag));
    }
}

pub(crate) async fn a_full_key_takes_no_more(subject: &mut Subject) {
    let full = key("full");
    let large = "x".repeat(60_000);
    let mut taken = 0;
    let refused = loop {
        let entry = entry(&Digest::of(b""), &format!("{taken}{large}"));
        match subject.store().directory().append(&full, entry).await {
            Ok(_) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refused, StoreError::KeyFull { .. }), "{refused:?}");
    assert_eq!(taken, (16 << 20) / 60_000);
    subject.step().await;
    // What is there is listed, what is there may be put again, and other keys are not concerned.
    assert_eq!(subject.listed(&full).await.expect("entries").len(), taken);
    // However many read it slowly, it is in memory once.
    let listing = async || subject.store().directory().get(&full).await.expect("read");
    let (one, other) = (listing().await.expect("entries"), listing().await.expect("entries"));
    assert!(Arc::ptr_eq(&one, &other), "the longest list is read for each who asks");
    let again = entry(&Digest::of(b""), &format!("0{large}"));
    assert!(!subject.store().directory().append(&full, again).await.expect("there").was_new);
    let other = entry(&Digest::of(b""), "small");
    subject.store().directory().append(&key("other"), other).await.expect("added");
}
