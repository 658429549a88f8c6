//! Why a text is no JSON, in the words of Python's `JSONDecodeError`, and how its places are counted.

use crate::json::Integer;

/// Why a text was not read, and where. Lines, columns and characters are counted as Python does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: line {line} column {column} (char {offset})")]
pub struct ReadError {
    problem: ReadProblem,
    line: usize,
    column: usize,
    offset: usize,
}

impl ReadError {
    pub(super) fn new(text: &str, Failure { problem, at }: Failure) -> Self {
        // Failures are found at ASCII characters or at the end, so there is always a text before.
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            problem,
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            offset: before.chars().count(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> ReadProblem {
        self.problem
    }

    /// The line it is on, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character of the line, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

/// What is wrong with a text that was not read; messages are Python's where Python has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadProblem {
    /// It starts with U+FEFF.
    #[error("Unexpected UTF-8 BOM (decode using utf-8-sig)")]
    ByteOrderMark,
    /// No value where one has to be.
    #[error("Expecting value")]
    Value,
    /// No key where one has to be.
    #[error("Expecting property name enclosed in double quotes")]
    PropertyName,
    /// No colon after a key.
    #[error("Expecting ':' delimiter")]
    Colon,
    /// Neither a comma nor the end after an item or member.
    #[error("Expecting ',' delimiter")]
    Comma,
    /// A string without its closing quote.
    #[error("Unterminated string starting at")]
    UnterminatedString,
    /// A raw character below 0x20 in a string.
    #[error("Invalid control character at")]
    ControlCharacter,
    /// A backslash before a character that it does not go with.
    #[error("Invalid \\escape")]
    Escape,
    /// `\u` without four hex digits.
    #[error("Invalid \\uXXXX escape")]
    UnicodeEscape,
    /// More than white space after the value.
    #[error("Extra data")]
    ExtraData,
    /// More than [`Integer::MAX_DIGITS`] digits.
    #[error("Integer of more than {max} digits", max = Integer::MAX_DIGITS)]
    IntegerTooLong,
    /// A list or object one level below the deepest allowed.
    #[error("Lists and objects nested more than {max} deep")]
    TooDeep {
        /// The deepest allowed.
        max: u8,
    },
    /// A key its object has already.
    #[error("Repeated key")]
    RepeatedKey,
}

/// A problem and the byte it is at.
pub(super) struct Failure {
    pub(super) problem: ReadProblem,
    pub(super) at: usize,
}
