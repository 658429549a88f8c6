//! Signatures are judged as `openssl dgst -sha1 -verify` judges them, which is what the old client
//! runs: honest ones, damaged ones, numbers out of range and forged paddings, over random texts. One
//! difference is meant: bytes behind a signature, which the command does not read, make it wrong
//! here. `SHACACHE_SIGNATURE_CASES` says how many are judged.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use data_encoding::HEXUPPER_PERMISSIVE;
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use shacache_core::trust::{Certificate, PublicKey, PublicKeyError};

#[test]
fn signatures_are_judged_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::default();
    let keys = KEYS.map(|(bits, exponent)| Key::generate(folder.path(), bits, exponent));
    let public =
        keys.each_ref().map(|key| PublicKey::from_spki_der(&key.spki()).expect("a key in range"));
    let (mut judged, mut accepted) = (0, 0);
    for round in 0.. {
        if judged >= cases() && round >= KEYS.len() {
            break;
        }
        let message = match round {
            0 => String::new(),
            _ => sample(&mut runner, any::<String>()),
        };
        let (key, public) = (&keys[round % KEYS.len()], &public[round % KEYS.len()]);
        let mut taken = Vec::new();
        for (name, signature) in signatures(&mut runner, key, &message) {
            let ours = public.verifies(message.as_bytes(), &signature);
            // The command reads as much of the file as a signature has and leaves the rest.
            let too_long = signature.len() > key.modulus.len();
            let openssl = !too_long && key.verifies(message.as_bytes(), &signature);
            assert_eq!(ours, openssl, "{name}, {} bits: {message:?} {signature:?}", public.bits());
            judged += 1;
            if ours {
                taken.push(name);
            }
        }
        assert_eq!(taken, ["honest", "padded by hand"]);
        accepted += taken.len();
    }
    assert!(judged >= cases() && accepted < judged, "{accepted} of {judged}");
}

/// The negative control: who does not look behind the hash, as many once did not, takes forged
/// signatures, and one who forgets how long a signature is takes others. Both are told apart.
#[test]
fn judges_that_are_too_kind_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::default();
    let key = Key::generate(folder.path(), 1024, 3);
    let public = PublicKey::from_spki_der(&key.spki()).expect("a key in range");
    let message = "a message";
    let (mut forged, mut padded) = (Vec::new(), Vec::new());
    for (name, signature) in signatures(&mut runner, &key, message) {
        let ours = public.verifies(message.as_bytes(), &signature);
        if key.verifies_to_the_hash(message, &signature) != ours {
            forged.push(name);
        }
        let bare = signature.strip_prefix(&[0]).unwrap_or(&signature);
        if public.verifies(message.as_bytes(), bare) != ours {
            padded.push(name);
        }
    }
    assert_eq!(forged, ["garbage behind"]);
    assert_eq!(padded, ["a zero in front"]);
}

/// How many signatures are judged at least.
fn cases() -> usize {
    let asked = std::env::var("SHACACHE_SIGNATURE_CASES").ok();
    asked.map_or(500, |number| number.parse().expect("a number"))
}

#[test]
fn keys_are_read_as_openssl_reads_them() {
    for size in KEYS {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::generate(folder.path(), size.0, size.1);
        assert_eq!(PublicKey::from_spki_der(&key.spki()).map(|key| key.bits()), Ok(size.0));
    }
}

/// Whoever has two texts with one SHA-1 has a signature of the second once the first is signed;
/// that is why a server asks more of new entries than a signature.
#[test]
fn a_signature_of_one_half_of_a_collision_is_one_of_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate(folder.path(), 1024, 65537);
    let public = PublicKey::from_spki_der(&key.spki()).expect("a key in range");
    let [one, other] = [
        include_bytes!("../../testdata/shattered-1.bin"),
        include_bytes!("../../testdata/shattered-2.bin"),
    ];
    assert_ne!(one, other);
    let signature = key.sign(one, "-sha1");
    for half in [one, other] {
        assert!(public.verifies(half, &signature));
        assert!(key.verifies(half, &signature));
    }
}

#[test]
fn certificates_have_the_key_that_openssl_finds_whatever_else_they_say() {
    let facts = [
        (include_str!("../../testdata/golden/version-1.pem"), "Version: 1 "),
        (include_str!("../../testdata/golden/expired.pem"), "Not After : Jan  1 00:00:00 2012"),
        (include_str!("../../testdata/golden/eternal.pem"), "Not After : Dec 31 23:59:59 9999"),
        (include_str!("../../testdata/golden/tool.pem"), "CA:TRUE"),
        (include_str!("../../testdata/golden/tool.pem"), " 2126 GMT"),
        (include_str!("../../testdata/golden/sha1.pem"), "sha1WithRSAEncryption"),
    ];
    for (pem, fact) in facts {
        let text = openssl(&["x509", "-noout", "-text"], &[], pem.as_bytes());
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(fact), "{fact}: {text}");
        let key = openssl(&["x509", "-noout", "-pubkey"], &[], pem.as_bytes());
        let spki = openssl(&["pkey", "-pubin", "-outform", "DER"], &[], &key);
        let ours = Certificate::from_pem(pem).expect("usable");
        assert_eq!(ours.public_key().spki_der(), spki, "{fact}");
    }
}

#[test]
fn keys_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate(folder.path(), 1023, 65537);
    let refused = PublicKey::from_spki_der(&key.spki()).expect_err("a bit too short");
    assert_eq!(refused, PublicKeyError::Size { bits: 1023 });
}

/// A signature of the message and many that only look like one.
fn signatures(runner: &mut TestRunner, key: &Key, message: &str) -> Vec<(&'static str, Vec<u8>)> {
    let honest = key.sign(message.as_bytes(), "-sha1");
    let size = honest.len();
    let mut all = vec![
        ("honest", honest.clone()),
        ("of another message", key.sign(b"another message", "-sha1")),
        ("by SHA-256", key.sign(message.as_bytes(), "-sha256")),
        ("empty", vec![]),
        ("one byte", vec![1]),
        ("zero", vec![0; size]),
        ("one", padded_left(&[1], size)),
        ("largest number", vec![0xff; size]),
        ("the modulus", key.modulus.clone()),
        ("plus the modulus", sum(&honest, &key.modulus)),
        ("a zero in front", [&[0], &*honest].concat()),
        ("a zero behind", [&*honest, &[0]].concat()),
        ("twice", [&*honest, &*honest].concat()),
        ("first byte missing", honest[1..].to_vec()),
        ("last byte missing", honest[..size - 1].to_vec()),
    ];
    for _ in 0..4 {
        let bit = sample(runner, any::<Index>()).index(8 * size);
        let mut flipped = honest.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        all.push(("one bit flipped", flipped));
        let length = sample(runner, any::<Index>()).index(size);
        all.push(("cut short", honest[..length].to_vec()));
    }

    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, message.as_bytes());
    let sha256 = digest(&SHA256, message.as_bytes());
    let info = |head: &[u8]| [head, sha1.as_ref()].concat();
    let good = info(SHA1_INFO);
    let garbage = vec![0xaa; size - 64];
    let padded = |kind: u8, filler: u8, info: &[u8]| {
        let filler = vec![filler; size - info.len() - 3];
        [&[0, kind], &*filler, &[0], info].concat()
    };
    let forged = [
        ("padded by hand", padded(1, 0xff, &good)),
        ("SHA-1 under the name of SHA-256", padded(1, 0xff, &info(SHA256_INFO))),
        ("SHA-256 info", padded(1, 0xff, &[SHA256_INFO, sha256.as_ref()].concat())),
        ("no info", padded(1, 0xff, sha1.as_ref())),
        (
            "no parameters",
            padded(1, 0xff, &info(b"\x30\x1f\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a\x04\x14")),
        ),
        (
            "long lengths",
            padded(
                1,
                0xff,
                &info(b"\x30\x81\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"),
            ),
        ),
        ("filled with zeros", padded(0, 0, &good)),
        ("random filler", padded(2, 0xff, &good)),
        ("other filler", padded(1, 0xfe, &good)),
        ("garbage behind", padded(1, 0xff, &[&*good, &*garbage].concat())),
        (
            "garbage in the parameters",
            padded(1, 0xff, &{
                let inner = garbage.len();
                let head = [
                    0x30, 0x82, 0, 0, 0x30, 0x82, 0, 0, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a,
                    0x04,
                ];
                [&head[..], &[inner as u8], &garbage, b"\x04\x14", sha1.as_ref()].concat()
            }),
        ),
        ("no zero after the filler", {
            let filler = vec![0xff; size - good.len() - 2];
            [&[0, 1], &*filler, &good].concat()
        }),
        ("hash cut short", padded(1, 0xff, &good[..good.len() - 1])),
    ];
    all.extend(forged.map(|(name, block)| (name, key.raise(&block))));
    all
}

/// A private key of one test run, in a file.
struct Key {
    private: PathBuf,
    public: PathBuf,
    modulus: Vec<u8>,
}

impl Key {
    fn generate(folder: &Path, bits: u32, exponent: u32) -> Self {
        let private = folder.join(format!("{bits}-{exponent}.pem"));
        let public = private.with_extension("pub");
        let size = format!("rsa_keygen_bits:{bits}");
        let exponent = format!("rsa_keygen_pubexp:{exponent}");
        let arguments =
            ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &size, "-pkeyopt", &exponent];
        fs::write(&private, openssl(&arguments, &[], b"")).unwrap();
        fs::write(&public, openssl(&["pkey", "-pubout", "-in"], &[&private], b"")).unwrap();
        let line = openssl(&["rsa", "-pubin", "-modulus", "-noout", "-in"], &[&public], b"");
        let hex = line.strip_prefix(b"Modulus=").unwrap().trim_ascii();
        let even = [&b"0"[..hex.len() % 2], hex].concat();
        Self { private, public, modulus: HEXUPPER_PERMISSIVE.decode(&even).unwrap() }
    }

    fn spki(&self) -> Vec<u8> {
        openssl(&["pkey", "-pubin", "-outform", "DER", "-in"], &[&self.public], b"")
    }

    fn sign(&self, message: &[u8], algorithm: &str) -> Vec<u8> {
        openssl(&["dgst", algorithm, "-sign"], &[&self.private], message)
    }

    /// The number that becomes `block` when the public key is applied to it. To decrypt a number
    /// is what signing does with it once it is padded.
    fn raise(&self, block: &[u8]) -> Vec<u8> {
        let raw = ["pkeyutl", "-decrypt", "-pkeyopt", "rsa_padding_mode:none", "-inkey"];
        openssl(&raw, &[&self.private], block)
    }

    /// Whether the padding is right up to the hash, and the hash is that of the message.
    fn verifies_to_the_hash(&self, message: &str, signature: &[u8]) -> bool {
        let file = self.public.with_extension("signature");
        fs::write(&file, signature).unwrap();
        let raw = ["pkeyutl", "-verifyrecover", "-pkeyopt", "rsa_padding_mode:none", "-pubin"];
        let files = [Path::new("-inkey"), &self.public, Path::new("-in"), &file];
        let (success, block) = run(&raw, &files, b"");
        let filler = block.get(2..).unwrap_or_default();
        let rest = &filler[filler.iter().take_while(|byte| **byte == 0xff).count()..];
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, message.as_bytes());
        let expected = [&[0], SHA1_INFO, sha1.as_ref()].concat();
        success && block.starts_with(&[0, 1, 0xff]) && rest.starts_with(&expected)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let file = self.public.with_extension("signature");
        fs::write(&file, signature).unwrap();
        let arguments = ["dgst", "-sha1", "-signature"];
        let (success, _) = run(&arguments, &[&file, Path::new("-verify"), &self.public], message);
        success
    }
}

fn openssl(arguments: &[&str], files: &[&Path], input: &[u8]) -> Vec<u8> {
    let (success, output) = run(arguments, files, input);
    assert!(success, "openssl {arguments:?} failed");
    output
}

fn run(arguments: &[&str], files: &[&Path], input: &[u8]) -> (bool, Vec<u8>) {
    let mut openssl = Command::new("openssl")
        .args(arguments)
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    // What is written here is shorter than a pipe, and openssl may end before it reads it.
    let _unread = openssl.stdin.take().unwrap().write_all(input);
    let output = openssl.wait_with_output().unwrap();
    (output.status.success(), output.stdout)
}

fn sample<T>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

fn padded_left(number: &[u8], size: usize) -> Vec<u8> {
    [&*vec![0; size - number.len()], number].concat()
}

/// The sum of two numbers, as long as it needs to be.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let size = a.len().max(b.len());
    let (a, b) = (padded_left(a, size), padded_left(b, size));
    let mut carry = 0;
    let mut digits: Vec<u8> = Vec::new();
    for (a, b) in a.iter().zip(&b).rev() {
        let digit = u16::from(*a) + u16::from(*b) + carry;
        digits.push((digit & 0xff) as u8);
        carry = digit >> 8;
    }
    if carry > 0 {
        digits.push(1);
    }
    digits.reverse();
    digits
}

/// Bits and exponents of the keys that sign.
const KEYS: [(u32, u32); 6] =
    [(1024, 65537), (1024, 3), (1025, 65537), (2047, 65537), (2048, 3), (2048, 65537)];
/// What stands before a SHA-1 in its DigestInfo (RFC 8017, section 9.2, note 1).
const SHA1_INFO: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
/// The same for SHA-256.
const SHA256_INFO: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
