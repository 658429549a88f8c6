//! What is said beside the data, all of it on standard error: notes, warnings, errors; as text or,
//! with `--json`, as one document. Also whether a progress bar has a place.

use std::io::{IsTerminal, Write, stderr};

use shacache_core::json::{Object, Value};

use crate::args::TalkArgs;
use crate::terminal::escaped;

/// How much to say, and in which form.
#[derive(Debug)]
pub(crate) struct Talk {
    level: i8,
    json: bool,
    progress: bool,
}

impl Talk {
    /// Sets up colour and logging for the whole process.
    pub(crate) fn new(args: &TalkArgs) -> Self {
        args.color_choice().write_global();
        let level = i8::try_from(args.verbose).unwrap_or(i8::MAX) - i8::from(args.quiet);
        let most = match level {
            ..0 => tracing::Level::ERROR,
            0 => tracing::Level::WARN,
            1 => tracing::Level::INFO,
            2.. => tracing::Level::DEBUG,
        };
        log(most, args.json);
        let progress = !args.quiet && !args.no_progress && !args.json && stderr().is_terminal();
        Self { level, json: args.json, progress }
    }

    /// Whether results are wanted as one JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a progress bar may be drawn.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Something worth knowing that is no failure.
    pub(crate) fn note(&self, text: &str) {
        if self.level >= 0 && !self.json {
            say(&format!("shacache: {}", escaped(text)));
        }
    }

    /// Something unsafe or ignored.
    pub(crate) fn warn(&self, text: &str) {
        if self.level < 0 {
            return;
        }
        if self.json {
            let mut document = Object::new();
            document.insert("warning", text);
            say(&Value::from(document).to_string());
        } else {
            say(&format!("shacache: {YELLOW}warning:{PLAIN} {}", escaped(text)));
        }
    }

    /// The failure that ends the program, with its causes on the same line.
    pub(crate) fn error(&self, error: &anyhow::Error, code: u8) {
        let text = format!("{error:#}");
        if self.json {
            error_document(&text, code);
        } else {
            say(&format!("shacache: {RED}error:{PLAIN} {}", escaped(&text)));
        }
    }
}

/// The failure that ends the program, as a document.
pub(crate) fn error_document(text: &str, code: u8) {
    let mut document = Object::new();
    document.insert("error", text);
    document.insert("exit_code", i64::from(code));
    say(&Value::from(document).to_string());
}

/// One line on standard error from a command that has no [`Talk`].
pub(crate) fn complain(text: &str) {
    for line in text.lines() {
        say(&escaped(line));
    }
}

/// Sends what the library logs to standard error, for the whole process.
pub(crate) fn log(most: tracing::Level, json: bool) {
    let colour = anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never;
    let log = tracing_subscriber::fmt()
        .with_max_level(most)
        .with_writer(stderr)
        .with_ansi(colour)
        // Told to nobody: it would go to where the first could not be written.
        .log_internal_errors(false)
        .with_target(most >= tracing::Level::DEBUG)
        .without_time();
    if json {
        log.json().flatten_event(true).init();
    } else {
        log.init();
    }
}

/// A line on standard error. When nobody can be told, there is nobody to tell that.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";
