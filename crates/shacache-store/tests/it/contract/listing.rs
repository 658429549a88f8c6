//! What holds of searching and listing, whatever happens to the index meanwhile.

use std::time::{Duration, Instant};

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_store::administration::{Page, Query};

use crate::subject::{Subject, key, some_bytes};

fn entry(digest: &Digest, rest: &str) -> SignedEntry {
    let metadata = format!("{{\"sha512\": \"{digest}\", {rest}}}");
    SignedEntry::from_texts(&metadata, "").expect("an entry")
}

/// The index is told soon, not at once, and says itself whether it knows all.
pub(crate) async fn complete<T>(ask: impl AsyncFn() -> Page<T>, expected: usize) -> Page<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = ask().await;
        if (page.complete && page.listed.len() == expected) || Instant::now() > deadline {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All pages, from the first on once more while one says that the index does not know all: that it
/// is gone may be noticed between two of them.
async fn all<T>(most: usize, ask: impl AsyncFn(Option<String>, usize) -> Page<T>) -> Vec<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = ask(after, most).await;
        assert!(page.listed.len() <= most);
        after = page.next;
        if !page.complete && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
            (listed, after) = (Vec::new(), None);
            continue;
        }
        listed.extend(page.listed);
        if after.is_none() {
            return listed;
        }
    }
}

pub(crate) async fn entries_are_found_by_what_they_say(subject: &mut Subject) {
    let [one, two] = [1, 2].map(|seed| Digest::of(&some_bytes(seed, 10)));
    for (name, entry) in [
        ("pypi:a=1", entry(&one, "\"file\": \"a-1.tar.gz\", \"size\": 7, \"ok\": true")),
        ("pypi:b=1", entry(&two, "\"url\": \"https://x/dist/b-1.tar.gz?q#f\", \"size\": 70")),
        ("pypi:b=1", entry(&one, "\"file\": \"\\ud800\"")),
        ("other", entry(&two, "\"file\": null")),
    ] {
        subject.store().directory().append(&key(name), entry).await.expect("added");
        subject.step().await;
    }
    let all = Query::default();
    let pattern = |text: &str| Some(text.parse().expect("a pattern"));
    let field = |name: &str, text: &str| vec![(name.to_owned(), pattern(text).expect("one"))];
    for (query, expected) in [
        (all.clone(), 4),
        (Query { key: pattern("pypi:*"), ..all.clone() }, 3),
        (Query { key: pattern("pypi:b=1"), ..all.clone() }, 2),
        (Query { digest: Some(two), ..all.clone() }, 2),
        (Query { digest: Some(two), key: pattern("other"), ..all.clone() }, 1),
        (Query { fields: field("size", "7"), ..all.clone() }, 1),
        (Query { fields: field("size", "7*"), ..all.clone() }, 2),
        (Query { fields: field("ok", "true"), ..all.clone() }, 1),
        (Query { fields: field("url", "*/dist/*"), ..all.clone() }, 1),
        (Query { fields: field("sha512", &one.to_string()), ..all.clone() }, 2),
        (Query { fields: field("none", "*"), ..all.clone() }, 0),
        (Query { file: pattern("*-1.tar.gz"), ..all.clone() }, 2),
        (Query { file: pattern("b-1.tar.gz"), ..all.clone() }, 1),
        (Query { since_us: Some(i64::MAX), ..all.clone() }, 0),
        (Query { until_us: Some(0), ..all.clone() }, 0),
    ] {
        let ask = async || {
            let administration = subject.store().administration();
            administration.search(query.clone(), None, 100).await.expect("searched")
        };
        let found = complete(ask, expected).await;
        assert_eq!((found.listed.len(), &found.next), (expected, &None), "{query:?}");
        assert!(found.listed.is_sorted_by_key(|entry| entry.received.clone()));
    }
}

pub(crate) async fn pages_have_everything_once(subject: &mut Subject) {
    for seed in 0..10_u8 {
        let digest = *subject.upload(&[seed]).await.expect("stored").digest();
        let entry = entry(&digest, "\"a\": 1");
        let key = key(&format!("k{}", seed % 5));
        subject.store().directory().append(&key, entry).await.expect("added");
    }
    subject.step().await;
    let store = || subject.store().administration();
    complete(async || store().blobs(None, 100).await.expect("listed"), 10).await;
    complete(async || store().search(Query::default(), None, 100).await.expect("found"), 10).await;

    let keys = all(2, async |after, most| {
        let after = after.map(|after| key(&after));
        store().keys(after.as_ref(), most).await.expect("listed")
    });
    let keys = keys.await;
    let numbers: Vec<_> = keys.iter().map(|it| (&*it.key, it.entries)).collect();
    assert_eq!(numbers, [("k0", 2), ("k1", 2), ("k2", 2), ("k3", 2), ("k4", 2)]);

    let blobs = all(3, async |after, most| {
        let after = after.map(|after| after.parse().expect("a digest"));
        store().blobs(after, most).await.expect("listed")
    });
    let blobs = blobs.await;
    assert!(blobs.is_sorted_by_key(|blob| blob.digest.clone()));
    assert_eq!(blobs.iter().filter(|blob| (blob.bytes, blob.entries) == (1, 1)).count(), 10);

    let found = all(3, async |after, most| {
        let after = after.map(|after| after.parse().expect("a place"));
        store().search(Query::default(), after, most).await.expect("found")
    });
    let mut found = found.await;
    found.dedup();
    assert_eq!(found.len(), 10);
}
