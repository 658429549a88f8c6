//! Entries of the directory: the metadata text and the signature exactly as they were put. Owns
//! which bodies are entries: those that every client, the old Python one included, can read. Who
//! signed one is the matter of `trust`; the list of a whole key is `entry/listing.rs`.

use std::fmt;
use std::str::FromStr;

pub use self::error::{EntryError, EntryPart};
pub use self::listing::{Listing, ListingError};
use crate::digest::{Digest, DigestError, Hasher};
use crate::json::{DuplicateKeys, Object, Reader, Value};
use crate::signature::Signature;

mod error;
mod listing;

/// One entry as its uploader made it: `[metadata text, signature text]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// What was received, byte for byte. It is stored and served as it is and never written anew
    /// from the parts: the archive promises the exact body, and any other spelling of it would
    /// make one entry look like two.
    body: Box<str>,
    /// What is signed. It has to stay as it is for the same reason, and because no signature would
    /// verify over any other spelling of the same metadata.
    metadata_text: Box<str>,
    signature: Signature,
    digest: Digest,
    id: EntryId,
}

impl SignedEntry {
    /// The largest body accepted, in bytes.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    /// Reads the body of a PUT: at most [`SignedEntry::MAX_BODY_BYTES`] of UTF-8, a JSON list of
    /// exactly two strings without lone surrogates. The first is the text of a JSON object, nested
    /// at most [`Reader::MAX_DEPTH`] deep and no key twice in any object, with 128 hex digits as
    /// `sha512`; the second is a [`Signature`].
    ///
    /// # Errors
    /// When the body is not an entry that every client can read.
    pub fn from_body(body: &[u8]) -> Result<Self, EntryError> {
        if body.len() > Self::MAX_BODY_BYTES {
            return Err(EntryError::TooLarge { found: body.len() });
        }
        let body = str::from_utf8(body).map_err(EntryError::NotUtf8)?;
        let value = Reader::new().read(body).map_err(EntryError::NotJson)?;
        let Value::Array(parts) = value else {
            return Err(EntryError::NotAList { found: value.kind() });
        };
        let [metadata, signature] = parts.as_slice() else {
            return Err(EntryError::NotTwo { found: parts.len() });
        };
        let metadata_text = text_of(metadata, EntryPart::Metadata)?;
        let signature = text_of(signature, EntryPart::Signature)?.parse()?;
        let digest = digest_named_by(&read_metadata(metadata_text)?)?;
        Ok(Self {
            body: body.into(),
            metadata_text: metadata_text.into(),
            digest,
            id: EntryId::of(metadata_text, &signature),
            signature,
        })
    }

    /// Makes an entry of its two texts, with the body that Python's `json.dumps` gives.
    ///
    /// # Errors
    /// As [`SignedEntry::from_body`].
    pub fn from_texts(metadata_text: &str, signature_text: &str) -> Result<Self, EntryError> {
        let pair = Value::Array(vec![metadata_text.into(), signature_text.into()]);
        Self::from_body(pair.to_string().as_bytes())
    }

    /// The JSON text of the whole entry, byte for byte as it was put.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The text that is signed.
    #[must_use]
    pub fn metadata_text(&self) -> &str {
        &self.metadata_text
    }

    /// The metadata, read anew at each call.
    #[must_use]
    pub fn metadata(&self) -> Object {
        read_metadata(&self.metadata_text).expect("an entry was made only after reading this text")
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The blob that the entry names.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What makes two entries under one key the same.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.id
    }
}

/// What makes two entries under one key the same: the SHA-512 of metadata text, NUL, decoded
/// signature bytes.
///
/// JSON text has no NUL, so no two pairs run together; the spellings of one signature in base64
/// are one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(Digest);

impl EntryId {
    /// The id with these raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Digest::LEN]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    fn of(metadata_text: &str, signature: &Signature) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(metadata_text.as_bytes());
        hasher.update(b"\0");
        hasher.update(signature.bytes());
        Self(hasher.finish())
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Digest::LEN] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EntryId {
    /// 128 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EntryId {
    type Err = DigestError;

    /// Reads 128 hex digits of either case.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

fn text_of(value: &Value, part: EntryPart) -> Result<&str, EntryError> {
    let Value::String(text) = value else {
        return Err(EntryError::NotAString { part, found: value.kind() });
    };
    text.as_str().ok_or(EntryError::LoneSurrogate { part })
}

fn read_metadata(text: &str) -> Result<Object, EntryError> {
    match METADATA_READER.read(text).map_err(EntryError::MetadataNotJson)? {
        Value::Object(metadata) => Ok(metadata),
        other => Err(EntryError::MetadataNotAnObject { found: other.kind() }),
    }
}

fn digest_named_by(metadata: &Object) -> Result<Digest, EntryError> {
    let Some(value) = metadata.get("sha512") else {
        return Err(EntryError::NoDigest);
    };
    let Value::String(text) = value else {
        return Err(EntryError::DigestNotAString { found: value.kind() });
    };
    text.to_str_lossy().parse().map_err(EntryError::Digest)
}

const METADATA_READER: Reader = Reader::new().duplicate_keys(DuplicateKeys::Refuse);

#[cfg(test)]
mod tests;
