//! Which signed entries a server takes that lets signatures alone decide. Owns the rules that make
//! SHA-1 good enough for that: nobody can make two texts with one SHA-1 that are printable, and no
//! known way to make any goes unnoticed. What old clients sign passes: Python's `json.dumps` makes
//! printable ASCII.

use std::sync::Arc;

use super::{Certificate, Trust, TrustedEntry, Untrusted, collision};
use crate::entry::SignedEntry;

/// What a new entry has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The shortest key whose signature counts, in bits.
    pub least_bits: u32,
}

impl Admission {
    /// Judges an entry that is about to be added.
    ///
    /// # Errors
    /// When no key of the list signed it, the text could be one half of a collision, or the key is
    /// too short.
    pub fn admit(&self, trust: &Trust, entry: SignedEntry) -> Result<TrustedEntry, NotAdmitted> {
        let trusted = trust.verify(entry)?;
        judge(trusted.entry().metadata_text().as_bytes())?;
        let bits = trusted.signer().public_key().bits();
        if bits < self.least_bits {
            let signer = Arc::clone(trusted.signer());
            return Err(NotAdmitted::ShortKey { signer, least_bits: self.least_bits });
        }
        Ok(trusted)
    }
}

/// Whether a signature by SHA-1 says anything about a text. Bytes, because those of every collision
/// that was published are no text.
fn judge(text: &[u8]) -> Result<(), NotAdmitted> {
    if collision::is_attack(text) {
        return Err(NotAdmitted::Collision);
    }
    match text.iter().position(|byte| !(b' '..=b'~').contains(byte)) {
        Some(at) => Err(NotAdmitted::NotPrintable { at }),
        None => Ok(()),
    }
}

/// Why a new entry is not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotAdmitted {
    /// No key of the list signed it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It holds something else than printable ASCII.
    #[error("the signed text may hold printable ASCII only; its byte {at} is something else")]
    NotPrintable {
        /// The first such byte, from 0.
        at: usize,
    },
    /// It was made to have the SHA-1 of another text.
    #[error("the signed text was made to have the SHA-1 of another one")]
    Collision,
    /// The key is shorter than the server wants.
    #[error(
        "the signer's key has {} bits; new entries need one of {least_bits}",
        signer.public_key().bits()
    )]
    ShortKey {
        /// Whose key.
        signer: Arc<Certificate>,
        /// What is wanted.
        least_bits: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Admission = Admission { least_bits: 1024 };

    /// The list of the golden certificates, and an entry of each signer.
    fn trust() -> Trust {
        let list = [
            include_str!("../../testdata/golden/tool.pem"),
            include_str!("../../testdata/golden/sha1.pem"),
        ];
        Trust::from_pem_list(&list.concat()).0
    }

    fn golden(body: &str) -> SignedEntry {
        SignedEntry::from_body(body.trim_end().as_bytes()).unwrap()
    }

    #[test]
    fn what_the_old_tool_signs_is_taken() {
        let entry = golden(include_str!("../../testdata/golden/tool.json"));
        let admitted = ANY.admit(&trust(), entry).expect("printable, and signed by a listed key");
        assert_eq!(admitted.signer().common_name(), Some("the real tool"));
    }

    #[test]
    fn a_short_key_is_refused_where_a_longer_one_is_wanted() {
        let rules = Admission { least_bits: 2048 };
        let short = golden(include_str!("../../testdata/golden/tool.json"));
        let refused = rules.admit(&trust(), short).expect_err("1024 bits");
        assert_eq!(
            refused.to_string(),
            "the signer's key has 1024 bits; new entries need one of 2048"
        );
        let long = golden(include_str!("../../testdata/golden/sha1.json"));
        assert!(rules.admit(&trust(), long).is_ok());
    }

    #[test]
    fn one_half_of_a_collision_is_refused_as_such() {
        let [mut half, other] = [
            include_bytes!("../../testdata/shattered-1.bin"),
            include_bytes!("../../testdata/shattered-2.bin"),
        ]
        .map(|half| half.to_vec());
        for half in [&half, &other] {
            assert!(matches!(judge(half), Err(NotAdmitted::Collision)));
        }
        // What collides with nothing is refused for its bytes alone.
        half[300] ^= 1;
        assert!(matches!(judge(&half), Err(NotAdmitted::NotPrintable { .. })));
        assert!(judge(b"{}").is_ok());
    }

    #[test]
    fn strangers_and_the_unsigned_are_refused() {
        let entry = golden(include_str!("../../testdata/golden/expired.json"));
        let refused = ANY.admit(&trust(), entry).expect_err("of another key");
        assert_eq!(refused.to_string(), "no listed key made the entry's signature");
        let entry = golden(include_str!("../../testdata/golden/unsigned.json"));
        let refused = ANY.admit(&trust(), entry).expect_err("of no key");
        assert_eq!(refused.to_string(), "the entry is not signed");
    }
}
