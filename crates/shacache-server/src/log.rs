//! How the server's log lines are written: text for a person at a terminal, JSON for everybody
//! else, always to standard error. Must not know what is logged.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat, LogLevel};

/// Sends the log lines of this process to standard error, as configured. The first call counts.
pub fn start(config: &Config) {
    let level = match config.log_level() {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let terminal = stderr().is_terminal();
    let as_text = match config.log_format() {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = fmt().with_max_level(level).with_writer(stderr);
    // An error means that there is a subscriber already, which then stays.
    let _already = if as_text {
        lines.with_ansi(terminal).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
}
