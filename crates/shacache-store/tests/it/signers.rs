//! Who signed an entry, which entries of a key are asked for by that, and what a revocation hides.
//! The entries are those of the real client in the core's golden files, each by another signer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use shacache_core::entry::SignedEntry;
use shacache_core::trust::{Fingerprint, Revocation, Trust};
use shacache_store::directory::{Narrowing, Signers};

use crate::subject::{Between, Subject, key};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../../shacache-core/testdata/golden/", $name))
    };
}

const ENTRIES: [&str; 3] =
    [golden!("tool.json"), golden!("expired.json"), golden!("unsigned.json")];

/// One of the two signers is listed.
fn listed() -> Trust {
    Trust::from_pem_list(golden!("tool.pem")).0
}

fn signer() -> Fingerprint {
    *listed().certificates()[0].public_key().fingerprint()
}

fn revoked_since(since_us: i64) -> Signers {
    Signers::new(listed(), vec![Revocation { signer: signer(), since_us }])
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_micros()).expect("before the year 290000")
}

async fn put(subject: &Subject, under: &str, body: &str) {
    let entry = SignedEntry::from_body(body.trim_end().as_bytes()).expect("golden");
    subject.store().directory().append(&key(under), entry).await.expect("added");
}

/// The bodies that a list has, as far as they are golden entries.
async fn narrowed(subject: &Subject, wanted: Option<Narrowing>) -> Vec<&'static str> {
    let directory = subject.store().directory();
    let listing = match wanted {
        None => directory.get(&key("k")).await.expect("read"),
        Some(wanted) => directory.get_narrowed(&key("k"), wanted).await.expect("read"),
    };
    let Some(listing) = listing else { return Vec::new() };
    let json = str::from_utf8(listing.json()).expect("UTF-8");
    let bodies = ENTRIES.map(str::trim_end).into_iter().filter(|body| json.contains(body));
    let bodies: Vec<_> = bodies.collect();
    assert_eq!(json, format!("[{}]", bodies.join(", ")), "byte for byte, and nothing else");
    bodies
}

#[tokio::test]
async fn a_list_is_narrowed_to_what_listed_keys_signed() {
    let mut subject = Subject::new(Between::Nothing);
    for body in ENTRIES {
        put(&subject, "k", body).await;
    }
    let verified = Some(Narrowing::Verified);
    assert_eq!(narrowed(&subject, None).await.len(), 3);
    assert!(narrowed(&subject, verified).await.is_empty(), "nobody is listed yet");
    subject.store().directory().trust(Signers::new(listed(), Vec::new()));
    let tool = [ENTRIES[0].trim_end()];
    assert_eq!(narrowed(&subject, verified).await, tool);
    assert_eq!(narrowed(&subject, Some(Narrowing::SignedBy(signer()))).await, tool);
    let unlisted = Trust::from_pem_list(golden!("expired.pem")).0;
    let unlisted = *unlisted.certificates()[0].public_key().fingerprint();
    assert!(narrowed(&subject, Some(Narrowing::SignedBy(unlisted))).await.is_empty());
    assert_eq!(narrowed(&subject, None).await.len(), 3);
    subject.close().await;
}

#[tokio::test]
async fn those_who_are_answered_the_same_share_it() {
    let mut subject = Subject::new(Between::Nothing);
    for body in ENTRIES {
        put(&subject, "k", body).await;
    }
    put(&subject, "signed", ENTRIES[0]).await;
    let directory = subject.store().directory();
    let all = async |under| directory.get(&key(under)).await.expect("read").expect("entries");
    let before = all("k").await;
    // What was read before counts no longer, and what is read now is the same.
    directory.trust(Signers::new(listed(), Vec::new()));
    assert!(Arc::ptr_eq(&before, &all("k").await), "read again");

    for wanted in [Narrowing::Verified, Narrowing::SignedBy(signer())] {
        let narrowed = async |under| {
            directory.get_narrowed(&key(under), wanted).await.expect("read").expect("entries")
        };
        let (one, other) = (narrowed("k").await, narrowed("k").await);
        assert!(Arc::ptr_eq(&one, &other), "{wanted:?}");
        assert!(Arc::ptr_eq(&narrowed("signed").await, &all("signed").await), "{wanted:?} of all");
    }
    subject.close().await;
}

#[tokio::test]
async fn a_revocation_hides_what_came_later_and_nothing_else() {
    let mut subject = Subject::new(Between::Nothing);
    let before_us = now_us();
    for body in ENTRIES {
        put(&subject, "k", body).await;
    }
    assert_eq!(narrowed(&subject, None).await.len(), 3);
    let directory = subject.store().directory();
    // What was cached with another list is not served.
    directory.trust(revoked_since(before_us));
    assert_eq!(narrowed(&subject, None).await, [ENTRIES[1].trim_end(), ENTRIES[2].trim_end()]);
    assert!(narrowed(&subject, Some(Narrowing::Verified)).await.is_empty());
    directory.trust(revoked_since(now_us() + 1));
    assert_eq!(narrowed(&subject, None).await.len(), 3);
    assert_eq!(narrowed(&subject, Some(Narrowing::Verified)).await.len(), 1);
    put(&subject, "alone", ENTRIES[0]).await;
    directory.trust(revoked_since(before_us));
    assert!(subject.listed(&key("alone")).await.is_none(), "a key with nothing to show is a miss");
    subject.close().await;
}
