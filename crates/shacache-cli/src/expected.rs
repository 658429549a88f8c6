//! What bytes have to hash to, checked while they are written.

use std::io::{self, Write};

use shacache_core::digest::{AliasDigest, AliasHasher, AnyDigest, Digest, Hasher};

use crate::args::ExpectedArgs;
use crate::exit::Unverified;

/// A writer that hashes what goes through it.
pub(crate) struct Checking<W> {
    inner: W,
    sha512: Hasher,
    /// Two more passes over every byte, made only when somebody asks.
    aliases: Option<AliasHasher>,
}

impl<W: Write> Checking<W> {
    pub(crate) fn new(inner: W, expected: &ExpectedArgs) -> Self {
        let aliases = expected.md5.is_some() || expected.sha256.is_some();
        Self { inner, sha512: Hasher::new(), aliases: aliases.then(AliasHasher::new) }
    }

    /// Gives the writer back, and the digest of what went through, if it is all as expected.
    pub(crate) fn finish(self, expected: &ExpectedArgs) -> (W, Result<Digest, Unverified>) {
        let found = self.sha512.finish();
        let mut outcome = Ok(found);
        if let Some(wanted) = expected.sha512
            && wanted != found
        {
            outcome = Err(mismatch("SHA-512", &wanted, &found));
        }
        if let Some(aliases) = self.aliases.map(AliasHasher::finish) {
            let pairs = [
                ("MD5", expected.md5, AliasDigest::Md5(aliases.md5)),
                ("SHA-256", expected.sha256, AliasDigest::Sha256(aliases.sha256)),
            ];
            for (name, wanted, found) in pairs {
                if let Some(AnyDigest::Alias(wanted)) = wanted
                    && wanted != found
                {
                    outcome = Err(mismatch(name, &wanted, &found));
                }
            }
        }
        (self.inner, outcome)
    }
}

impl<W: Write> Write for Checking<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha512.update(&bytes[..written]);
        if let Some(aliases) = &mut self.aliases {
            aliases.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn mismatch(
    name: &str,
    wanted: &dyn std::fmt::Display,
    found: &dyn std::fmt::Display,
) -> Unverified {
    Unverified(format!("the {name} is {found}, not {wanted}"))
}
