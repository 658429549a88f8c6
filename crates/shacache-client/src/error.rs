//! What can go wrong for a caller of this crate, told apart the way callers act on it: fall back to
//! the origin, refuse the bytes, try later, or fix the configuration.

use std::io;

use crate::config::ConfigError;
use crate::transport::TransportError;

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server does not have it: the commonest answer of a cache.
    #[error("not found: {what}")]
    NotFound {
        /// The key, digest or filter that nothing answers to.
        what: Box<str>,
    },
    /// Entries exist, and none of them may be believed.
    #[error("untrusted: {reason}")]
    Untrusted {
        /// Why every entry was refused.
        reason: Box<str>,
    },
    /// The server sent something other than what was asked for.
    #[error("corrupt: {reason}")]
    Corrupt {
        /// What does not fit.
        reason: Box<str>,
    },
    /// The server could not be reached, broke off, stalled or refused.
    #[error("{url}")]
    Transport {
        /// What was asked for, without credentials.
        url: Box<str>,
        /// What happened.
        source: TransportError,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of this machine cannot be read or written.
    #[error("{what}")]
    Local {
        /// The file, and what was done to it.
        what: Box<str>,
        /// The cause.
        source: io::Error,
    },
}

impl ClientError {
    pub(crate) fn not_found(what: impl Into<Box<str>>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub(crate) fn corrupt(reason: impl Into<Box<str>>) -> Self {
        Self::Corrupt { reason: reason.into() }
    }

    pub(crate) fn local(what: impl Into<Box<str>>, source: io::Error) -> Self {
        Self::Local { what: what.into(), source }
    }
}
