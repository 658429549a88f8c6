//! Integration tests of this crate, one module per matter.

mod conformance;
mod listen;

mod raw_http;
mod running;
