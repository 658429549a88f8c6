//! Which entries of a key are believed and wanted: signed by a trusted key, made for this key,
//! matching the filter. Fails closed: what is not asked for otherwise is required.

use std::cmp::Ordering;
use std::sync::Arc;

use shacache_core::digest::Digest;
use shacache_core::entry::SignedEntry;
use shacache_core::json::{Object, Value};
use shacache_core::key::Key;
use shacache_core::trust::{Certificate, Trust};

use crate::binding;
use crate::error::ClientError;
use crate::filter::Filter;

/// What an entry has to be to be selected.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// What its metadata have to say.
    pub filter: Filter,
    /// Whether a trusted key has to have signed it.
    pub trust: TrustRule,
    /// Whether it has to name the key it is found under.
    pub binding: BindingRule,
}

/// Whether signatures count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrustRule {
    /// Only entries that a trusted key signed; with an empty list of trusted keys, none.
    #[default]
    Required,
    /// Any entry, signed or not.
    Anything,
}

/// Whether an entry has to name its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BindingRule {
    /// As [`binding::check`] has it.
    #[default]
    Required,
    /// An entry counts under whatever key it is found.
    AnyKey,
}

/// An entry that passed a [`Selection`].
#[derive(Debug, Clone)]
pub struct Selected {
    entry: SignedEntry,
    metadata: Object,
    signer: Option<Arc<Certificate>>,
}

impl Selected {
    /// The entry as its uploader made it.
    #[must_use]
    pub fn entry(&self) -> &SignedEntry {
        &self.entry
    }

    /// The entry's metadata.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// The blob the entry names.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.entry.digest()
    }

    /// Who signed; `None` when that did not count.
    #[must_use]
    pub fn signer(&self) -> Option<&Certificate> {
        self.signer.as_deref()
    }
}

impl Selection {
    /// The entries that pass, in their order; at least one.
    pub(crate) fn apply(
        &self,
        key: &Key,
        entries: Vec<SignedEntry>,
        trust: &Trust,
    ) -> Result<Vec<Selected>, ClientError> {
        let trusted = self.trusted(key, entries, trust)?;
        let bound = self.bound(key, trusted)?;
        let matching = self.filter.apply(bound, Selected::metadata);
        if matching.is_empty() {
            return Err(ClientError::not_found(format!("no entry under `{key}` matches")));
        }
        Ok(matching)
    }

    fn trusted(
        &self,
        key: &Key,
        entries: Vec<SignedEntry>,
        trust: &Trust,
    ) -> Result<Vec<Selected>, ClientError> {
        let with = |entry: SignedEntry, signer| {
            let metadata = entry.metadata();
            Selected { entry, metadata, signer }
        };
        if self.trust == TrustRule::Anything {
            return Ok(entries.into_iter().map(|entry| with(entry, None)).collect());
        }
        if trust.is_empty() {
            let reason = "there is no usable certificate to verify entries with";
            return Err(ClientError::Untrusted { reason: reason.into() });
        }
        let all = entries.len();
        let mut trusted = Vec::new();
        for entry in entries {
            match trust.verify(entry) {
                Ok(entry) => {
                    let signer = Arc::clone(entry.signer());
                    trusted.push(with(entry.into_entry(), Some(signer)));
                }
                Err(error) => tracing::debug!("an entry under `{key}` is skipped: {error}"),
            }
        }
        if trusted.is_empty() {
            let reason = format!("no trusted key signed any of the {all} entries under `{key}`");
            return Err(ClientError::Untrusted { reason: reason.into() });
        }
        Ok(trusted)
    }

    fn bound(&self, key: &Key, entries: Vec<Selected>) -> Result<Vec<Selected>, ClientError> {
        if self.binding == BindingRule::AnyKey {
            return Ok(entries);
        }
        let mut refused = None;
        let mut bound = Vec::with_capacity(entries.len());
        for entry in entries {
            match binding::check(key, &entry.metadata) {
                Ok(()) => bound.push(entry),
                Err(error) => {
                    tracing::debug!("an entry under `{key}` is skipped: {error}");
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) if bound.is_empty() => {
                let reason = format!("no entry under `{key}` is bound to that key: {error}");
                Err(ClientError::Untrusted { reason: reason.into() })
            }
            _ => Ok(bound),
        }
    }
}

/// The entry with the largest `timestamp`, the first of equals. Entries without a number there come
/// last.
pub(crate) fn newest(entries: Vec<Selected>) -> Option<Selected> {
    let timestamp = |selected: &Selected| selected.metadata.get("timestamp").cloned();
    entries.into_iter().reduce(|best, next| {
        let newer = match (timestamp(&next), timestamp(&best)) {
            (Some(next), Some(best)) if is_number(&best) => {
                is_number(&next) && next.compare(&best) == Ok(Some(Ordering::Greater))
            }
            (Some(next), _) => is_number(&next),
            (None, _) => false,
        };
        if newer { next } else { best }
    })
}

fn is_number(value: &Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Float(float) => !float.is_nan(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest_of(timestamps: &[&str]) -> usize {
        let entries = timestamps.iter().enumerate().map(|(at, timestamp)| {
            let text = format!(r#"{{"sha512": "{}", "at": {at}{timestamp}}}"#, "0".repeat(128));
            let entry = SignedEntry::from_texts(&text, "").expect("an entry");
            Selected { metadata: entry.metadata(), entry, signer: None }
        });
        let newest = newest(entries.collect()).expect("one of them");
        let at = newest.metadata.get("at").and_then(|at| at.as_integer()?.to_i64());
        at.and_then(|at| usize::try_from(at).ok()).expect("an index")
    }

    #[test]
    fn the_largest_timestamp_wins_and_the_first_of_equals() {
        let at = |number: &str| format!(r#", "timestamp": {number}"#);
        let (one, two, text, nan) = (at("1.5"), at("2"), at("\"9\""), at("NaN"));
        assert_eq!(newest_of(&[&one, &two, &two]), 1);
        assert_eq!(newest_of(&["", &one, ""]), 1);
        assert_eq!(newest_of(&[&text, &nan, &one, &nan]), 2);
        assert_eq!(newest_of(&["", &text]), 0);
    }
}
