//! Client library for ShaCache and ShaDir.

pub mod archive;
pub mod binding;
pub mod blob;
pub mod config;
pub mod filter;
#[cfg(feature = "legacy-sign")]
pub mod keygen;
pub mod origin;
pub mod selection;
pub mod signer;

pub use self::client::{Client, Subject};
pub use self::error::ClientError;
pub use self::transport::TransportError;

mod client;
mod directory;
mod error;
mod transport;
