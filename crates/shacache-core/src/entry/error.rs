//! Why a body is not an entry: one reason each, one plain line each, so that an uploader sees at
//! once what to mend.

use std::fmt;
use std::str::Utf8Error;

use super::SignedEntry;
use crate::digest::DigestError;
use crate::json::ReadError;
use crate::signature::SignatureError;

/// Why a body is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The body is longer than [`SignedEntry::MAX_BODY_BYTES`].
    #[error("an entry has at most {max} bytes, not {found}", max = SignedEntry::MAX_BODY_BYTES)]
    TooLarge {
        /// Bytes of the body.
        found: usize,
    },
    /// The body is no UTF-8.
    #[error("the entry is not UTF-8 text")]
    NotUtf8(#[source] Utf8Error),
    /// The body is no JSON.
    #[error("the entry is not JSON: {0}")]
    NotJson(ReadError),
    /// The body is JSON, but no list.
    #[error("an entry is a list of two strings, not {found}")]
    NotAList {
        /// What it is.
        found: &'static str,
    },
    /// The list has too few elements or too many.
    #[error("an entry is a list of two strings, not of {found} elements")]
    NotTwo {
        /// Elements of the list.
        found: usize,
    },
    /// An element is no string.
    #[error("the {part} of an entry is a string, not {found}")]
    NotAString {
        /// Which element.
        part: EntryPart,
        /// What it is.
        found: &'static str,
    },
    /// An element has half of a surrogate pair, which no UTF-8 can spell.
    #[error("the {part} of the entry has a lone surrogate")]
    LoneSurrogate {
        /// Which element.
        part: EntryPart,
    },
    /// The signature is no base64.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The metadata text is no JSON, is nested too deep or has a key twice.
    #[error("the metadata is not usable JSON: {0}")]
    MetadataNotJson(ReadError),
    /// The metadata text is JSON, but no object.
    #[error("the metadata is an object, not {found}")]
    MetadataNotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// The metadata names no blob.
    #[error("the metadata has no sha512")]
    NoDigest,
    /// The digest in the metadata is no string.
    #[error("sha512 in the metadata is a string, not {found}")]
    DigestNotAString {
        /// What it is.
        found: &'static str,
    },
    /// The digest in the metadata is no SHA-512.
    #[error("sha512 in the metadata: {0}")]
    Digest(DigestError),
}

/// One of the two elements of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPart {
    /// The first.
    Metadata,
    /// The second.
    Signature,
}

impl fmt::Display for EntryPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "metadata",
            Self::Signature => "signature",
        })
    }
}
