//! Integration tests of this crate, one module per matter.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod download;
mod entries;
mod fuzz;
mod listing;
mod stub;
mod upload;
