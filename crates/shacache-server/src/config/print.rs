//! A configuration as a commented TOML file that a user can start from. Must not know defaults:
//! it writes what is in effect.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::raw::{
    RawCache, RawConfig, RawDownload, RawIdentity, RawLimit, RawLog, RawMount, RawScrub, RawTls,
    RawTrust, RawUpload,
};

/// The text of a file that says what `table` says, every key with its description.
pub(super) fn to_toml(table: &Table) -> String {
    let mut text = HEADER.to_owned();
    write_table(&mut text, table, RawConfig::KEYS);
    text
}

fn write_table(text: &mut String, table: &Table, keys: &[(&str, &[&str])]) {
    let mut sections = String::new();
    for (field, description) in keys {
        let name = field.replace('_', "-");
        let Some(value) = table.get(&name) else { continue };
        let rows = value.as_array().filter(|rows| rows.first().is_some_and(Value::is_table));
        let is_section = value.is_table() || rows.is_some();
        let out = if is_section { &mut sections } else { &mut *text };
        out.push('\n');
        for line in *description {
            out.extend(["#", line, "\n"]);
        }
        match value {
            Value::Table(section) => {
                out.extend(["[", &name, "]\n"]);
                write_table(out, section, section_keys(&name));
            }
            Value::Array(rows) if is_section => {
                for (number, row) in rows.iter().filter_map(Value::as_table).enumerate() {
                    out.push_str(if number == 0 { "" } else { "\n" });
                    out.extend(["[[", &name, "]]\n"]);
                    write_table(out, row, section_keys(&name));
                }
            }
            value => writeln!(out, "{name} = {value}").expect("a String takes what is written"),
        }
    }
    // What stands after a section's head belongs to it, so sections come last.
    text.push_str(&sections);
}

fn section_keys(name: &str) -> &'static [(&'static str, &'static [&'static str])] {
    match name {
        "identity" => RawIdentity::KEYS,
        "tls" => RawTls::KEYS,
        "upload" => RawUpload::KEYS,
        "download" => RawDownload::KEYS,
        "mount" => RawMount::KEYS,
        "log" => RawLog::KEYS,
        "limit" => RawLimit::KEYS,
        "cache" => RawCache::KEYS,
        "scrub" => RawScrub::KEYS,
        "trust" => RawTrust::KEYS,
        _ => &[],
    }
}

const HEADER: &str = "\
# Configuration of shacached. Every key may be left out; the values here are those in effect.
# A variable of the environment wins over this file: SHACACHED_LISTEN, SHACACHED_LOG__FORMAT.
# Flags of the command line win over both.
";
