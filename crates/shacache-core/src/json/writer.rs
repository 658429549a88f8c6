//! JSON as CPython's `json.dumps` writes it, in the two forms that matter here: the default, which
//! is the form of texts that get signed, and the sorted and indented one of listings.

use std::fmt::{self, Write};

use super::number::push_float;
use super::{JsonString, Object, Value};

impl fmt::Display for Value {
    /// `json.dumps(value)`: one line of ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::new(Layout::OneLine);
        writer.value(self);
        f.write_str(&writer.out)
    }
}

impl fmt::Display for Object {
    /// `json.dumps(dict)`: one line of ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::new(Layout::OneLine);
        writer.object(self);
        f.write_str(&writer.out)
    }
}

impl Value {
    /// `json.dumps(value, indent=2, sort_keys=True)`: members in the order of their keys' code
    /// points, no newline at the end.
    #[must_use]
    pub fn to_sorted_lines(&self) -> String {
        let mut writer = Writer::new(Layout::SortedLines);
        writer.value(self);
        writer.out
    }
}

struct Writer {
    out: String,
    layout: Layout,
    depth: usize,
}

#[derive(PartialEq)]
enum Layout {
    OneLine,
    SortedLines,
}

impl Writer {
    fn new(layout: Layout) -> Self {
        Self { out: String::new(), layout, depth: 0 }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Integer(integer) => self.out.push_str(&integer.to_string()),
            Value::Float(float) => push_float(&mut self.out, *float),
            Value::String(text) => self.string(text),
            Value::Array(items) => self.list('[', items, ']', |writer, item| writer.value(item)),
            Value::Object(object) => self.object(object),
        }
    }

    fn object(&mut self, object: &Object) {
        let mut members: Vec<_> = object.iter().collect();
        if self.layout == Layout::SortedLines {
            members.sort_by_key(|(key, _)| *key);
        }
        self.list('{', members, '}', |writer, (key, value)| {
            writer.string(key);
            writer.out.push_str(": ");
            writer.value(value);
        });
    }

    fn list<I>(
        &mut self,
        open: char,
        items: I,
        close: char,
        mut write: impl FnMut(&mut Self, I::Item),
    ) where
        I: IntoIterator<IntoIter: ExactSizeIterator>,
    {
        let items = items.into_iter();
        let some = items.len() > 0;
        self.out.push(open);
        self.depth += 1;
        for (at, item) in items.enumerate() {
            match self.layout {
                Layout::OneLine if at > 0 => self.out.push_str(", "),
                Layout::SortedLines if at > 0 => self.out.push(','),
                Layout::OneLine | Layout::SortedLines => {}
            }
            self.new_line();
            write(self, item);
        }
        self.depth -= 1;
        if some {
            self.new_line();
        }
        self.out.push(close);
    }

    fn new_line(&mut self) {
        if self.layout == Layout::SortedLines {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', INDENT * self.depth));
        }
    }

    fn string(&mut self, text: &JsonString) {
        self.out.push('"');
        for code in text.code_points() {
            match char::from_u32(code) {
                Some('"') => self.out.push_str("\\\""),
                Some('\\') => self.out.push_str("\\\\"),
                Some('\n') => self.out.push_str("\\n"),
                Some('\r') => self.out.push_str("\\r"),
                Some('\t') => self.out.push_str("\\t"),
                Some('\u{8}') => self.out.push_str("\\b"),
                Some('\u{c}') => self.out.push_str("\\f"),
                Some(plain @ ' '..='~') => self.out.push(plain),
                Some(other) => {
                    other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| self.escape(*unit));
                }
                // Only a surrogate is no character, and it fits.
                None => self.escape(code as u16),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, unit: u16) {
        write!(self.out, "\\u{unit:04x}").expect("writing to a String cannot fail");
    }
}

const INDENT: usize = 2;
