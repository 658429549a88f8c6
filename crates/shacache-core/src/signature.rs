//! Signatures: base64 text as received, and the bytes it stands for. Owns which texts are taken for
//! a signature; whether one is valid is the matter of `trust`.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::base64;

/// A signature as received; empty for an unsigned entry.
///
/// Accepted is what decodes strictly as base64 (RFC 4648, section 4, with padding) once ASCII white
/// space is removed, because old uploaders break the text into lines of 76 columns. There is no
/// rule for the length. Of such a text Python's lenient `b64decode` makes the same bytes.
///
/// Bits after the last byte may be anything: old clients ignore them, so such a text verifies for
/// them, and refusing it would lose an entry that they can use. As an entry is identified by the
/// decoded bytes, the spellings do not multiply entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    text: Box<str>,
    bytes: Box<[u8]>,
}

impl Signature {
    /// The signature of an unsigned entry.
    #[must_use]
    pub fn none() -> Self {
        Self { text: "".into(), bytes: [].into() }
    }

    /// A signature just made, as one line of base64.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { text: BASE64.encode(bytes).into(), bytes: bytes.into() }
    }

    /// The text as received.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The decoded bytes; empty when unsigned.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no signature at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = base64::decode(text).ok_or(SignatureError)?;
        Ok(Self { text: text.into(), bytes: bytes.into() })
    }
}

/// A text is not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature is base64 text, with nothing else in it but white space")]
pub struct SignatureError;

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn wrapped_text_stays_as_received() {
        let text = "Zm9v\nYmFy\n";
        let signature: Signature = text.parse().unwrap();
        assert_eq!(signature.text(), text);
        assert_eq!(signature.bytes(), b"foobar");
    }

    #[test]
    fn empty_text_is_no_signature() {
        assert_eq!("".parse(), Ok(Signature::none()));
        assert!(Signature::none().is_empty());
    }

    proptest! {
        #[test]
        fn bytes_round_trip(bytes in any::<Vec<u8>>()) {
            let signature = Signature::from_bytes(&bytes);
            prop_assert_eq!(signature.bytes(), &*bytes);
            prop_assert_eq!(signature.text().parse(), Ok(signature));
        }

        #[test]
        fn accepted_text_is_kept(text in r"[A-Za-z0-9+/]{0,8}={0,2}[ \n]?") {
            if let Ok(signature) = text.parse::<Signature>() {
                prop_assert_eq!(signature.to_string(), text);
            }
        }
    }
}
