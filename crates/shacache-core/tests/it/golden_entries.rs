//! Entries and certificates made by the real tools, kept under `testdata/golden`.

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::json::Value;
use shacache_core::trust::{Certificate, CertificateError, PublicKeyError, Trust};

#[test]
fn every_usable_certificate_verifies_its_entry_and_no_other() {
    let (trust, skipped) = Trust::from_pem_list(&list());
    assert_eq!(skipped, []);
    for (body, signer) in ENTRIES {
        let entry = entry(body);
        let names: Vec<_> = trust.signers(&entry).map(|it| it.common_name().unwrap()).collect();
        assert_eq!(names, [signer]);
        let trusted = trust.verify(entry.clone()).expect("signed by a listed key");
        assert_eq!(trusted.signer().common_name(), Some(signer));
        assert_eq!(trusted.entry(), &entry);

        let others = CERTIFICATES.iter().map(|pem| Certificate::from_pem(pem).unwrap());
        let others: Trust = others.filter(|it| it.common_name() != Some(signer)).collect();
        let untrusted = others.verify(entry.clone()).expect_err("its key is not listed");
        assert_eq!(untrusted.to_string(), "no listed key made the entry's signature");
        assert_eq!(untrusted.into_entry(), entry);
    }
}

#[test]
fn unsigned_entries_are_never_trusted() {
    let (trust, _) = Trust::from_pem_list(&list());
    let untrusted = trust.verify(entry(UNSIGNED)).expect_err("there is no signature");
    assert_eq!(untrusted.to_string(), "the entry is not signed");
}

#[test]
fn a_changed_text_is_not_trusted() {
    let (trust, _) = Trust::from_pem_list(&list());
    for (body, _) in ENTRIES {
        let entry = entry(body);
        for changed in [
            entry.metadata_text().replace("hello.txt", "hellO.txt"),
            entry.metadata_text().replace(": ", ":"),
            entry.metadata_text().to_owned() + " ",
        ] {
            let changed = SignedEntry::from_texts(&changed, entry.signature().text()).unwrap();
            assert!(trust.verify(changed).is_err());
        }
    }
}

#[test]
fn bodies_are_what_we_would_write_ourselves() {
    for body in ENTRIES.map(|(body, _)| body).into_iter().chain([UNSIGNED]) {
        let entry = entry(body);
        let again =
            SignedEntry::from_texts(entry.metadata_text(), entry.signature().text()).unwrap();
        assert_eq!(again.body(), body);
        assert_eq!(entry.metadata().to_string(), entry.metadata_text());
        assert_eq!(*entry.digest(), Digest::of(b"hello world\n"));
        let url = entry.metadata().get("url").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(url.as_deref(), Some("http://example.com/héllo"));
    }
}

#[test]
fn old_releases_wrap_signatures() {
    let wrapped = ENTRIES.iter().filter(|(body, _)| entry(body).signature().text().contains('\n'));
    assert_eq!(wrapped.count(), 2);
}

#[test]
fn certificates_tell_whose_they_are() {
    let expired = Certificate::from_pem(CERTIFICATES[3]).unwrap();
    assert_eq!(expired.common_name(), Some("expired in 2012"));
    assert_eq!((expired.not_before(), expired.not_after()), (1_009_843_200, 1_325_376_000));
    let eternal = Certificate::from_pem(CERTIFICATES[4]).unwrap();
    assert_eq!((eternal.not_before(), eternal.not_after()), (-631_152_000, 253_402_300_799));
    let bits = CERTIFICATES.map(|pem| Certificate::from_pem(pem).unwrap().public_key().bits());
    assert_eq!(bits, [1024, 2048, 1024, 1024, 1024]);
}

#[test]
fn certificates_without_a_usable_key_are_skipped_and_counted() {
    let unusable = [
        include_str!("../../testdata/golden/short.pem"),
        include_str!("../../testdata/golden/ec.pem"),
        include_str!("../../testdata/golden/ed25519.pem"),
        include_str!("../../testdata/golden/pss.pem"),
    ];
    let list = [CERTIFICATES[0], &unusable.concat(), CERTIFICATES[1]].concat();
    let (trust, skipped) = Trust::from_pem_list(&list);
    assert_eq!(trust.certificates().len(), 2);
    let numbers: Vec<_> = skipped.iter().map(|skipped| skipped.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
    let not_rsa = |algorithm: &str| PublicKeyError::NotRsa { algorithm: algorithm.into() };
    let reasons: Vec<_> = skipped.iter().map(|skipped| skipped.reason.clone()).collect();
    assert_eq!(
        reasons,
        [
            PublicKeyError::Size { bits: 512 },
            not_rsa("EC"),
            not_rsa("Ed25519"),
            not_rsa("RSASSA-PSS"),
        ]
        .map(CertificateError::PublicKey)
    );
    let lines_before = CERTIFICATES[0].lines().count();
    assert_eq!(
        skipped[0].to_string(),
        format!(
            "certificate 2 (line {} of the list) is skipped: its RSA key has 512 bits, \
             not 1024 to 8192",
            lines_before + 1
        )
    );
}

#[test]
fn lists_may_be_indented_commented_and_damaged() {
    let indented = list().replace('\n', "\n    ");
    assert_eq!(Trust::from_pem_list(&indented).0.certificates().len(), 5);
    let windows = list().replace('\n', "\r\n");
    assert_eq!(Trust::from_pem_list(&windows).0.certificates().len(), 5);

    let begin = "-----BEGIN CERTIFICATE-----\n";
    let list = [
        "# ours\n",
        begin,
        "MIIC\n",
        CERTIFICATES[0],
        "between\n",
        begin,
        "no base64!\n-----END CERTIFICATE-----\n",
        begin,
        "AAAA\n-----END CERTIFICATE-----\n",
        CERTIFICATES[1],
    ]
    .concat();
    let (trust, skipped) = Trust::from_pem_list(&list);
    assert_eq!(trust.certificates().len(), 2);
    assert_eq!(skipped.len(), 3);
    assert_eq!((skipped[0].number, skipped[0].line), (1, 2));
    assert_eq!(skipped[0].reason, CertificateError::NoEnd);
    assert_eq!((skipped[1].number, &skipped[1].reason), (3, &CertificateError::NotBase64));
    assert!(matches!(skipped[2].reason, CertificateError::NotX509(_)));
    let damaged_at = list.lines().position(|line| line == "no base64!").unwrap();
    assert_eq!(skipped[1].line, damaged_at, "the line before, counted from 1");
}

#[test]
fn lists_without_a_certificate_are_empty() {
    for blank in ["", " \n\t\n"] {
        let (trust, skipped) = Trust::from_pem_list(blank);
        assert!(trust.is_empty() && skipped.is_empty());
    }
    let (trust, skipped) = Trust::from_pem_list("/path/to/certificate.pem");
    assert!(trust.is_empty());
    assert_eq!(
        skipped[0].to_string(),
        "certificate 1 (line 1 of the list) is skipped: no BEGIN CERTIFICATE line"
    );
}

#[test]
fn one_key_is_listed_once() {
    let (trust, skipped) = Trust::from_pem_list(&[list(), list()].concat());
    assert_eq!((trust.certificates().len(), skipped.len()), (5, 0));
    let key = trust.certificates()[2].public_key();
    let found = trust.certificate_of(key.fingerprint()).expect("it is listed");
    assert_eq!(found.common_name(), Some("version 1"));
    assert_eq!(key.fingerprint().to_string().parse(), Ok(*key.fingerprint()));
}

fn list() -> String {
    CERTIFICATES.concat()
}

fn entry(body: &str) -> SignedEntry {
    SignedEntry::from_body(body.as_bytes()).expect("made by the real tool")
}

const CERTIFICATES: [&str; 5] = [
    include_str!("../../testdata/golden/tool.pem"),
    include_str!("../../testdata/golden/sha1.pem"),
    include_str!("../../testdata/golden/version-1.pem"),
    include_str!("../../testdata/golden/expired.pem"),
    include_str!("../../testdata/golden/eternal.pem"),
];

const ENTRIES: [(&str, &str); 7] = [
    (include_str!("../../testdata/golden/tool.json"), "the real tool"),
    (include_str!("../../testdata/golden/sha1.json"), "signed with SHA-1"),
    (include_str!("../../testdata/golden/version-1.json"), "version 1"),
    (include_str!("../../testdata/golden/expired.json"), "expired in 2012"),
    (include_str!("../../testdata/golden/eternal.json"), "until the year 9999"),
    (include_str!("../../testdata/golden/wrapped-tool.json"), "the real tool"),
    (include_str!("../../testdata/golden/wrapped-sha1.json"), "signed with SHA-1"),
];

const UNSIGNED: &str = include_str!("../../testdata/golden/unsigned.json");
