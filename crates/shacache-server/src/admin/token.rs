//! Making, listing and revoking tokens, as a command that is run here or sent to a running server.
//! Must not know how tokens are kept.

use serde::{Deserialize, Serialize};

use crate::access::{Added, Listed, NewToken, Tokens, TokensError};

/// `shacached token`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenCommand {
    /// Makes one.
    New(NewToken),
    /// Lists all.
    List,
    /// Takes back what has this id or name.
    Revoke(String),
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenAnswer {
    /// One was made.
    Added(Added),
    /// All there are.
    Listed(Vec<Listed>),
    /// These were taken back.
    Revoked(Vec<String>),
}

impl TokenCommand {
    /// Does it. Blocking.
    ///
    /// # Errors
    /// As the methods of [`Tokens`].
    pub fn run(self, tokens: &Tokens) -> Result<TokenAnswer, TokensError> {
        Ok(match self {
            Self::New(new) => TokenAnswer::Added(tokens.add(new)?),
            Self::List => TokenAnswer::Listed(tokens.list()),
            Self::Revoke(which) => TokenAnswer::Revoked(tokens.revoke(&which)?),
        })
    }
}
