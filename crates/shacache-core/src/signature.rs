//! Signatures: base64 text as received, and the bytes it stands for.

/// A signature as received; empty for an unsigned entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    text: Box<str>,
    bytes: Box<[u8]>,
}

impl Signature {
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
}
