//! Client library for ShaCache and ShaDir.

pub mod blob;
pub mod config;
pub mod filter;

pub use self::client::Client;
pub use self::error::ClientError;
pub use self::transport::TransportError;

mod client;
mod error;
mod transport;
