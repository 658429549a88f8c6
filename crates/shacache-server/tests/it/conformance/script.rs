//! The text form of conformance scripts, described in `conformance/README.md`. Owns its grammar;
//! must not know how requests are sent.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;

/// One `.http` file.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// TOML of the server that the script is for; empty for any server.
    pub(super) settings: String,
    pub(super) steps: Vec<Step>,
}

/// One request and what is to come back.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) title: String,
    pub(super) line: usize,
    pub(super) request: Vec<u8>,
    /// Repeated until it holds, for what the server does in the background.
    pub(super) eventually: bool,
    /// Hung up as soon as it is sent.
    pub(super) hang_up: bool,
    pub(super) expected: Vec<Expected>,
}

/// One line below the `---`.
#[derive(Debug)]
pub(super) enum Expected {
    Status(u16),
    Header { name: String, pattern: String },
    NoHeader(String),
    Body(Vec<u8>),
    BodyContains(String),
    Says(String),
}

impl Script {
    /// Reads a script with these names, among them `host`, what requests name as their host.
    ///
    /// # Panics
    /// On a mistake in the script, with its line.
    pub(super) fn read<const N: usize>(text: &str, names: [(&str, &str); N]) -> Self {
        let names = names.map(|(name, value)| (name.to_owned(), value.as_bytes().to_owned()));
        let mut reader = Reader { names: BTreeMap::from(names), script: Self::default() };
        let mut rest = text.lines().enumerate().peekable();
        while let Some((at, line)) = rest.next() {
            if let Some(title) = line.strip_prefix("### ") {
                let mut block = Vec::new();
                while let Some((_, line)) = rest.next_if(|(_, line)| !line.starts_with("### ")) {
                    block.push(line);
                }
                reader.step(title, at + 1, &block);
            } else {
                reader.preamble(line, at + 1);
            }
        }
        reader.script
    }
}

struct Reader {
    names: BTreeMap<String, Vec<u8>>,
    script: Script,
}

impl Reader {
    fn preamble(&mut self, line: &str, at: usize) {
        if let Some(setting) = line.strip_prefix("@config ") {
            self.script.settings += setting;
            self.script.settings.push('\n');
        } else if let Some(definition) = line.strip_prefix('@') {
            let (name, value) = definition.split_once('=').unwrap_or_else(|| panic!("line {at}"));
            let value = self.expand(value.trim());
            self.names.insert(name.trim().to_owned(), value);
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "line {at}: {line}");
        }
    }

    fn step(&mut self, title: &str, at: usize, block: &[&str]) {
        let mut step = Step { title: title.to_owned(), line: at, ..Step::default() };
        let mut exact = false;
        let mut lines = block.iter().copied().skip_while(|line| line.starts_with('#')).peekable();
        while let Some(directive) = lines.next_if(|line| line.starts_with('@')) {
            match directive {
                "@eventually" => step.eventually = true,
                "@hang-up" => step.hang_up = true,
                "@exact" => exact = true,
                other => panic!("line {at}: {other}"),
            }
        }
        let request: Vec<&str> = lines.by_ref().take_while(|line| *line != "---").collect();
        step.request = self.request(&request, exact);
        for line in lines.filter(|line| !line.is_empty()) {
            step.expected.push(self.expected(line).unwrap_or_else(|| panic!("{at}: {line}")));
        }
        let answered = matches!(step.expected.first(), Some(Expected::Status(_)));
        assert!(answered != step.hang_up, "line {at}: the status comes first");
        self.script.steps.push(step);
    }

    fn request(&self, lines: &[&str], exact: bool) -> Vec<u8> {
        let end_of_head = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
        let (head, body) = lines.split_at(end_of_head);
        let body = self.expand(&body.get(1..).unwrap_or_default().join("\n"));
        let mut bytes = Vec::new();
        for line in head {
            bytes.extend(self.expand(line));
            bytes.extend(b"\r\n");
        }
        if !exact {
            let has = |name: &str| head.iter().any(|line| is_header(line, name));
            if !has("Host") {
                bytes.extend([b"Host: ", self.names["host"].as_slice(), b"\r\n"].concat());
            }
            if !has("Content-Length") && !has("Transfer-Encoding") && !body.is_empty() {
                bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
            }
            bytes.extend(b"Connection: close\r\n");
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        bytes
    }

    fn expected(&self, line: &str) -> Option<Expected> {
        if let Ok(status) = line.parse() {
            return Some(Expected::Status(status));
        }
        let text = |text: &str| String::from_utf8(self.expand(text)).expect("UTF-8");
        if let Some(name) = line.strip_prefix("no ") {
            return Some(Expected::NoHeader(name.to_owned()));
        }
        if line == "body is empty" {
            return Some(Expected::Body(Vec::new()));
        }
        if let Some(body) = line.strip_prefix("body = ") {
            return Some(Expected::Body(self.expand(body)));
        }
        if let Some(part) = line.strip_prefix("body contains ") {
            return Some(Expected::BodyContains(text(part)));
        }
        if let Some(pattern) = line.strip_prefix("says ") {
            return Some(Expected::Says(text(pattern) + "\n"));
        }
        let (name, pattern) = line.split_once(": ")?;
        Some(Expected::Header { name: name.to_owned(), pattern: text(pattern) })
    }

    /// Replaces `{{name}}`, `{{crlf}}`, `{{repeat N TEXT}}` and `{{hex DIGITS}}`.
    fn expand(&self, text: &str) -> Vec<u8> {
        let Some((before, rest)) = text.split_once("{{") else { return text.into() };
        let (inside, after) = rest.split_once("}}").unwrap_or_else(|| panic!("{text}"));
        let value = match *inside.splitn(3, ' ').collect::<Vec<_>>() {
            ["crlf"] => b"\r\n".to_vec(),
            ["repeat", count, text] => self.expand(text).repeat(count.parse().expect("a number")),
            ["hex", digits] => HEXLOWER.decode(digits.as_bytes()).expect("hex digits"),
            [name] => self.names.get(name).unwrap_or_else(|| panic!("{name}")).clone(),
            _ => panic!("{inside}"),
        };
        [before.as_bytes(), &value, &self.expand(after)].concat()
    }
}

/// Whether a pattern with `*` for any text fits all of `text`.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| fits(rest, &text[at..]))
        }),
    }
}

fn is_header(line: &str, name: &str) -> bool {
    line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
}
