//! `==` and `<` between JSON values as Python 3 has them: numbers by exact value whatever their
//! type, lists element by element, and no order between unlike types.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Integer, Value};

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::String(text), Self::String(other)) => text == other,
            (Self::Array(items), Self::Array(others)) => {
                items.len() == others.len()
                    && items.iter().zip(others).all(|(item, other)| item.equals_inside(other))
            }
            (Self::Object(object), Self::Object(other)) => object == other,
            _ => match (Number::of(self), Number::of(other)) {
                (Some(number), Some(other)) => number.compare(&other) == Some(Ordering::Equal),
                _ => false,
            },
        }
    }
}

impl Value {
    /// How Python orders the two: `None` when a `NaN` decides, so that `<`, `<=`, `>` and `>=` are
    /// all false.
    ///
    /// # Errors
    /// When Python raises `TypeError`: for unlike types, and also for two objects or two nulls.
    pub fn compare(&self, other: &Self) -> Result<Option<Ordering>, UnlikeTypes> {
        match (self, other) {
            (Self::String(text), Self::String(other)) => Ok(Some(text.cmp(other))),
            (Self::Array(items), Self::Array(others)) => {
                let mut pairs = items.iter().zip(others);
                match pairs.find(|(item, other)| !item.equals_inside(other)) {
                    Some((item, other)) => item.compare(other),
                    None => Ok(Some(items.len().cmp(&others.len()))),
                }
            }
            _ => match (Number::of(self), Number::of(other)) {
                (Some(number), Some(other)) => Ok(number.compare(&other)),
                _ => Err(UnlikeTypes { left: self.kind(), right: other.kind() }),
            },
        }
    }

    /// Equality within a list or object, where Python asks for identity first and so finds its one
    /// `nan` equal to itself.
    pub(super) fn equals_inside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(float), Self::Float(other)) if float.is_nan() => other.is_nan(),
            _ => self == other,
        }
    }
}

/// Python has no order between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{left} and {right} have no order")]
pub struct UnlikeTypes {
    left: &'static str,
    right: &'static str,
}

/// A value that is a number to Python, `bool` among them.
enum Number<'a> {
    Integer(Cow<'a, Integer>),
    Float(f64),
}

impl<'a> Number<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Self::Integer(Cow::Owned(Integer::from(*truth)))),
            Value::Integer(integer) => Some(Self::Integer(Cow::Borrowed(integer))),
            Value::Float(float) => Some(Self::Float(*float)),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(integer), Self::Integer(other)) => Some(integer.cmp(other)),
            (Self::Float(float), Self::Float(other)) => float.partial_cmp(other),
            (Self::Integer(integer), Self::Float(float)) => compare_exactly(integer, *float),
            (Self::Float(float), Self::Integer(integer)) => {
                compare_exactly(integer, *float).map(Ordering::reverse)
            }
        }
    }
}

/// Compares without rounding the integer to a float: `2**53 + 1 != float(2**53)`.
fn compare_exactly(integer: &Integer, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    // When the integer parts are the same, what follows the float's point decides.
    let by_whole = integer.cmp(&Integer::trunc(float));
    Some(by_whole.then(0.0.partial_cmp(&float.fract())?))
}
