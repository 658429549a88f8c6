//! Client library for ShaCache, which keeps blobs under their SHA-512, and ShaDir, which keeps
//! signed statements about them under keys.
//!
//! [`Client`] has the verbs: [`upload`](Client::upload), [`download`](Client::download),
//! [`index`](Client::index), [`select`](Client::select), [`lookup`](Client::lookup).
//! [`blocking::Client`] has the same without async. A caller that falls back to the origin matches
//! on [`ClientError`]: not found, untrusted, corrupt, transport and configuration are told apart.
//!
//! ```no_run
//! use std::fs::File;
//! use std::path::Path;
//!
//! use shacache_client::blob::Payload;
//! use shacache_client::config::{Networkcache, Purpose};
//! use shacache_client::selection::Selection;
//! use shacache_client::{Client, ClientError, Subject};
//! use shacache_core::json::Object;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Networkcache::from_file(Path::new("slapos.cfg"))?.config(Purpose::Sources)?;
//! let client = Client::new(&config)?;
//!
//! // The bytes, sent only when the server has not got them; then a signed entry for their URL.
//! let url = "http://example.com/hello.tar.gz";
//! let payload = Payload::from_file(File::open("hello.tar.gz")?)?;
//! client.upload(&payload).await?;
//! let mut metadata = Object::new();
//! metadata.insert("url", url);
//! client.index(&Subject::Url(url.into()).key(), payload.digest(), &metadata).await?;
//!
//! // The newest entry that a trusted key signed for this URL, then what it names.
//! match client.lookup(&Subject::Url(url.into()), &Selection::default()).await {
//!     Ok(entry) => {
//!         let mut download = client.download(entry.digest()).await?;
//!         while let Some(piece) = download.piece().await? {
//!             println!("{} bytes more", piece.len());
//!         }
//!         // Here every byte is known to be right: a wrong one would have been an error.
//!     }
//!     Err(ClientError::NotFound { .. }) => println!("ask the origin"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```

pub mod archive;
pub mod binding;
pub mod blob;
pub mod blocking;
pub mod config;
pub mod filter;
#[cfg(feature = "legacy-sign")]
pub mod keygen;
pub mod origin;
pub mod selection;
pub mod signer;
pub mod software;

pub use self::client::{Client, Subject};
pub use self::error::ClientError;
pub use self::transport::TransportError;

mod client;
mod directory;
mod error;
mod transport;
