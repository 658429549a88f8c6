//! Texts that were made to share their SHA-1 with another one. Owns the question, not the
//! detection, which looks for the traces that every known attack leaves in the hash's inner state.

use sha1_checked::Sha1;

/// Whether the bytes are one half of a collision of SHA-1, made in any way that is known.
pub(super) fn is_attack(bytes: &[u8]) -> bool {
    Sha1::try_digest(bytes).has_collision()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    use proptest::prelude::any;
    use proptest::{prop_assert, proptest};

    use super::*;

    /// The first 320 bytes of the two documents that Stevens et al. published in 2017, the first
    /// collision of SHA-1: a beginning that both share, and two blocks in which they differ.
    const SHATTERED: [&[u8]; 2] = [
        include_bytes!("../../testdata/shattered-1.bin"),
        include_bytes!("../../testdata/shattered-2.bin"),
    ];

    #[test]
    fn both_halves_of_the_first_collision_are_noticed_whatever_follows() {
        let [one, other] = SHATTERED;
        assert_ne!(one, other);
        let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
        assert_eq!(sha1(one).as_ref(), sha1(other).as_ref(), "it is a collision");
        for half in SHATTERED {
            assert!(is_attack(half));
            assert!(is_attack(&[half, br#"", "sha512": ""}"#].concat()));
            let mut harmless = half.to_vec();
            harmless[300] ^= 1;
            assert!(!is_attack(&harmless), "nothing collides with it");
        }
    }

    proptest! {
        #[test]
        fn no_honest_text_is_taken_for_one(text in any::<String>()) {
            prop_assert!(!is_attack(text.as_bytes()));
        }
    }
}
