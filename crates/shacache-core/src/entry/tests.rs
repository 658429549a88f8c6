use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::json::ReadProblem;

/// The SHA-512 of nothing.
const EMPTY: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

fn metadata(members: &str) -> String {
    format!(r#"{{"sha512": "{EMPTY}"{members}}}"#)
}

fn refusal(body: &[u8]) -> EntryError {
    SignedEntry::from_body(body).expect_err("the body is no entry")
}

fn metadata_refusal(metadata_text: &str) -> EntryError {
    SignedEntry::from_texts(metadata_text, "").expect_err("the metadata is refused")
}

#[test]
fn body_and_texts_stay_as_received() {
    let body = format!("\n[ \"{{\\u0022sha512\\u0022:\\\"{EMPTY}\\\"}}\",\"Zm\\n9v\" ] ");
    let entry = SignedEntry::from_body(body.as_bytes()).unwrap();
    assert_eq!(entry.body(), body);
    assert_eq!(entry.metadata_text(), format!(r#"{{"sha512":"{EMPTY}"}}"#));
    assert_eq!(entry.signature().text(), "Zm\n9v");
    assert_eq!(entry.signature().bytes(), b"foo");
    assert_eq!(entry.digest().to_string(), EMPTY);
}

#[test]
fn two_texts_make_the_body_that_python_makes() {
    let entry = SignedEntry::from_texts(&metadata(", \"file\": \"é\""), "Zm9v").unwrap();
    let body = format!(r#"["{{\"sha512\": \"{EMPTY}\", \"file\": \"\u00e9\"}}", "Zm9v"]"#);
    assert_eq!(entry.body(), body);
}

#[test]
fn upper_case_digests_are_digests() {
    let entry = SignedEntry::from_texts(&metadata("").to_uppercase().replace("SHA", "sha"), "");
    assert_eq!(entry.unwrap().digest().to_string(), EMPTY);
}

#[test]
fn what_is_harmless_inside_the_metadata_stays() {
    let members = r#", "a": NaN, "b": "\ud800", "c": -Infinity, "d": 1e999"#;
    let entry = SignedEntry::from_texts(&metadata(members), "").unwrap();
    assert!(entry.metadata().get("a").and_then(Value::as_float).unwrap().is_nan());
    assert_eq!(entry.metadata().get("b").and_then(Value::as_str), None);
}

#[test]
fn bodies_that_are_no_pair_are_refused() {
    let text = metadata("").replace('"', "\\\"");
    assert!(matches!(refusal(b"[\"\xff\", \"\"]"), EntryError::NotUtf8(_)));
    assert!(matches!(refusal(b""), EntryError::NotJson(_)));
    assert!(matches!(refusal("\u{feff}[]".as_bytes()), EntryError::NotJson(_)));
    assert_eq!(refusal(b"{}"), EntryError::NotAList { found: "an object" });
    assert_eq!(refusal(b"[]"), EntryError::NotTwo { found: 0 });
    let three = format!(r#"["{text}", "", ""]"#);
    assert_eq!(refusal(three.as_bytes()), EntryError::NotTwo { found: 3 });
    let number = format!(r#"["{text}", 1]"#);
    assert_eq!(
        refusal(number.as_bytes()),
        EntryError::NotAString { part: EntryPart::Signature, found: "an integer" }
    );
    assert_eq!(
        refusal(br#"[null, ""]"#),
        EntryError::NotAString { part: EntryPart::Metadata, found: "null" }
    );
}

#[test]
fn a_lone_surrogate_in_either_string_is_refused() {
    let text = metadata("").replace('"', "\\\"");
    let in_metadata = format!(r#"["{text}\ud800", ""]"#);
    let refused = EntryError::LoneSurrogate { part: EntryPart::Metadata };
    assert_eq!(refusal(in_metadata.as_bytes()), refused);
    let in_signature = format!(r#"["{text}", "\udc00"]"#);
    let refused = EntryError::LoneSurrogate { part: EntryPart::Signature };
    assert_eq!(refusal(in_signature.as_bytes()), refused);
}

#[test]
fn metadata_without_a_usable_digest_is_refused() {
    assert!(matches!(metadata_refusal(""), EntryError::MetadataNotJson(_)));
    assert_eq!(metadata_refusal("[]"), EntryError::MetadataNotAnObject { found: "a list" });
    assert_eq!(metadata_refusal("{}"), EntryError::NoDigest);
    assert_eq!(
        metadata_refusal(r#"{"sha512": ["a"]}"#),
        EntryError::DigestNotAString { found: "a list" }
    );
    assert_eq!(
        metadata_refusal(r#"{"sha512": "abc"}"#),
        EntryError::Digest(DigestError::Length { expected: 128, found: 3 })
    );
    assert_eq!(
        metadata_refusal(&metadata("").replace("cf83", "\\ud800f")),
        EntryError::Digest(DigestError::NotHex)
    );
}

#[test]
fn metadata_with_a_key_twice_or_nested_too_deep_is_refused() {
    let problem = |text: &str| match metadata_refusal(text) {
        EntryError::MetadataNotJson(error) => error.problem(),
        other => panic!("{other:?} is another reason"),
    };
    assert_eq!(problem(&metadata(r#", "sha\u0035\u00312": 1"#)), ReadProblem::RepeatedKey);
    assert_eq!(problem(&metadata(r#", "a": {"b": 1, "b": 1}"#)), ReadProblem::RepeatedKey);

    let nested = |depth| metadata(&format!(r#", "a": {}{}"#, "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(problem(&nested(32)), ReadProblem::TooDeep { max: 32 });
    SignedEntry::from_texts(&nested(31), "").expect("32 levels with the object itself");
}

#[test]
fn size_is_limited_to_the_byte() {
    let body = |size| {
        let entry = SignedEntry::from_texts(&metadata(""), "").unwrap();
        format!("{}{}", entry.body(), " ".repeat(size - entry.body().len()))
    };
    SignedEntry::from_body(body(65_536).as_bytes()).expect("the largest body");
    assert_eq!(refusal(body(65_537).as_bytes()), EntryError::TooLarge { found: 65_537 });
}

#[test]
fn spellings_of_one_signature_are_one_entry() {
    let id = |signature| *SignedEntry::from_texts(&metadata(""), signature).unwrap().id();
    assert_eq!(id("Zm9vYg=="), id("Zm9v\nYg==\n"));
    assert_eq!(id("Zm9vYg=="), id("Zm9vYh=="), "the last bits stand for nothing");
    assert_ne!(id("Zm9vYg=="), id(""));
}

#[test]
fn id_is_a_digest_of_text_nul_and_signature_bytes() {
    let entry = SignedEntry::from_texts(&metadata(""), "Zm9v").unwrap();
    let hashed = [entry.metadata_text().as_bytes(), b"\0foo"].concat();
    assert_eq!(entry.id().to_string(), Digest::of(&hashed).to_string());
}

#[test]
fn hostile_shapes_are_refused_without_harm() {
    for opening in ["[", "{\"a\":", "[[],"] {
        let body = opening.repeat(SignedEntry::MAX_BODY_BYTES / opening.len());
        assert!(matches!(refusal(body.as_bytes()), EntryError::NotJson(_)));
    }
    let many_keys: String = (0..5000).map(|at| format!(", \"{at}\": 0")).collect();
    SignedEntry::from_texts(&metadata(&many_keys), "").expect("many keys are fine");
}

#[test]
fn reasons_are_one_line() {
    let hostile = [
        "[\"\\n\\u001b[31m\", \"\"]",
        "[\"{\\\"a\\\\nb\\\": 1, \\\"a\\\\nb\\\": 2}\", \"\"]",
        "[\"{\\\"sha512\\\": \\\"\\\\n\\\"}\", \"\"]",
        "[\n\n",
    ];
    for body in hostile {
        let reason = refusal(body.as_bytes()).to_string();
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(SignedEntry::from_body(&bytes).is_err());
    }

    #[test]
    fn entries_read_back_as_themselves(value in any::<String>(), signature in any::<Vec<u8>>()) {
        let mut members = Object::new();
        members.insert("sha512", EMPTY);
        members.insert("value", value.as_str());
        let signature = Signature::from_bytes(&signature);
        let entry = SignedEntry::from_texts(&members.to_string(), signature.text()).unwrap();
        let metadata = entry.metadata();
        prop_assert_eq!(metadata.get("value").and_then(Value::as_str), Some(&*value));
        prop_assert_eq!(SignedEntry::from_body(entry.body().as_bytes()), Ok(entry));
    }

    #[test]
    fn ids_read_back_as_themselves(text in "[0-9a-f]{128}") {
        prop_assert_eq!(text.parse::<EntryId>().map(|id| id.to_string()), Ok(text));
    }
}
