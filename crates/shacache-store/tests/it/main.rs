//! Integration tests of the store, one module per matter.
