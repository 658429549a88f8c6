//! Which entries are believed: signed by a trusted key and made for the key asked for.

use std::io::Write;
use std::sync::Mutex;

use shacache_client::binding::url_key;
use shacache_client::blocking::Client;
use shacache_client::config::Config;
use shacache_client::keygen::KeyPair;
use shacache_client::selection::{BindingRule, Selection, TrustRule};
use shacache_client::signer::Signer;
use shacache_client::{ClientError, Subject};
use shacache_core::digest::Digest;
use shacache_core::json::Object;
use shacache_core::key::Key;
use shacache_core::trust::Trust;

use crate::stub::{Stub, answer};

const URL: &str = "http://example.com/a";

/// A directory with one list of entries, which it gives for every key.
fn directory() -> Stub {
    let entries: Mutex<Vec<String>> = Mutex::default();
    Stub::start(move |request, connection| {
        let mut entries = entries.lock().unwrap();
        let _ = connection.write_all(&if request.is("PUT") {
            entries.push(String::from_utf8(request.body.clone()).unwrap());
            answer("201 Created", "", b"")
        } else {
            answer("200 OK", "", format!("[{}]", entries.join(", ")).as_bytes())
        });
    })
}

fn pair() -> KeyPair {
    KeyPair::generate(1024, "somebody").unwrap()
}

/// A client that signs with one pair and trusts the others.
fn client(stub: &Stub, signs: Option<&KeyPair>, trusts: &[&KeyPair]) -> Client {
    let list: String = trusts.iter().map(|pair| pair.certificate_pem.as_str()).collect();
    Client::new(&Config {
        trust: Trust::from_pem_list(&list).0,
        signer: signs.map(|pair| Signer::from_pem(&pair.private_key_pem).unwrap()),
        ..stub.config()
    })
    .unwrap()
}

fn metadata(name: &str, value: &str) -> Object {
    let mut metadata = Object::new();
    metadata.insert(name, value);
    metadata
}

fn index(client: &Client, key: &Key, name: &str, value: &str) {
    client.index(key, &Digest::of(value.as_bytes()), &metadata(name, value)).unwrap();
}

#[test]
fn only_a_trusted_signature_counts() {
    let (ours, theirs) = (pair(), pair());
    let stub = directory();
    index(&client(&stub, Some(&theirs), &[]), &url_key(URL), "url", URL);
    index(&client(&stub, None, &[]), &url_key(URL), "url", URL);
    let reader = client(&stub, None, &[&ours]);
    let strict = Selection::default();
    let error = reader.select(&url_key(URL), &strict).unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
    index(&client(&stub, Some(&ours), &[]), &url_key(URL), "url", URL);
    let found = reader.select(&url_key(URL), &strict).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].signer().unwrap().common_name(), Some("somebody"));
    assert_eq!(
        client(&stub, None, &[&ours, &theirs]).select(&url_key(URL), &strict).unwrap().len(),
        2
    );
}

#[test]
fn an_empty_list_of_certificates_trusts_nothing() {
    let stub = directory();
    index(&client(&stub, None, &[]), &url_key(URL), "url", URL);
    let reader = client(&stub, None, &[]);
    let error = reader.select(&url_key(URL), &Selection::default()).unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
    let lax = Selection { trust: TrustRule::Anything, ..Selection::default() };
    assert_eq!(reader.select(&url_key(URL), &lax).unwrap().len(), 1);
}

#[test]
fn a_good_entry_of_another_key_is_refused() {
    let ours = pair();
    let stub = directory();
    let both = client(&stub, Some(&ours), &[&ours]);
    index(&both, &url_key(URL), "url", URL);
    for other in [url_key("http://example.com/b"), "pypi:a=1".parse().unwrap()] {
        let error = both.select(&other, &Selection::default()).unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
        let lax = Selection { binding: BindingRule::AnyKey, ..Selection::default() };
        assert_eq!(both.select(&other, &lax).unwrap().len(), 1);
    }
    assert_eq!(
        both.lookup(&Subject::Url(URL.into()), &Selection::default()).unwrap().digest(),
        &Digest::of(URL.as_bytes())
    );
}

#[test]
fn a_changed_letter_is_noticed() {
    let ours = pair();
    let signed = Mutex::new(None);
    let stub = directory();
    let both = client(&stub, Some(&ours), &[&ours]);
    let entry = both.index(&url_key(URL), &Digest::of(b""), &metadata("url", URL)).unwrap();
    *signed.lock().unwrap() = Some(entry.body().replace("com/a", "com/b"));
    let forged = Stub::start(move |_, connection| {
        let body = format!("[{}]", signed.lock().unwrap().as_deref().unwrap());
        let _ = connection.write_all(&answer("200 OK", "", body.as_bytes()));
    });
    let reader = client(&forged, None, &[&ours]);
    let key = url_key("http://example.com/b");
    let error = reader.select(&key, &Selection::default()).unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
}

#[test]
fn signed_text_is_what_python_would_sign() {
    let stub = directory();
    let digest = Digest::of(b"");
    let mut metadata = metadata("é", "\u{1f600}\"\\\n");
    metadata.insert("timestamp", 1e16);
    let entry = client(&stub, None, &[]).index(&"k".parse().unwrap(), &digest, &metadata).unwrap();
    let expected =
        format!(r#"{{"sha512": "{digest}", "\u00e9": "\ud83d\ude00\"\\\n", "timestamp": 1e+16}}"#);
    assert_eq!(entry.metadata_text(), expected);
    let put = &stub.requests()[0];
    assert_eq!(put.header("content-type"), Some("application/json"));
    assert_eq!(put.body, entry.body().as_bytes());
}
