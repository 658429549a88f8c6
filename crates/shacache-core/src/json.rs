//! JSON as CPython 3.11 reads, writes and compares it. Metadata is signed as text that Python made
//! and filters compare values as Python does, so this reader and this writer agree with Python's
//! `json` to the byte where other libraries do not: `NaN`, lone surrogates, integers of any size,
//! the spelling of floats. Must not know what the values mean.

pub use self::number::{Integer, IntegerError};
pub use self::object::Object;
pub use self::order::UnlikeTypes;
pub use self::reader::{DuplicateKeys, ReadError, ReadProblem, Reader};
pub use self::text::JsonString;

mod number;
mod object;
mod order;
mod reader;
mod text;
mod writer;

/// A JSON value with Python's types and Python's `==`.
///
/// Equality follows Python: numbers compare by value across `bool`, `int` and `float`, objects
/// whatever the order of their members, and values of unlike types are unequal. A `NaN` equals
/// nothing on its own, but equals another one in the same place of a list or object, because
/// Python's reader gives the same `nan` object each time and containers compare identity first.
#[derive(Debug, Clone)]
pub enum Value {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent.
    Integer(Integer),
    /// Any other number, `NaN`, `Infinity` and `-Infinity` included.
    Float(f64),
    /// A string.
    String(JsonString),
    /// A list.
    Array(Vec<Self>),
    /// An object, Python's `dict`.
    Object(Object),
}

impl Value {
    /// The truth value of a `Bool`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The number of an `Integer`.
    #[must_use]
    pub fn as_integer(&self) -> Option<&Integer> {
        match self {
            Self::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The number of a `Float`.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The text of a `String`; `None` also for a string with a lone surrogate.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_string()?.as_str()
    }

    /// The text of a `String`, lone surrogates included.
    #[must_use]
    pub fn as_string(&self) -> Option<&JsonString> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an `Array`.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an `Object`.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// What the value is, in the words of error messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer.into())
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
