//! Exit codes, which are part of the interface: 0 done, 1 failed, 2 wrong usage, 3 not found,
//! 4 verification failed, 5 network.

use std::env;
use std::io;
use std::process::ExitCode;

use shacache_client::ClientError;
use shacache_core::key::KeyError;

use crate::output::StdoutError;
use crate::pump::PumpError;
use crate::talk::{self, Talk};

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
    if !is_unread(error) {
        talk.error(error, code);
    }
    ExitCode::from(code)
}

/// Whether nobody reads the output any more, which ends every tool in a pipe without a word.
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref() {
        Some(PumpError::Sink(error)) => error.kind() == io::ErrorKind::BrokenPipe,
        Some(PumpError::Source(_)) => false,
        None => cause.downcast_ref().is_some_and(StdoutError::is_unread),
    })
}

/// Says what is wrong with the command line, or what was asked about it.
pub(crate) fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // `--help` and `--version`. A reader that goes away has seen enough.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // What was asked for was not understood, so this is read as it was typed.
    if env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let line = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>();
        talk::error_document(&line.join(" "), USAGE);
    } else {
        let _ = error.print();
    }
    ExitCode::from(USAGE)
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
