//! Texts with stars in them, which stand for anything. Must not know what is matched.

use std::fmt;
use std::str::FromStr;

/// A text in which each `*` stands for any bytes, none included, and everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Whatever there is.
    #[must_use]
    pub fn all() -> Self {
        Self("*".into())
    }

    /// Whether it stands for this text. Time grows with the product of both lengths at most: each
    /// star is tried once, from left to right, and never again.
    #[must_use]
    pub fn fits(&self, text: &[u8]) -> bool {
        let mut parts = self.0.as_bytes().split(|byte| *byte == b'*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let found = (0..=rest.len()).find(|at| rest[*at..].starts_with(part));
            let Some(at) = found else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// The one text that it stands for, if there are no stars in it.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// 1 to 512 bytes, no control characters.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(PatternError);
        }
        Ok(Self(text.into()))
    }
}

/// A text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to {LONGEST} bytes and no control characters")]
pub struct PatternError;

/// As long as a key.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().fits(text.as_bytes())
    }

    #[test]
    fn a_star_stands_for_any_bytes_and_all_else_for_itself() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("pypi:*", "pypi:"),
            ("pypi:*", "pypi:a=1"),
            ("*=1", "pypi:a=1"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("a**a", "aa"),
            ("a", "a"),
            ("[a]?", "[a]?"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("pypi:*", "pyp"),
            ("pypi:*", "xpypi:a"),
            ("a", "ab"),
            ("a", ""),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("ab*bc", "abc"),
            ("[a]?", "ab"),
            ("A*", "a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_without_stars_stands_for_one_text() {
        assert_eq!("a?".parse::<Pattern>().unwrap().only(), Some("a?"));
        assert_eq!("a*".parse::<Pattern>().unwrap().only(), None);
        for text in ["", "\u{7}", &"a".repeat(513)] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
    }

    /// The obvious way to say it; it takes exponential time.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| plainly(rest, &text[at..])),
            Some((byte, rest)) => text.first() == Some(byte) && plainly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn fits_what_it_plainly_says(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(fits(&pattern, &text), plainly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
