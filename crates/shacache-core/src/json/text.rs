//! Strings as Python has them: sequences of code points, lone surrogates included, which Rust's
//! `str` cannot hold. Owns their representation and their order; escapes are the reader's and the
//! writer's matter.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The text of a JSON string: any code points, among them surrogates that have no partner.
///
/// Order is that of code points, as in Python.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonString(Repr);

/// Which of the two forms is used follows from the text alone, so equality of the forms is
/// equality of the texts.
#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Utf8(Box<str>),
    /// WTF-8: UTF-8 extended to surrogates, here with at least one of them. Ordered by bytes it is
    /// ordered by code points.
    Wtf8(Box<[u8]>),
}

impl JsonString {
    /// A text from WTF-8. The caller, who is the reader, has joined every pair of surrogates.
    pub(super) fn from_wtf8(bytes: Vec<u8>) -> Self {
        Self(match String::from_utf8(bytes) {
            Ok(text) => Repr::Utf8(text.into()),
            Err(surrogates) => Repr::Wtf8(surrogates.into_bytes().into()),
        })
    }

    /// The text; `None` when a lone surrogate is in it.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Utf8(text) => Some(text),
            Repr::Wtf8(_) => None,
        }
    }

    /// The text with U+FFFD in place of each lone surrogate.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Utf8(text) => Cow::Borrowed(text),
            Repr::Wtf8(_) => self
                .code_points()
                .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        }
    }

    /// The code points in turn, surrogates as their own numbers.
    pub fn code_points(&self) -> impl Iterator<Item = u32> {
        let mut rest = self.as_wtf8();
        std::iter::from_fn(move || {
            let (code, after) = split_code_point(rest)?;
            rest = after;
            Some(code)
        })
    }

    /// The text in WTF-8, which is UTF-8 when [`JsonString::as_str`] gives it.
    #[must_use]
    pub fn as_wtf8(&self) -> &[u8] {
        match &self.0 {
            Repr::Utf8(text) => text.as_bytes(),
            Repr::Wtf8(bytes) => bytes,
        }
    }
}

impl From<&str> for JsonString {
    fn from(text: &str) -> Self {
        Self(Repr::Utf8(text.into()))
    }
}

impl From<String> for JsonString {
    fn from(text: String) -> Self {
        Self(Repr::Utf8(text.into()))
    }
}

impl PartialEq<str> for JsonString {
    fn eq(&self, text: &str) -> bool {
        self.as_wtf8() == text.as_bytes()
    }
}

impl PartialOrd for JsonString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for JsonString {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_wtf8().cmp(other.as_wtf8())
    }
}

impl Hash for JsonString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wtf8().hash(state);
    }
}

impl fmt::Debug for JsonString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

/// Appends a code point, which may be a surrogate, in WTF-8.
pub(super) fn push_code_point(bytes: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(char) => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        // A surrogate is 0xd800 to 0xdfff: three bytes, the first of which is always the same.
        None => bytes.extend([0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]),
    }
}

/// The first code point of WTF-8 and what follows it.
fn split_code_point(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let bits = |byte: u8| u32::from(byte & 0x3f);
    match *bytes {
        [a, ref rest @ ..] if a < 0x80 => Some((u32::from(a), rest)),
        [a, b, ref rest @ ..] if a < 0xe0 => Some((u32::from(a & 0x1f) << 6 | bits(b), rest)),
        [a, b, c, ref rest @ ..] if a < 0xf0 => {
            Some((u32::from(a & 0x0f) << 12 | bits(b) << 6 | bits(c), rest))
        }
        [a, b, c, d, ref rest @ ..] => {
            Some((u32::from(a & 0x07) << 18 | bits(b) << 12 | bits(c) << 6 | bits(d), rest))
        }
        _ => None,
    }
}
