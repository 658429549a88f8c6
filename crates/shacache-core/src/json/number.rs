//! Numbers as Python has them: integers of any size, and the spelling that Python's `repr` gives a
//! float. Comparison of the two kinds is in `order.rs`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An integer of any size up to [`Integer::MAX_DIGITS`] digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Integer {
    negative: bool,
    /// Without leading zeros; "0" is never negative, as Python has no negative zero among integers.
    digits: Box<str>,
}

impl Integer {
    /// The most digits that Python reads into an integer unless it is told otherwise.
    pub const MAX_DIGITS: usize = 4300;

    /// The value, when it fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.to_string().parse().ok()
    }

    /// The integer part of a float that is neither infinite nor `NaN`.
    pub(super) fn trunc(float: f64) -> Self {
        // Written without a fraction, a float has every digit of its exact value.
        let text = format!("{:.0}", float.trunc().abs());
        Self { negative: float <= -1.0, digits: text.into() }
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Self { negative: value < 0, digits: value.unsigned_abs().to_string().into() }
    }
}

impl From<bool> for Integer {
    fn from(truth: bool) -> Self {
        Self::from(i64::from(truth))
    }
}

impl FromStr for Integer {
    type Err = IntegerError;

    /// Reads JSON's form of an integer: no plus sign, no leading zeros.
    fn from_str(text: &str) -> Result<Self, IntegerError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (digits != "0", digits),
            None => (false, text),
        };
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        if digits.is_empty() || leading_zero || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(IntegerError::Form);
        }
        if digits.len() > Self::MAX_DIGITS {
            return Err(IntegerError::TooLong { found: digits.len() });
        }
        Ok(Self { negative, digits: digits.into() })
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", self.digits)
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = (self.digits.len(), &self.digits).cmp(&(other.digits.len(), &other.digits));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => by_size,
            (true, true) => by_size.reverse(),
        }
    }
}

/// Why a text is not an [`Integer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegerError {
    /// It is not spelled as JSON spells integers.
    #[error("an integer is an optional minus sign and digits without leading zeros")]
    Form,
    /// Python refuses to read it.
    #[error("an integer has at most {max} digits, not {found}", max = Integer::MAX_DIGITS)]
    TooLong {
        /// Digits of the text given.
        found: usize,
    },
}

/// Appends a float as Python's `json` writes it: `float.__repr__`, or a name of JavaScript's for
/// what has no number.
pub(super) fn push_float(out: &mut String, float: f64) {
    if float.is_nan() {
        return out.push_str("NaN");
    }
    if float.is_sign_negative() {
        out.push('-');
    }
    if float.is_infinite() {
        return out.push_str("Infinity");
    }
    let scientific = shortest(float.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    // Digits before the decimal point; none and zeros after it when not positive.
    let point = exponent.parse::<i32>().map_or(1, |exponent| exponent + 1);
    match usize::try_from(point) {
        Ok(point @ 1..=16) if point >= digits.len() => {
            out.push_str(&digits);
            out.extend(std::iter::repeat_n('0', point - digits.len()));
            out.push_str(".0");
        }
        Ok(point @ 1..=16) => {
            out.push_str(&digits[..point]);
            out.push('.');
            out.push_str(&digits[point..]);
        }
        _ if (-3..=0).contains(&point) => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            out.push_str(&digits);
        }
        _ => {
            let exponent = point - 1;
            let sign = if exponent < 0 { '-' } else { '+' };
            out.push_str(mantissa);
            out.push('e');
            out.push(sign);
            out.push_str(&format!("{:02}", exponent.unsigned_abs()));
        }
    }
}

/// The fewest digits that read back as the same float, as Python chooses them: the nearest to the
/// exact value and, of two that are as near, the even one. Rust chooses as few, but its choice
/// between two is another.
fn shortest(float: f64) -> String {
    let scientific = format!("{float:e}");
    let digits = scientific.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit);
    let nearest = format!("{float:.*e}", digits.count().saturating_sub(1));
    // Just above a power of two the nearest can be a neighbour's.
    if nearest.parse() == Ok(float) { nearest } else { scientific }
}
