//! Pure types of ShaCache and ShaDir. No I/O, no clock, no async, no HTTP types, no logging: text
//! becomes a typed value here, once, and every other crate works on the types.
//!
//! # Words
//! - A **blob** is a file's bytes; its **digest**, their SHA-512, is its name. MD5, SHA-1 and
//!   SHA-256 are **alias digests**: they look a blob up and never name it.
//! - A **key** is any text that things are listed under. It is data and never a path.
//! - An **entry** says something about one blob: **metadata**, the text of a JSON object that holds
//!   at least the blob's digest, and a **signature** over exactly that text, or none. A key's
//!   **listing** has every entry ever put under it.
//! - **Trust** is a list of certificates, of which only the keys count. An entry is trusted when one
//!   of them made its signature.
//!
//! # Layout
//! - [`digest`]: what a blob is called, and the hashers that find it out.
//! - [`key`]: what entries are listed under, in a request path and as a folder of the archive.
//! - [`json`]: JSON exactly as Python reads, writes and compares it.
//! - [`signature`]: the base64 text of a signature and its bytes.
//! - [`entry`]: metadata and signature as they were put; whole listings of them.
//! - [`trust`]: certificates, their keys, and the only way to a trusted entry.
//! - [`wire`]: the names that server and client have to agree on.
//!
//! The path of an entry through the types: bytes from a request or a listing become a
//! [`SignedEntry`](entry::SignedEntry), which [`Trust::verify`](trust::Trust::verify) turns into a
//! [`TrustedEntry`](trust::TrustedEntry), whose digest names the blob to fetch.
//!
//! ```
//! use shacache_core::entry::SignedEntry;
//! use shacache_core::trust::Trust;
//!
//! let digest = shacache_core::digest::Digest::of(b"hello world\n");
//! let metadata = format!(r#"{{"sha512": "{digest}", "file": "hello.txt"}}"#);
//! let entry = SignedEntry::from_texts(&metadata, "")?;
//! assert_eq!(entry.digest(), &digest);
//!
//! let (trust, skipped) = Trust::from_pem_list("");
//! assert!(skipped.is_empty());
//! assert!(trust.verify(entry).is_err(), "nobody signed it");
//! # Ok::<(), shacache_core::entry::EntryError>(())
//! ```

pub mod digest;
pub mod entry;
pub mod json;
pub mod key;
pub mod pattern;
pub mod signature;
pub mod trust;
pub mod wire;

mod base64;
