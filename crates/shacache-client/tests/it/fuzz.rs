//! Fuzz targets for the texts that a user's files and command lines bring.

use shacache_client::config::ini::{Ini, IniError, IniOption};
use shacache_client::filter::{Criterion, CriterionError, Filter};
use shacache_core::json::{Object, Reader, Value};
use shacache_fuzz::target;

target!(slapos_cfg, |input| slapos_cfg_property(options, input),
    planted: |input| slapos_cfg_property(|text| options(text.trim_start()), input));

/// Names are in lower case and there once, lines are those of the file, and a comment above
/// everything moves them by one.
fn slapos_cfg_property(read: fn(&str) -> Result<Vec<IniOption>, IniError>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    // One line end is enough, and the others are counted by it below.
    let text = text.replace('\r', "\n");
    let lines = text.matches('\n').count() + 1;
    let below = read(&format!("# a comment\n{text}"));
    match read(&text) {
        Ok(options) => {
            for (at, option) in options.iter().enumerate() {
                assert_eq!(option.name(), option.name().to_lowercase());
                assert!((1..=lines).contains(&option.line()));
                assert!(options[..at].iter().all(|other| other.name() != option.name()));
            }
            let below = below.expect("a comment spoils nothing");
            let told = |options: &[IniOption], more: usize| -> Vec<(String, String, usize)> {
                let told = |it: &IniOption| (it.name().into(), it.value().into(), it.line() + more);
                options.iter().map(told).collect()
            };
            assert_eq!(told(&below, 0), told(&options, 1));
        }
        Err(error) => {
            let at = if error.line() == 0 { 0 } else { error.line() + 1 };
            assert_eq!(below.expect_err("nor does it help").line(), at);
            assert!(error.line() <= lines && !error.to_string().is_empty());
        }
    }
}

fn options(text: &str) -> Result<Vec<IniOption>, IniError> {
    Ini::read(text)?.section("networkcache")
}

target!(filter, |input| filter_property(|text| text.parse(), input),
    planted: |input| filter_property(|text| text.trim_end_matches(']').parse(), input));

/// A criterion keeps some of the entries in their order, and its value goes on with white space
/// only.
fn filter_property(read: fn(&str) -> Result<Criterion, CriterionError>, input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(criterion) = read(text) else { return };
    assert!(read(&format!("{text}]")).is_err());
    let spaced = read(&format!("{text} ")).expect("white space changes nothing");
    let kept = kept_by(criterion);
    assert!(kept.is_sorted());
    assert_eq!(kept_by(spaced), kept);
}

/// The numbers of those entries that a criterion keeps, under any one-letter key.
fn kept_by(criterion: Criterion) -> Vec<usize> {
    let values = ["null", "true", "1", "1.5", "NaN", "\"1\"", "[4, 2]", "[4]", "{}", "[[], \"a\"]"];
    let entry = |(number, value): (usize, &str)| {
        let value: Value = Reader::new().read(value).expect("JSON");
        let mut metadata = Object::new();
        for key in 'a'..='z' {
            metadata.insert(key.to_string().as_str(), value.clone());
        }
        (number, metadata)
    };
    let entries: Vec<_> = values.into_iter().enumerate().map(entry).collect();
    let kept = Filter::new(vec![criterion]).apply(entries, |(_, metadata)| metadata);
    kept.into_iter().map(|(number, _)| number).collect()
}
