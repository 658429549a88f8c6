//! What is read again while the server runs: certificates, keys and whatever else registers here.
//! Owns that a mistake in one file changes nothing and is said in one line. Must not know what is
//! registered, nor which signal asks for it.
//!
//! The configuration itself is read again first, so that files may have moved. What a running
//! server cannot change (where it listens, the data folder, mounts, limits) takes effect at the
//! next start.

use std::error::Error;
use std::fmt;

use shacache_store::error::Chain;

use crate::config::{self, Config, Overrides};

/// Everything that can be read again.
#[derive(Debug)]
pub struct Reload {
    overrides: Overrides,
    parts: Vec<Part>,
}

impl Reload {
    /// Nothing yet; the configuration is the one of `overrides`.
    #[must_use]
    pub fn new(overrides: Overrides) -> Self {
        Self { overrides, parts: Vec::new() }
    }

    /// Adds something. `read` is given the configuration as it is now: it reads everything first,
    /// and puts it in place of the old only if all of it is good. It may block.
    pub fn register(
        &mut self,
        name: &'static str,
        read: impl Fn(&Config) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) {
        self.parts.push(Part { name, read: Box::new(read) });
    }

    /// Reads everything again. What cannot be read stays as it was, with one line in the log.
    /// Blocks.
    pub fn run(&self) {
        let config = match config::load(&self.overrides) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "cannot read the configuration again, all stays as it was");
                return;
            }
        };
        for Part { name, read } in &self.parts {
            match read.read(&config) {
                Ok(()) => tracing::info!(what = name, "read again"),
                Err(error) => {
                    tracing::error!(what = name, error = %Chain(&*error), "cannot be read again, stays as it was");
                }
            }
        }
    }
}

struct Part {
    name: &'static str,
    read: Box<dyn Read>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({})", self.name)
    }
}

/// How a part is read again.
trait Read: Send + Sync {
    fn read(&self, config: &Config) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl<F> Read for F
where
    F: Fn(&Config) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync,
{
    fn read(&self, config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
        self(config)
    }
}
