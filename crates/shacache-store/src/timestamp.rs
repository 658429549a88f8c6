//! Points in time as the archive spells them: UTC to the microsecond, in a form that sorts as text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z, spelled `20261122T151200.123456Z` (ISO 8601 basic
/// format). Years 0 to 9998, so text order is time order, and every one of them can be spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    /// The present.
    #[must_use]
    pub(crate) fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// One microsecond later; the last of all has none after it.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1).min(LATEST))
    }

    /// How long ago it was; nothing for a time to come.
    pub(crate) fn age(self) -> Duration {
        let micros = Self::now().0.saturating_sub(self.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// The time so many microseconds after 1970-01-01T00:00:00Z; `None` when it cannot be spelled.
    pub(crate) fn from_microseconds(microseconds: i64) -> Option<Self> {
        (EARLIEST..=LATEST).contains(&microseconds).then_some(Self(microseconds))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub(crate) fn as_microseconds(self) -> i64 {
        self.0
    }
}

/// A day, in UTC: the number of them since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(i64);

impl Day {
    pub(crate) fn today() -> Self {
        Self::of_seconds(Timestamp::now().0.div_euclid(1_000_000))
    }

    /// How long the present day lasts.
    pub(crate) fn rest_of_today() -> Duration {
        let gone = Timestamp::now().0.rem_euclid(DAY_MICROSECONDS);
        Duration::from_micros((DAY_MICROSECONDS - gone).unsigned_abs())
    }

    /// The day of a time in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        Self(seconds.div_euclid(DAY_MICROSECONDS / 1_000_000))
    }

    pub(crate) fn from_number(number: i64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> i64 {
        self.0
    }

    /// How many whole days lie between this one and today; none for a day to come.
    pub(crate) fn full_days_since(self) -> u64 {
        u64::try_from(Self::today().0.saturating_sub(self.0).saturating_sub(1)).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    /// `2026-11-25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.saturating_mul(24 * 60 * 60);
        // Days come from the clock or from file times; any other is shown as a number.
        match jiff::Timestamp::from_second(seconds) {
            Ok(time) => write!(f, "{}", Offset::UTC.to_datetime(time).date()),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values come from the clock or from a parsed text: both lie within jiff's range.
        let time = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        let civil = Offset::UTC.to_datetime(time);
        write!(
            f,
            "{:04}{:02}{:02}T{:02}{:02}{:02}.{:06}Z",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.subsec_nanosecond() / 1000
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let digits = |from: usize, len: usize| -> Result<i32, TimestampError> {
            let part = text.get(from..from + len).ok_or(TimestampError)?;
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(TimestampError);
            }
            part.parse().map_err(|_| TimestampError)
        };
        let fixed = |at: usize, expected: u8| text.as_bytes().get(at) == Some(&expected);
        if text.len() != TEXT_LEN || !fixed(8, b'T') || !fixed(15, b'.') || !fixed(22, b'Z') {
            return Err(TimestampError);
        }
        let small =
            |from| digits(from, 2).and_then(|n| i8::try_from(n).map_err(|_| TimestampError));
        let civil = DateTime::new(
            digits(0, 4)?.try_into().map_err(|_| TimestampError)?,
            small(4)?,
            small(6)?,
            small(9)?,
            small(11)?,
            small(13)?,
            digits(16, 6)? * 1000,
        )
        .map_err(|_| TimestampError)?;
        let time = Offset::UTC.to_timestamp(civil).map_err(|_| TimestampError)?.as_microsecond();
        if time > LATEST { Err(TimestampError) } else { Ok(Self(time)) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A text is not a time in the archive's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is spelled 20261122T151200.123456Z")]
pub(crate) struct TimestampError;

const TEXT_LEN: usize = 23;
/// 0000-01-01T00:00:00Z.
const EARLIEST: i64 = -62_167_219_200_000_000;
/// 9998-12-31T23:59:59.999999Z.
const LATEST: i64 = 253_370_764_799_999_999;

const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_day_ends_at_its_midnight() {
        let before = Timestamp::now();
        let rest = Day::rest_of_today();
        let after = Timestamp::now();
        let day = |time: Timestamp| Day::of_seconds(time.0.div_euclid(1_000_000));
        let midnight = |from: Timestamp| Timestamp(from.0 + rest.as_micros() as i64);
        assert!(!rest.is_zero());
        assert!(day(midnight(after)) > day(before));
        assert!(day(Timestamp(midnight(before).0 - 1)) <= day(after));
    }

    #[test]
    fn reads_and_writes_the_documented_form() {
        let time: Timestamp = "20261122T151200.123456Z".parse().expect("the documented form");
        assert_eq!(time.as_microseconds(), 1_795_360_320_123_456);
        assert_eq!(time.to_string(), "20261122T151200.123456Z");
    }

    #[test]
    fn the_first_and_the_last_time_are_spelled_and_read() {
        for text in ["00000101T000000.000000Z", "99981231T235959.999999Z"] {
            let time: Timestamp = text.parse().expect("within the range");
            assert_eq!(time.to_string(), text);
            assert!(time.next().to_string().as_str() >= text);
        }
        let last: Timestamp = "99981231T235959.999999Z".parse().expect("within the range");
        assert_eq!(last.next(), last);
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "20261122T151200Z",
            "20261322T151200.123456Z",
            "20261122T151200.12345 Z",
            "+0261122T151200.123456Z",
            "20261122t151200.123456Z",
            "2026112éT15200.123456Z",
            "99990101T000000.000000Z",
            "99991230T220000.999999Z",
            "99991231T235959.999999Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips_and_sorts_by_time(
            a in 0_i64..4_102_444_800_000_000,
            b in 0_i64..4_102_444_800_000_000,
        ) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.to_string().parse::<Timestamp>(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
