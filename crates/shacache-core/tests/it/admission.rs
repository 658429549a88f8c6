//! Which signed entries a server takes: made here with `openssl`, because no known uploader makes
//! what has to be refused.

use std::path::Path;
use std::process::Command;

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::signature::Signature;
use shacache_core::trust::{Admission, NotAdmitted, PublicKey, Trust};

const RULES: Admission = Admission { least_bits: PublicKey::MIN_BITS };

#[test]
fn a_signed_text_that_is_not_printable_ascii_is_trusted_and_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let trust = signer(folder.path());
    for (name, at) in [("plain", None), ("é", Some(152)), ("\u{7f}", Some(152))] {
        let metadata = format!(r#"{{"sha512": "{}", "name": "{name}"}}"#, Digest::of(b""));
        let entry = signed(folder.path(), &metadata);
        assert!(trust.verify(entry.clone()).is_ok(), "{name}: the signature is good");
        match (RULES.admit(&trust, entry), at) {
            (Ok(_), None) => {}
            (Err(NotAdmitted::NotPrintable { at }), Some(expected)) => assert_eq!(at, expected),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn white_space_is_taken_only_as_a_space() {
    let folder = tempfile::tempdir().unwrap();
    let trust = signer(folder.path());
    let metadata = format!("{{\"sha512\":\n\"{}\"}}", Digest::of(b""));
    let refused = RULES.admit(&trust, signed(folder.path(), &metadata));
    assert!(matches!(refused, Err(NotAdmitted::NotPrintable { at: 10 })), "{refused:?}");
}

/// Makes a key and lists its certificate.
fn signer(folder: &Path) -> Trust {
    let subject = "req -x509 -newkey rsa:1024 -nodes -keyout key -out certificate -subj /CN=signer";
    openssl(folder, subject);
    Trust::from_pem_list(&std::fs::read_to_string(folder.join("certificate")).unwrap()).0
}

fn signed(folder: &Path, metadata: &str) -> SignedEntry {
    std::fs::write(folder.join("metadata"), metadata).unwrap();
    openssl(folder, "dgst -sha1 -sign key -out signature metadata");
    let signature = Signature::from_bytes(&std::fs::read(folder.join("signature")).unwrap());
    SignedEntry::from_texts(metadata, signature.text()).unwrap()
}

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
