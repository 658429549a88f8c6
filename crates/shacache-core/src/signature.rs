//! Signatures: base64 text as received, and the bytes it stands for. Owns which texts are taken for
//! a signature; whether one is valid is the matter of `trust`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding};

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
        let is_white_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
        let packed: Vec<u8> = text.bytes().filter(|byte| !is_white_space(byte)).collect();
        // The decoder would take a second base64 text after the padding; Python would drop it.
        let padding_at = packed.iter().position(|byte| *byte == b'=').unwrap_or(packed.len());
        if packed[padding_at..].iter().any(|byte| *byte != b'=') {
            return Err(SignatureError);
        }
        let bytes = LOOSE_END.decode(&packed).map_err(|_| SignatureError)?;
        Ok(Self { text: text.into(), bytes: bytes.into() })
    }
}

/// A text is not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature is base64 text, with nothing else in it but white space")]
pub struct SignatureError;

/// Base64 that does not look at the bits after the last byte.
static LOOSE_END: LazyLock<Encoding> = LazyLock::new(|| {
    let mut base64 = BASE64.specification();
    base64.check_trailing_bits = false;
    base64.encoding().expect("BASE64 with a check less is an encoding")
});
