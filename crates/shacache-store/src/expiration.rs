//! When an entry says that its time is over: `expiration_date` in its metadata, in the forms that are
//! found in the field. Owns these forms. Must not know the clock, nor what happens then.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use shacache_core::json::{Object, Value};

use crate::timestamp::Timestamp;

/// What metadata says about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiration {
    /// Nothing.
    Never,
    /// From this time on it is over.
    At(Timestamp),
    /// Something that is no date in any known form. It stays.
    Unreadable,
}

impl Expiration {
    /// Reads seconds since 1970-01-01T00:00:00Z, or a date with or without a time of day, as ISO 8601
    /// spells it and as Zope does: `2026-11-25`, `2026-11-25T12:00:00+01:00`,
    /// `2026/11/25 12:00:00 GMT+1`. Without a zone it is UTC; without a time of day the whole day
    /// still counts.
    pub(crate) fn of(metadata: &Object) -> Self {
        let at = match metadata.get("expiration_date") {
            None | Some(Value::Null) => return Self::Never,
            Some(Value::String(text)) => text.as_str().and_then(of_text),
            Some(Value::Integer(seconds)) => seconds.to_i64().and_then(|it| it.checked_mul(MICRO)),
            Some(Value::Float(seconds)) => of_float(*seconds),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        at.and_then(Timestamp::from_microseconds).map_or(Self::Unreadable, Self::At)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "far within what an i64 holds")]
fn of_float(seconds: f64) -> Option<i64> {
    (seconds.abs() < LARGEST_SECONDS).then_some((seconds * MICRO as f64) as i64)
}

fn of_text(text: &str) -> Option<i64> {
    let text = text.trim().replace('/', "-");
    if let Ok(date) = text.parse::<Date>()
        && text.len() == DATE_LENGTH
    {
        return microseconds(date.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight()), 0);
    }
    let (local, zone) = split_zone(&text)?;
    let local: DateTime = local.trim().parse().ok()?;
    microseconds(local, offset_seconds(zone)?)
}

fn microseconds(local: DateTime, offset_seconds: i32) -> Option<i64> {
    let offset = Offset::from_seconds(offset_seconds).ok()?;
    Some(offset.to_timestamp(local).ok()?.as_microsecond())
}

/// The time of day ends where something else begins than digits, colons and a fraction.
fn split_zone(text: &str) -> Option<(&str, &str)> {
    let time = text.get(DATE_LENGTH + 1..)?;
    let end = time.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
    let at = end.map_or(text.len(), |end| DATE_LENGTH + 1 + end);
    Some((&text[..at], text[at..].trim()))
}

/// `Z`, `UTC`, `GMT`, an offset, or `GMT` and an offset; nothing is UTC.
fn offset_seconds(zone: &str) -> Option<i32> {
    let zone = ["UTC", "GMT", "Z"].iter().find_map(|name| zone.strip_prefix(name)).unwrap_or(zone);
    if zone.is_empty() {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok());
    let (hours, minutes): (i32, i32) = (number(hours)??, number(minutes)??);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

const MICRO: i64 = 1_000_000;
/// In the year 9999.
const LARGEST_SECONDS: f64 = 2.6e11;
const DATE_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use shacache_core::json::Reader;

    use super::*;

    fn of(json: &str) -> Expiration {
        match Reader::new().read(&format!("{{\"expiration_date\": {json}}}")).expect("JSON") {
            Value::Object(metadata) => Expiration::of(&metadata),
            other => panic!("{other:?}"),
        }
    }

    fn at(text: &str) -> Expiration {
        Expiration::At(text.parse().expect("a time"))
    }

    #[test]
    fn dates_of_the_field_are_read() {
        for (json, time) in [
            ("\"2026-11-25\"", "20261126T000000.000000Z"),
            ("\"2026/11/25\"", "20261126T000000.000000Z"),
            ("\"2026-11-25T12:00:00\"", "20261125T120000.000000Z"),
            ("\"2026-11-25T12:00:00Z\"", "20261125T120000.000000Z"),
            ("\"2026-11-25 12:00:00.25\"", "20261125T120000.250000Z"),
            ("\"2026-11-25T12:00:00+01:00\"", "20261125T110000.000000Z"),
            ("\"2026-11-25T12:00:00-0330\"", "20261125T153000.000000Z"),
            ("\"2026/11/25 12:00:00 GMT+1\"", "20261125T110000.000000Z"),
            ("\"2026/11/25 12:00:00.0 UTC\"", "20261125T120000.000000Z"),
            ("0", "19700101T000000.000000Z"),
            ("1764072000.5", "20251125T120000.500000Z"),
        ] {
            assert_eq!(of(json), at(time), "{json}");
        }
        assert_eq!(of("null"), Expiration::Never);
        assert_eq!(Expiration::of(&Object::new()), Expiration::Never);
    }

    #[test]
    fn whatever_else_it_says_is_no_date() {
        for json in [
            "\"\"",
            "\"soon\"",
            "\"2026-13-01\"",
            "\"2026-11-25T\"",
            "\"2026-11-25T12:00:00 Mars/Olympus\"",
            "\"2026-11-25T12:00:00 GMT+99\"",
            "\"2026-11-25T12:00:00+\u{e9}\"",
            "\"1\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\"",
            "true",
            "[]",
            "{}",
            "NaN",
            "Infinity",
            "1e300",
            "99999999999999999999999",
            "9223372036854775807",
            "\"\\ud800\"",
        ] {
            assert_eq!(of(json), Expiration::Unreadable, "{json}");
        }
    }
}
