//! Turning the texts of commands into what the store takes, and what can be wrong with them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use shacache_core::digest::DigestError;
use shacache_core::key::KeyError;
use shacache_core::pattern::{Pattern, PatternError};
use shacache_core::trust::{Certificate, CertificateError, PublicKey};
use shacache_store::administration::{Held, HoldName, HoldNameError, NoSuchPage, Query, Target};

use super::{Delete, Holding, Search};

impl Search {
    pub(super) fn query(self) -> Result<Query, Malformed> {
        let fields =
            self.fields.into_iter().map(|(name, text)| Ok((name, text.parse::<Pattern>()?)));
        Ok(Query {
            key: optional(&self.key)?,
            digest: optional(&self.digest)?,
            fields: fields.collect::<Result<_, PatternError>>()?,
            file: optional(&self.file)?,
            signer: self.signer.as_deref().map(signer).transpose()?,
            since_us: self.since.as_deref().map(time).transpose()?,
            until_us: self.until.as_deref().map(time).transpose()?,
        })
    }
}

impl Delete {
    pub(super) fn target(&self) -> Result<Target, Malformed> {
        match (&self.key, &self.entry, &self.signer, &self.since) {
            (Some(key), Some(id), None, None) => {
                Ok(Target::Entry { key: key.parse()?, id: id.parse()? })
            }
            (Some(key), None, None, None) => Ok(Target::Key(key.parse()?)),
            (None, None, Some(pem), Some(since)) => {
                Ok(Target::Signer { key: signer(pem)?, since_us: time(since)? })
            }
            _ => Err(Malformed::Target),
        }
    }
}

impl Holding {
    pub(super) fn name(&self) -> Result<HoldName, Malformed> {
        Ok(self.name.parse()?)
    }

    /// `None` when nothing is named.
    pub(super) fn held(&self) -> Result<Option<Vec<Held>>, Malformed> {
        let mut held = Vec::new();
        for digest in &self.digests {
            held.push(Held::Blob(digest.parse()?));
        }
        for key in &self.keys {
            held.push(Held::Key(key.parse()?));
        }
        Ok((!held.is_empty()).then_some(held))
    }
}

pub(super) fn optional<T, E>(text: &Option<String>) -> Result<Option<T>, Malformed>
where
    T: std::str::FromStr<Err = E>,
    Malformed: From<E>,
{
    Ok(text.as_deref().map(str::parse).transpose()?)
}

pub(super) fn limit(limit: Option<usize>) -> Result<usize, Malformed> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=LARGEST_LIMIT).contains(&limit) { Ok(limit) } else { Err(Malformed::Limit) }
}

fn signer(pem: &str) -> Result<PublicKey, Malformed> {
    Ok(Certificate::from_pem(pem)?.public_key().clone())
}

/// A time, or a day, which begins at midnight in UTC.
fn time(text: &str) -> Result<i64, Malformed> {
    let malformed = || Malformed::Time(text.to_owned());
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_microsecond());
    }
    // A time without a zone would be taken for its day.
    let day = Some(text).filter(|text| text.len() == DAY_LENGTH).ok_or_else(malformed)?;
    let day: Date = day.parse().map_err(|_| malformed())?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| malformed())?;
    Ok(midnight.timestamp().as_microsecond())
}

/// Why a command cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It has no such form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Not a SHA-512, nor the id of an entry, which has the same form.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Not the name of a hold.
    #[error(transparent)]
    HoldName(#[from] HoldNameError),
    /// Not a page.
    #[error(transparent)]
    Page(#[from] NoSuchPage),
    /// Not a certificate.
    #[error(transparent)]
    Signer(#[from] CertificateError),
    /// Not a time.
    #[error("{0:?} is neither a day, 2026-11-25, nor a time, 2026-11-25T12:00:00Z")]
    Time(String),
    /// Too many, or none.
    #[error("a page has 1 to {LARGEST_LIMIT}")]
    Limit,
    /// Not one way to say what is deleted.
    #[error("delete a key, one entry of a key, or what a signer signed since a time")]
    Target,
    /// A hold on nothing.
    #[error("name the digests or keys to hold")]
    NothingHeld,
    /// What expires does so by its date.
    #[error("what has expired goes however it is used, and whatever it names")]
    ExpiredAndUnused,
}

const DEFAULT_LIMIT: usize = 1_000;
const LARGEST_LIMIT: usize = 10_000;
/// 2026-11-25
const DAY_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_instants() {
        assert_eq!(time("1970-01-02").unwrap(), 86_400_000_000);
        assert_eq!(time("1970-01-01T00:00:01+00:00").unwrap(), 1_000_000);
        assert_eq!(time("19700101T000000.000123Z").unwrap(), 123);
        for text in ["", "now", "1970-01-01T00:00:01", "2026-13-01", "-10000-01-01"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_deleted_is_said_in_one_way() {
        let none = Delete {
            key: None,
            entry: None,
            signer: None,
            since: None,
            why: String::new(),
            dry_run: false,
        };
        let key = Some("k".to_owned());
        let id = Some("0".repeat(128));
        let since = Some("2026-11-25".to_owned());
        for good in [
            Delete { key: key.clone(), ..none.clone() },
            Delete { key: key.clone(), entry: id.clone(), ..none.clone() },
        ] {
            assert!(good.target().is_ok(), "{good:?}");
        }
        for bad in [
            none.clone(),
            Delete { entry: id, ..none.clone() },
            Delete { key, since: since.clone(), ..none.clone() },
            Delete { since, ..none },
        ] {
            assert!(matches!(bad.target(), Err(Malformed::Target)), "{bad:?}");
        }
    }

    #[test]
    fn a_hold_on_nothing_is_none() {
        let none: Holding = serde_json::from_str(r#"{"name": "n", "why": ""}"#).unwrap();
        assert_eq!(none.held().unwrap(), None);
        let unknown = serde_json::from_str::<Holding>(r#"{"name": "n", "why": "", "key": "k"}"#);
        assert!(unknown.is_err());
    }
}
