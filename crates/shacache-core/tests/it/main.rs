//! Integration tests of this crate, one module per matter. They judge it by the programs it has to
//! agree with: `python3` (3.11 or later) and `openssl` have to be installed.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

mod admission;
mod base64_like_python;
mod fuzz;
mod golden_entries;
mod json_like_python;
mod key_names;
mod python;
mod verify_like_openssl;
