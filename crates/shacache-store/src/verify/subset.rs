//! Shares of the archive: `3/30` is the third of thirty shares that together are the whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share of the archive's 256 units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subset {
    /// Counted from 1.
    part: u16,
    of: u16,
}

impl Subset {
    /// The whole archive.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// The units of this share.
    pub(crate) fn units(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |unit| u16::from(*unit) % self.of == self.part - 1)
    }
}

impl FromStr for Subset {
    type Err = SubsetError;

    fn from_str(text: &str) -> Result<Self, SubsetError> {
        let (part, of) = text.split_once('/').ok_or(SubsetError)?;
        let number = |digits: &str| {
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(SubsetError);
            }
            digits.parse::<u16>().map_err(|_| SubsetError)
        };
        let (part, of) = (number(part)?, number(of)?);
        if part == 0 || part > of || of > 256 {
            return Err(SubsetError);
        }
        Ok(Self { part, of })
    }
}

impl TryFrom<String> for Subset {
    type Error = SubsetError;

    fn try_from(text: String) -> Result<Self, SubsetError> {
        text.parse()
    }
}

impl From<Subset> for String {
    fn from(subset: Subset) -> Self {
        subset.to_string()
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

/// A text is not a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is spelled 3/30: from 1/1 up to 256/256")]
pub struct SubsetError;

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1", "0/3", "4/3", "1/257", "+1/2", "1/2/3", "1/ 2", "-1/2", "a/b"] {
            assert_eq!(text.parse::<Subset>(), Err(SubsetError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_shares_make_the_whole_and_overlap_nowhere(of in 1_u16..=256) {
            let mut units: Vec<u8> = (1..=of)
                .flat_map(|part| Subset { part, of }.units())
                .collect();
            units.sort_unstable();
            prop_assert_eq!(units, (0..=u8::MAX).collect::<Vec<_>>());
        }

        #[test]
        fn text_round_trips(of in 1_u16..=256, part in 0_u16..256) {
            let subset = Subset { part: part % of + 1, of };
            prop_assert_eq!(subset.to_string().parse::<Subset>(), Ok(subset));
        }
    }
}
