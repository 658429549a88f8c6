//! Integration tests of this crate, one module per matter.

mod listen;
