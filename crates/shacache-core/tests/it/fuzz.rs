//! Fuzz targets for every text that reaches this crate from a network: what is accepted reads back
//! as itself, nothing else is accepted, and nothing panics.

use shacache_core::digest::AnyDigest;
use shacache_core::entry::{EntryError, Listing, SignedEntry};
use shacache_core::json::{Reader, Value};
use shacache_core::key::{Key, KeyError, KeyFileName};
use shacache_core::signature::Signature;
use shacache_core::trust::{Certificate, SkippedCertificate, Trust};
use shacache_fuzz::target;

target!(digest, |input| digest_property(|text| text.parse().ok(), input),
    planted: |input| digest_property(|text| text.trim().parse().ok(), input));

/// 32, 40, 64 or 128 hex digits are a digest, and nothing else is.
fn digest_property(read: fn(&str) -> Option<AnyDigest>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest = read(text);
    assert_eq!(digest.is_some(), is_hex && matches!(text.len(), 32 | 40 | 64 | 128), "{text:?}");
    if let Some(digest) = digest {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
        assert_eq!(read(&digest.to_string()), Some(digest));
    }
}

target!(key, |input| key_property(Key::from_path, input),
    planted: |input| key_property(|raw| Key::from_path(Key::from_path(raw)?.as_str().as_bytes()), input));

/// A path is decoded once, and a key reads back from its path and from the name of its folder. Two
/// keys (NUL stands between their paths) never share a folder, not even where case does not count.
fn key_property(read: fn(&[u8]) -> Result<Key, KeyError>, input: &[u8]) {
    let keys: Vec<Key> =
        input.split(|byte| *byte == 0).take(2).filter_map(|raw| read(raw).ok()).collect();
    for key in &keys {
        assert!((1..=Key::MAX_BYTES).contains(&key.as_str().len()));
        assert!(!key.as_str().bytes().any(|byte| byte.is_ascii_control()));
        assert_eq!(read(key.to_path().as_bytes()).as_ref(), Ok(key));
        let name = key.file_name();
        assert!((1..=KeyFileName::MAX_BYTES).contains(&name.name().len()));
        assert!(!name.name().starts_with('.') && !name.name().contains('/'), "{name}");
        assert_eq!(KeyFileName::decode(name.name()).as_ref(), (!name.is_digest()).then_some(key));
    }
    if let [one, other] = keys.as_slice() {
        let folder = |key: &Key| key.file_name().to_string().to_ascii_lowercase();
        assert_eq!(folder(one) == folder(other), one == other);
    }
}

target!(file_name, |input| file_name_property(KeyFileName::decode, input),
    planted: |input| file_name_property(|name| Key::from_path(name.as_bytes()).ok(), input));

/// No folder's name but the one of its key is taken for that key's.
fn file_name_property(decode: fn(&str) -> Option<Key>, input: &[u8]) {
    let Ok(name) = str::from_utf8(input) else { return };
    if let Some(key) = decode(name) {
        assert_eq!(key.file_name().name(), name);
    }
}

target!(entry, |input| entry_property(SignedEntry::from_body, input),
    planted: |input| entry_property(rewritten, input));

/// An accepted body stays as it is, its texts make the same entry again, and a list of it lists it.
fn entry_property(read: fn(&[u8]) -> Result<SignedEntry, EntryError>, input: &[u8]) {
    let entry = match read(input) {
        Ok(entry) => entry,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    assert_eq!(entry.body().as_bytes(), input);
    let metadata = entry.metadata();
    let named = metadata.get("sha512").and_then(Value::as_str).expect("a text");
    assert_eq!(named.to_ascii_lowercase(), entry.digest().to_string());

    match SignedEntry::from_texts(entry.metadata_text(), entry.signature().text()) {
        Ok(again) => {
            assert_eq!(again.metadata_text(), entry.metadata_text());
            assert_eq!(again.signature(), entry.signature());
            assert_eq!((again.id(), again.digest()), (entry.id(), entry.digest()));
        }
        // Python's escapes may be longer than what was sent.
        Err(error) => assert!(matches!(error, EntryError::TooLarge { .. }), "{error}"),
    }

    let list = [b"[", input, b",", input, b"]"].concat();
    let list = Listing::read(&list, usize::MAX).expect("a list of two");
    let listed: Vec<_> = list.entries().map(|item| item.expect("an entry")).collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].id(), entry.id());
    assert_eq!(listed[1].body().trim_ascii(), entry.body().trim_ascii());
}

/// As a server would that writes entries anew.
fn rewritten(body: &[u8]) -> Result<SignedEntry, EntryError> {
    let entry = SignedEntry::from_body(body)?;
    SignedEntry::from_texts(entry.metadata_text(), entry.signature().text())
}

target!(listing, |input| listing_property(items, input),
    planted: |input| listing_property(|bytes| items(bytes.strip_suffix(b"\n")?), input));

/// A list followed by anything but white space is none, and the list of one more item has one more.
fn listing_property(count: fn(&[u8]) -> Option<usize>, input: &[u8]) {
    let Some(count_before) = count(input) else { return };
    assert_eq!(count(&[input, b" "].concat()), Some(count_before));
    assert_eq!(count(&[input, b"]"].concat()), None);
    let end = input.iter().rposition(|byte| *byte == b']').expect("a list ends");
    let comma: &[u8] = if count_before == 0 { b"" } else { b"," };
    assert_eq!(count(&[&input[..end], comma, b"0]"].concat()), Some(count_before + 1));
}

fn items(bytes: &[u8]) -> Option<usize> {
    let listing = Listing::read(bytes, usize::MAX).ok()?;
    assert_eq!(listing.entries().count(), listing.len());
    Some(listing.len())
}

target!(signature, |input| signature_property(|text| text.parse().ok(), input),
    planted: |input| signature_property(|text| text.replace('!', "").parse().ok(), input));

/// An accepted signature keeps its text; only base64 and white space are accepted.
fn signature_property(read: fn(&str) -> Option<Signature>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Some(signature) = read(text) else { return };
    assert_eq!(signature.text(), text);
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"+/= \t\n\r\x0b\x0c".contains(&byte);
    assert!(text.bytes().all(alphabet), "{text:?}");
    let again = Signature::from_bytes(signature.bytes());
    assert_eq!(read(again.text()).expect("ours").bytes(), signature.bytes());
}

target!(json, |input| json_property(|text| DEEP.read(text).ok(), input),
    planted: |input| json_property(|text| DEEP.read(text.trim_end_matches(',')).ok(), input));

/// A value is written in a form that reads back as the same value, and a text goes on after its
/// value with white space only.
fn json_property(read: fn(&str) -> Option<Value>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Some(value) = read(text) else { return };
    let written = value.to_string();
    assert!(written.is_ascii() && !written.contains('\n'), "{written}");
    let again = read(&written).expect("our own spelling");
    assert_eq!(again.to_string(), written);
    assert_eq!(
        read(&value.to_sorted_lines()).expect("our own").to_sorted_lines(),
        value.to_sorted_lines()
    );
    assert!(read(&format!("{text},")).is_none());
    assert_eq!(read(&format!(" {text}\n")).map(|value| value.to_string()), Some(written));
    let _any = value.compare(&again);
}

const DEEP: Reader = Reader::new().max_depth(u8::MAX);

target!(pem_list, |input| pem_list_property(Trust::from_pem_list, input),
    planted: |input| pem_list_property(|text| Trust::from_pem_list(&text.replace("\n ", "\n#")), input));

/// Indentation and repetition change nothing about which keys are trusted.
fn pem_list_property(read: fn(&str) -> (Trust, Vec<SkippedCertificate>), input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (trust, skipped) = read(text);
    for skip in &skipped {
        assert_one_line(&skip.to_string());
        assert!((1..=text.matches('\n').count() + 1).contains(&skip.line), "{skip}");
    }
    let keys = |trust: &Trust| -> Vec<String> {
        trust.certificates().iter().map(|it| it.public_key().fingerprint().to_string()).collect()
    };
    let mut unique = keys(&trust);
    unique.dedup();
    assert_eq!(unique, keys(&trust));
    let (indented, _) = read(&text.replace('\n', "\n    "));
    assert_eq!(keys(&indented), keys(&trust));
    let (twice, skipped_twice) = read(&format!("{text}\n{text}"));
    assert_eq!(keys(&twice), keys(&trust));
    assert!(skipped_twice.len() >= skipped.len());
}

target!(verification, |input| verification_property(|trust, entry| trust.verify(entry).is_ok(), input),
    planted: |input| verification_property(|_, entry| !entry.signature().is_empty(), input));

/// Nobody signs by chance: what is read as metadata and signature is never trusted.
fn verification_property(trusts: fn(&Trust, SignedEntry) -> bool, input: &[u8]) {
    let (metadata, signature) = input.split_at(input.len().min(8));
    let metadata = format!(r#"{{"sha512": "{:0128}", "by": {:?}}}"#, 0, metadata);
    let signature = Signature::from_bytes(signature);
    let entry = SignedEntry::from_texts(&metadata, signature.text());
    let Ok(entry) = entry else { return };
    let certificate = include_str!("../../testdata/golden/tool.pem");
    let trust: Trust =
        [Certificate::from_pem(certificate).expect("a certificate")].into_iter().collect();
    assert!(!trusts(&trust, entry));
}

/// What goes wrong is told in one line without control characters.
fn assert_one_line(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}
