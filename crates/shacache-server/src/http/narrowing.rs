//! Which entries of a key a query asks for: `?signer=<fingerprint>`, `?verified=1`. Whatever else
//! stands in a query means nothing here. Must not know how entries are verified.

use shacache_core::digest::DigestError;
use shacache_core::trust::Fingerprint;
use shacache_store::directory::Narrowing;

/// What a query wants; `None` for all entries.
pub(crate) fn wanted(query: Option<&str>) -> Result<Option<Narrowing>, NarrowingError> {
    let mut verified = None;
    for parameter in query.unwrap_or_default().split('&') {
        match parameter.split_once('=') {
            Some(("signer", text)) => {
                let signer: Fingerprint = text.parse().map_err(NarrowingError::Signer)?;
                return Ok(Some(Narrowing::SignedBy(signer)));
            }
            Some(("verified", "1")) => verified = Some(Narrowing::Verified),
            Some(("verified", _)) => return Err(NarrowingError::Verified),
            Some(_) | None => {}
        }
    }
    Ok(verified)
}

/// A query asks for entries in a way that means nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NarrowingError {
    #[error("signer is the SHA-256 of a public key: {0}")]
    Signer(#[source] DigestError),
    #[error("verified can be 1 and nothing else")]
    Verified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_entries_it_wants() {
        let fingerprint = "ab".repeat(32);
        let signer = Some(Narrowing::SignedBy(fingerprint.parse().unwrap()));
        for (query, expected) in [
            ("", None),
            ("x=1&verified", None),
            ("verified=1", Some(Narrowing::Verified)),
            ("token=a&verified=1&signer=", None),
            ("verified=1&token=a", Some(Narrowing::Verified)),
        ] {
            match wanted(Some(query)) {
                Ok(found) => assert_eq!(found, expected, "{query}"),
                Err(_) => assert!(query.ends_with("signer="), "{query}"),
            }
        }
        assert_eq!(wanted(Some(&format!("verified=1&signer={fingerprint}"))).unwrap(), signer);
        assert_eq!(wanted(None).unwrap(), None);
        assert!(wanted(Some("verified=0")).is_err());
        assert!(wanted(Some("signer=12")).is_err());
    }
}
