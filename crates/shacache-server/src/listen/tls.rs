//! TLS between a socket and its connection. Must not know HTTP.

mod client_key;

pub(super) use client_key::ClientKey;
