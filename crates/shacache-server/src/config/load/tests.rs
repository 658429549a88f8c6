//! Any bytes as the file of a server's configuration.

use std::{error, fs};

use shacache_fuzz::target;

use super::Overrides;

target!(server_toml, |input| server_toml_property(print, input),
    planted: |input| server_toml_property(print_or_say_it_in_many_lines, input));

/// A file is good or one line says why not; a good one is printed as a file that says the same.
fn server_toml_property(print: fn(&str) -> Result<String, String>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match print(text) {
        Ok(printed) => assert_eq!(print(&printed), Ok(printed)),
        Err(reason) => assert!(!reason.contains('\n') && !reason.is_empty(), "{reason:?}"),
    }
}

fn print(text: &str) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("the file is ours");
    let overrides = Overrides { file: Some(file.path().to_owned()), ..Overrides::default() };
    super::print(&overrides).map_err(|error| {
        let mut reason = error.to_string();
        let mut cause = error::Error::source(&error);
        while let Some(error) = cause {
            reason += &format!(": {error}");
            cause = error.source();
        }
        reason
    })
}

fn print_or_say_it_in_many_lines(text: &str) -> Result<String, String> {
    let cause = text.parse::<toml::Table>().err().map(|error| error.to_string());
    print(text).map_err(|reason| cause.unwrap_or(reason))
}
