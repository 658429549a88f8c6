//! Exit codes, which are part of the interface: 0 done, 1 failed, 2 wrong usage, 3 not found,
//! 4 verification failed, 5 network.

use std::process::ExitCode;

use shacache_client::ClientError;
use shacache_core::key::KeyError;

use crate::talk::Talk;

/// The command line asks for something that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The bytes or entries at hand are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unverified(pub(crate) String);

/// Says what went wrong, on standard error, and gives the code for it.
pub(crate) fn failed(talk: &Talk, error: &anyhow::Error) -> ExitCode {
    let code = code_of(error);
    talk.error(error, code);
    ExitCode::from(code)
}

fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Usage>() || cause.is::<KeyError>() {
            return USAGE;
        }
        if cause.is::<Unverified>() {
            return UNVERIFIED;
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return match error {
                ClientError::NotFound { .. } => NOT_FOUND,
                ClientError::Untrusted { .. } | ClientError::Corrupt { .. } => UNVERIFIED,
                ClientError::Transport { .. } => NETWORK,
                _ => FAILED,
            };
        }
    }
    FAILED
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 3;
const UNVERIFIED: u8 = 4;
const NETWORK: u8 = 5;
