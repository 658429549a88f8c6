//! Pure types of ShaCache and ShaDir. No I/O, no clock, no async: text becomes a typed value here,
//! once, and every other crate works on the types.

pub mod digest;
pub mod entry;
pub mod json;
pub mod key;
pub mod signature;
pub mod trust;
pub mod wire;

mod base64;
