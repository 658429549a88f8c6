//! Which part of something a GET asks for: `Range` with `If-Range` (RFC 9110 §14). Pure: headers
//! and a size in, a decision out. One range is answered with that part; several are answered with
//! the whole, which §14.2 allows and which costs an attacker nothing extra to ask for.
//! A malformed range is refused and never ignored: the client that sent it holds a beginning and
//! would append the whole to it.

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

use super::condition::range_applies;

/// The bytes that a request asks for, out of `size` whose strong entity tag is `tag` (without its
/// quotes): at least one and none past the end. `None` for all of them.
///
/// # Errors
/// When the range is malformed or lies outside: 416.
pub(crate) fn requested(
    headers: &HeaderMap,
    tag: &[u8],
    size: u64,
) -> Result<Option<Range<u64>>, RangeError> {
    if !range_applies(headers, tag) {
        return Ok(None);
    }
    let mut values = headers.get_all(RANGE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RangeError::Malformed);
    }
    let Some(set) = byte_ranges(value.as_bytes())? else { return Ok(None) };
    let ranges: Vec<ByteRange> = set
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        // Empty members of a list are to be accepted (§5.6.1.2).
        .filter(|range| !range.is_empty())
        .map(ByteRange::read)
        .collect::<Result<_, _>>()?;
    match ranges.as_slice() {
        [] => Err(RangeError::Malformed),
        [range] => range.within(size),
        _ => Ok(None),
    }
}

/// Why a range is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RangeError {
    /// It does not follow the grammar of §14.1.1.
    #[error("Range is not of the form bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH")]
    Malformed,
    /// Its last byte comes before its first.
    #[error("the range ends before it begins")]
    Backwards,
    /// Not one byte of it exists.
    #[error("the range lies past the end, at {size} bytes")]
    PastEnd {
        /// Length of the whole, in bytes.
        size: u64,
    },
    /// `bytes=-0`.
    #[error("the range is empty")]
    Empty,
}

/// A range as written, its numbers cut at `u64::MAX`: nothing is that long, so no meaning is lost.
enum ByteRange {
    From(u64),
    Bounded { first: u64, last: u64 },
    Suffix(u64),
}

impl ByteRange {
    fn read(text: &[u8]) -> Result<Self, RangeError> {
        let dash = text.iter().position(|&byte| byte == b'-').ok_or(RangeError::Malformed)?;
        match (&text[..dash], &text[dash + 1..]) {
            (b"", length) => Ok(Self::Suffix(position(length)?)),
            (first, b"") => Ok(Self::From(position(first)?)),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                if last < first {
                    return Err(RangeError::Backwards);
                }
                Ok(Self::Bounded { first, last })
            }
        }
    }

    /// What of it lies within `size` bytes.
    fn within(&self, size: u64) -> Result<Option<Range<u64>>, RangeError> {
        let part = match *self {
            Self::From(first) => first..size,
            Self::Bounded { first, last } => first..size.min(last.saturating_add(1)),
            Self::Suffix(0) => return Err(RangeError::Empty),
            // The last bytes of nothing are all of it, and no 206 can say so.
            Self::Suffix(_) if size == 0 => return Ok(None),
            Self::Suffix(length) => size.saturating_sub(length)..size,
        };
        if part.is_empty() {
            return Err(RangeError::PastEnd { size });
        }
        Ok(Some(part))
    }
}

/// The range set of a header in bytes; `None` for another unit, which is to be ignored (§14.2).
fn byte_ranges(value: &[u8]) -> Result<Option<&[u8]>, RangeError> {
    let equals = value.iter().position(|&byte| byte == b'=').ok_or(RangeError::Malformed)?;
    let (unit, set) = (value[..equals].trim_ascii(), &value[equals + 1..]);
    Ok(unit.eq_ignore_ascii_case(b"bytes").then_some(set))
}

fn position(digits: &[u8]) -> Result<u64, RangeError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(RangeError::Malformed);
    }
    Ok(digits.iter().fold(0, |value: u64, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::IF_RANGE;
    use proptest::prelude::any;
    use proptest::{prop_assert, prop_assert_eq, proptest};
    use shacache_fuzz::target;

    use super::*;

    fn select(range: &str, size: u64) -> Result<Option<Range<u64>>, RangeError> {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        requested(&headers, b"a", size)
    }

    #[test]
    fn one_range_is_cut_to_what_exists() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..10),
            ("bytes=9-", 9..10),
            ("bytes=2-5", 2..6),
            ("bytes=2-99999999999999999999999999", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99999999999999999999999999", 0..10),
            ("Bytes=2-5", 2..6),
            ("bytes= 2-5 ,", 2..6),
        ] {
            assert_eq!(select(range, 10), Ok(Some(part)), "{range}");
        }
    }

    #[test]
    fn several_ranges_and_other_units_get_the_whole() {
        for range in ["bytes=0-1,3-4", "bytes=0-1, -1", "lines=1-2", "bytes=5-6,99-"] {
            assert_eq!(select(range, 10), Ok(None), "{range}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        for range in ["bytes=10-", "bytes=10-11", "bytes=18446744073709551615-"] {
            assert_eq!(select(range, 10), Err(RangeError::PastEnd { size: 10 }), "{range}");
        }
        assert_eq!(select("bytes=-0", 10), Err(RangeError::Empty));
        assert_eq!(select("bytes=5-4", 10), Err(RangeError::Backwards));
        for range in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 -2",
            "bytes=0x1-",
            "1-2",
            "bytes=1-2,x",
            "bytes 1-2",
            "",
        ] {
            assert_eq!(select(range, 10), Err(RangeError::Malformed), "{range:?}");
        }
    }

    #[test]
    fn nothing_has_no_parts() {
        assert_eq!(select("bytes=0-", 0), Err(RangeError::PastEnd { size: 0 }));
        assert_eq!(select("bytes=-1", 0), Ok(None));
    }

    #[test]
    fn a_second_range_header_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        let selected = requested(&headers, b"a", 10);
        assert_eq!(selected, Err(RangeError::Malformed));
    }

    #[test]
    fn a_foreign_if_range_gets_the_whole() {
        let mut headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=2-"))]);
        headers.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
        assert_eq!(requested(&headers, b"a", 10), Ok(Some(2..10)));
        assert_eq!(requested(&headers, b"b", 10), Ok(None));
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_lies_within(text in "bytes=[-0-9, ]{0,24}", size in any::<u64>()) {
            if let Ok(Some(part)) = select(&text, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn bounds_mean_what_they_say(first in any::<u64>(), length in any::<u64>(), size in any::<u64>()) {
            let last = first.saturating_add(length);
            let expected = if first < size {
                Ok(Some(first..(u128::from(last) + 1).min(size.into()) as u64))
            } else {
                Err(RangeError::PastEnd { size })
            };
            prop_assert_eq!(select(&format!("bytes={first}-{last}"), size), expected);
        }

        #[test]
        fn any_header_gets_a_decision(bytes in any::<Vec<u8>>(), size in any::<u64>()) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(RANGE, value)]);
                let _decided = requested(&headers, b"a", size);
            }
        }
    }

    target!(range, |input| range_property(select_bytes, input),
        planted: |input| range_property(select_one_too_many, input));

    /// A part is of what exists and has a spelling that selects it again; two numbers mean what
    /// they say. The first byte of the input is the size, 255 the largest.
    fn range_property(select: fn(&[u8], u64) -> Option<Range<u64>>, input: &[u8]) {
        let Some((size, value)) = input.split_first() else { return };
        let size = if *size == u8::MAX { u64::MAX } else { u64::from(*size) };
        let part = select(value, size);
        if let Some(part) = &part {
            assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
            let plain = format!("bytes={}-{}", part.start, part.end - 1);
            assert_eq!(select(plain.as_bytes(), size).as_ref(), Some(part));
        }
        let numbers = str::from_utf8(value).ok().and_then(|value| value.strip_prefix("bytes="));
        if let Some((first, last)) = numbers.and_then(|numbers| numbers.split_once('-'))
            && let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>())
            && !value.contains(&b'+')
        {
            let (first, end) = (u64::from(first), size.min(u64::from(last) + 1));
            let expected = (first <= u64::from(last) && first < size).then_some(first..end);
            assert_eq!(part, expected);
        }
    }

    fn select_bytes(value: &[u8], size: u64) -> Option<Range<u64>> {
        let value = HeaderValue::from_bytes(value).ok()?;
        let headers = HeaderMap::from_iter([(RANGE, value)]);
        requested(&headers, b"a", size).ok()?
    }

    fn select_one_too_many(value: &[u8], size: u64) -> Option<Range<u64>> {
        select_bytes(value, size).map(|part| part.start..part.end.saturating_add(1))
    }
}
