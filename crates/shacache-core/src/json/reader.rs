//! What CPython 3.11's `json.loads(str)` accepts, no more and no less, with its messages and their
//! places, and three limits of our own: depth, repeated keys and, as Python has it, the length of
//! integers. Nothing it is given makes it panic or overflow the stack.

use self::error::Failure;
pub use self::error::{ReadError, ReadProblem};
use super::text::push_code_point;
use super::{JsonString, Object, Value};

mod error;

/// Reads JSON as Python does.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    max_depth: u8,
    duplicate_keys: DuplicateKeys,
}

impl Reader {
    /// How deep lists and objects may nest unless told otherwise; `[[]]` has depth 2.
    pub const MAX_DEPTH: u8 = 32;

    /// A reader that takes [`Reader::MAX_DEPTH`] and Python's view of repeated keys.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_depth: Self::MAX_DEPTH, duplicate_keys: DuplicateKeys::LastWins }
    }

    /// Lets lists and objects nest as deep as `depth`. The type bounds the stack that reading,
    /// comparing and dropping a value can need.
    #[must_use]
    pub const fn max_depth(self, depth: u8) -> Self {
        Self { max_depth: depth, ..self }
    }

    /// Chooses what becomes of a key that an object has twice.
    #[must_use]
    pub const fn duplicate_keys(self, duplicate_keys: DuplicateKeys) -> Self {
        Self { duplicate_keys, ..self }
    }

    /// Reads a text that is one JSON value between white space.
    ///
    /// # Errors
    /// When Python would raise, or a limit of this reader is passed.
    pub fn read(&self, text: &str) -> Result<Value, ReadError> {
        let mut cursor = Cursor { reader: *self, bytes: text.as_bytes(), at: 0, depth: 0 };
        cursor.document().map_err(|failure| ReadError::new(text, failure))
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

/// What becomes of a key that an object has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// The text is refused.
    Refuse,
    /// The first gives the place and the last the value, as in Python.
    LastWins,
}

struct Cursor<'a> {
    reader: Reader,
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

impl Cursor<'_> {
    fn document(&mut self) -> Result<Value, Failure> {
        if self.bytes.starts_with("\u{feff}".as_bytes()) {
            return Err(Failure { problem: ReadProblem::ByteOrderMark, at: 0 });
        }
        self.skip_white_space();
        let value = self.value()?;
        self.skip_white_space();
        if self.at < self.bytes.len() {
            return Err(self.failure(ReadProblem::ExtraData));
        }
        Ok(value)
    }

    fn value(&mut self) -> Result<Value, Failure> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => self.nested(Self::array),
            Some(b'{') => self.nested(Self::object),
            _ => self.constant_or_number(),
        }
    }

    /// Reads a list or object, whose opening bracket comes next.
    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        let max = self.reader.max_depth;
        if self.depth >= max {
            return Err(self.failure(ReadProblem::TooDeep { max }));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_white_space();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Failure> {
        let mut items = Vec::new();
        if !self.skip(b']') {
            loop {
                items.push(self.value()?);
                if self.ends(b']')? {
                    break;
                }
            }
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, Failure> {
        let mut members = Vec::new();
        let mut keys_at = Vec::new();
        if !self.skip(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.failure(ReadProblem::PropertyName));
                }
                keys_at.push(self.at);
                let key = self.string()?;
                self.skip_white_space();
                if !self.skip(b':') {
                    return Err(self.failure(ReadProblem::Colon));
                }
                self.skip_white_space();
                members.push((key, self.value()?));
                if self.ends(b'}')? {
                    break;
                }
            }
        }
        if self.reader.duplicate_keys == DuplicateKeys::Refuse
            && let Some(repeat) = Object::first_repeat(&members)
        {
            return Err(Failure { problem: ReadProblem::RepeatedKey, at: keys_at[repeat] });
        }
        Ok(Value::Object(members.into_iter().collect()))
    }

    /// Whether the list or object ends after the item just read; if not, moves to the next one.
    fn ends(&mut self, bracket: u8) -> Result<bool, Failure> {
        self.skip_white_space();
        if self.skip(bracket) {
            return Ok(true);
        }
        if !self.skip(b',') {
            return Err(self.failure(ReadProblem::Comma));
        }
        self.skip_white_space();
        Ok(false)
    }

    fn constant_or_number(&mut self) -> Result<Value, Failure> {
        for (name, value) in CONSTANTS {
            if self.bytes[self.at..].starts_with(name.as_bytes()) {
                self.at += name.len();
                return Ok(value);
            }
        }
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') && !self.skip_digits() {
            return Err(Failure { problem: ReadProblem::Value, at: start });
        }
        // What only begins like a fraction or an exponent is no part of the number.
        let has_fraction = self.skip_if(|cursor| cursor.skip(b'.') && cursor.skip_digits());
        let has_exponent = self.skip_if(|cursor| {
            if !cursor.skip(b'e') && !cursor.skip(b'E') {
                return false;
            }
            if !cursor.skip(b'+') {
                cursor.skip(b'-');
            }
            cursor.skip_digits()
        });
        let text = str::from_utf8(&self.bytes[start..self.at]).expect("digits are ASCII");
        if has_fraction || has_exponent {
            return Ok(Value::Float(
                text.parse().expect("Rust reads every float that JSON spells"),
            ));
        }
        // The form is right already: only the length can be wrong.
        text.parse()
            .map(Value::Integer)
            .map_err(|_| Failure { problem: ReadProblem::IntegerTooLong, at: start })
    }

    fn string(&mut self) -> Result<JsonString, Failure> {
        let start = self.at;
        let unterminated = || Failure { problem: ReadProblem::UnterminatedString, at: start };
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let plain = self.bytes[self.at..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                .ok_or_else(unterminated)?;
            text.extend_from_slice(&self.bytes[self.at..self.at + plain]);
            self.at += plain;
            if self.skip(b'"') {
                return Ok(JsonString::from_wtf8(text));
            }
            if !self.skip(b'\\') {
                return Err(self.failure(ReadProblem::ControlCharacter));
            }
            match self.peek().ok_or_else(unterminated)? {
                b'u' => {
                    let code = self.unicode_escape()?;
                    push_code_point(&mut text, code);
                    continue;
                }
                b'"' => text.push(b'"'),
                b'\\' => text.push(b'\\'),
                b'/' => text.push(b'/'),
                b'b' => text.push(0x08),
                b'f' => text.push(0x0c),
                b'n' => text.push(b'\n'),
                b'r' => text.push(b'\r'),
                b't' => text.push(b'\t'),
                _ => return Err(Failure { problem: ReadProblem::Escape, at: self.at - 1 }),
            }
            self.at += 1;
        }
    }

    /// Reads from the `u` on, and a second escape too when the two are one character.
    fn unicode_escape(&mut self) -> Result<u32, Failure> {
        let unit = self.escaped_unit()?;
        let after_unit = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.skip(b'\\') && self.peek() == Some(b'u') {
            let second = self.escaped_unit()?;
            if (0xdc00..0xe000).contains(&second) {
                return Ok(0x10000 + ((unit - 0xd800) << 10 | (second - 0xdc00)));
            }
        }
        self.at = after_unit;
        Ok(unit)
    }

    /// Reads `uXXXX`, the number of one UTF-16 unit.
    fn escaped_unit(&mut self) -> Result<u32, Failure> {
        let mut unit = 0;
        // Python wants to see that the string goes on after the digits.
        let Some([_, digits @ .., _]) = self.bytes.get(self.at..self.at + 6) else {
            return Err(self.failure(ReadProblem::UnicodeEscape));
        };
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return Err(self.failure(ReadProblem::UnicodeEscape));
            };
            unit = unit << 4 | value;
        }
        self.at += 5;
        Ok(unit)
    }

    fn skip_digits(&mut self) -> bool {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at > start
    }

    /// Skips what `skip` skips if all of it is there, else nothing.
    fn skip_if(&mut self, skip: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.at;
        let skipped = skip(self);
        if !skipped {
            self.at = start;
        }
        skipped
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn failure(&self, problem: ReadProblem) -> Failure {
        Failure { problem, at: self.at }
    }
}

/// What Python's reader takes for a value besides numbers, strings, lists and objects.
const CONSTANTS: [(&str, Value); 6] = [
    ("null", Value::Null),
    ("true", Value::Bool(true)),
    ("false", Value::Bool(false)),
    ("NaN", Value::Float(f64::NAN)),
    ("Infinity", Value::Float(f64::INFINITY)),
    ("-Infinity", Value::Float(f64::NEG_INFINITY)),
];
