//! The text of a token: a public id that finds its record, and a secret part that proves it. Owns
//! how it is spelled, made and compared; must not know what a token is good for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use data_encoding::HEXLOWER;

/// A token as its holder has it: `shacache_<id>_<secret>`, both in lower-case hex digits. Prints
/// its id only; [`Secret::reveal`] gives the whole text.
#[derive(Clone)]
pub(crate) struct Secret {
    id: String,
    secret: [u8; SECRET_BYTES],
}

impl Secret {
    /// A token that nobody has.
    pub(crate) fn new() -> Self {
        let mut id = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut id)
            .and_then(|()| rand::fill(&mut secret))
            .expect("the system's random numbers never fail once the system runs");
        Self { id: HEXLOWER.encode(&id), secret }
    }

    /// What finds the record of this token. It may be shown.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The whole text, for the one time that it is shown.
    pub(crate) fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, HEXLOWER.encode(&self.secret))
    }

    /// What is kept of the secret. There are too many secrets to try them, so one round of a fast
    /// digest keeps it.
    pub(crate) fn sha256(&self) -> Sha256 {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.secret).as_ref());
        Sha256(bytes)
    }

    /// Whether `kept` was made of this secret. Takes as long whatever the answer is.
    pub(crate) fn is(&self, kept: &Sha256) -> bool {
        verify_slices_are_equal(&self.sha256().0, &kept.0).is_ok()
    }

    /// Whether a text is meant to be a token, well-formed or not.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

impl FromStr for Secret {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NoToken)?;
        let mut read = Self { id: id.to_owned(), secret: [0; SECRET_BYTES] };
        let mut id_bytes = [0; ID_BYTES];
        decode(id, &mut id_bytes)?;
        decode(secret, &mut read.secret)?;
        Ok(read)
    }
}

/// A text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the text of a token")]
pub(crate) struct NoToken;

/// What is kept of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sha256([u8; 32]);

impl Sha256 {
    /// Made of no secret that anybody could find.
    pub(crate) const OF_NOTHING: Self = Self([0; 32]);
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for Sha256 {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let mut bytes = [0; 32];
        decode(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

fn decode(text: &str, bytes: &mut [u8]) -> Result<(), NoToken> {
    if text.len() != 2 * bytes.len() {
        return Err(NoToken);
    }
    HEXLOWER.decode_mut(text.as_bytes(), bytes).map(|_| ()).map_err(|_| NoToken)
}

/// Lets programs that look for leaked secrets find these.
const PREFIX: &str = "shacache_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows_and_nothing_else() {
        let secret = Secret::new();
        let text = secret.reveal();
        let read: Secret = text.parse().unwrap();
        assert_eq!((read.id(), read.secret), (secret.id(), secret.secret));
        for wrong in [
            "",
            "shacache_",
            "shacache__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replacen(secret.id(), "zzzzzzzzzzzz", 1),
        ] {
            assert!(wrong.parse::<Secret>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn is_its_own_digest_and_no_other() {
        let (one, other) = (Secret::new(), Secret::new());
        assert!(one.is(&one.sha256().to_string().parse().unwrap()));
        assert!(!one.is(&other.sha256()));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let secret = Secret::new();
        assert_eq!(format!("{secret:?}"), format!("Secret({})", secret.id()));
    }
}
