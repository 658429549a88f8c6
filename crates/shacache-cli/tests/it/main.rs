//! Integration tests of this crate, one module per matter. Those that compare with the Python
//! client run it from the venv that `SHACACHE_TEST_VENV` names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands;
mod drop_in;
mod filters;
mod ini;
mod output;
mod part_file;
mod programs;
mod proxy;
mod random;
mod reference;
mod tls;
mod usage;
