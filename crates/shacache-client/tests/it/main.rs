//! Integration tests of this crate, one module per matter.

mod download;
mod entries;
mod listing;
mod stub;
mod upload;
