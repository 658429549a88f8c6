//! Where settings come from, the later winning: defaults, a file, the environment, the command
//! line. Owns the errors that name the place of a wrong one; must not know what settings mean.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::environment::{self, EnvironmentError};
use super::raw::RawConfig;
use super::{Config, SettingError, print as text};
use crate::listen::Address;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The file to read. Without it the first that exists of `shacache/server.toml` in
    /// `$XDG_CONFIG_HOME` and `/etc/shacache/server.toml`; none need exist.
    pub file: Option<PathBuf>,
    /// In place of `listen`, unless empty.
    pub listen: Vec<Address>,
    /// In place of `data`.
    pub data: Option<String>,
}

/// Reads and checks the configuration. Opens the file and nothing else.
///
/// # Errors
/// When the file cannot be read, or a setting is unknown or wrong; the text names its place.
pub fn load(overrides: &Overrides) -> Result<Config, LoadError> {
    Sources::read(overrides)?.check()
}

/// The configuration in effect as the text of a file, once it is checked.
///
/// # Errors
/// As [`load`].
pub fn print(overrides: &Overrides) -> Result<String, LoadError> {
    let sources = Sources::read(overrides)?;
    sources.check()?;
    // Not as it was merged: what was left out of a row has its default only once it was read.
    let table = Table::try_from(sources.raw()).expect("it was made of TOML");
    Ok(text::to_toml(&table))
}

/// Why there is no configuration; one line that names the place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value of another type.
    #[error("{place}: {}{}", prefix(key.as_deref()), one_line(cause))]
    File {
        /// The file and the line.
        place: Origin,
        /// The key, where there is one.
        key: Option<String>,
        /// What is wrong. Not a source: its text is in this one's, cut to one line.
        cause: Box<toml::de::Error>,
    },
    /// A variable is no setting.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A value outside of a file is not one that its key takes.
    #[error("{origin}: {key}: {}", one_line(cause))]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong. Not a source either.
        cause: Box<toml::de::Error>,
    },
    /// A value of the right type is wrong.
    #[error("{origin}: {key}")]
    Setting {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: SettingError,
    },
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In a file, at a line counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// In a variable of the environment.
    Environment(String),
    /// By a flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// All settings, and where those that are not defaults come from.
struct Sources {
    table: Table,
    origins: BTreeMap<String, Origin>,
}

impl Sources {
    fn read(overrides: &Overrides) -> Result<Self, LoadError> {
        let defaults = defaults();
        let mut sources = Self { table: defaults.clone(), origins: BTreeMap::new() };
        if let Some(path) = overrides.file.clone().or_else(default_file) {
            sources.add_file(&path)?;
        }
        for setting in environment::settings(env::vars_os(), &defaults)? {
            sources.set(&setting.key, setting.value, Origin::Environment(setting.variable))?;
        }
        if !overrides.listen.is_empty() {
            let listen = overrides.listen.iter().map(|address| Value::String(address.to_string()));
            sources.set("listen", Value::Array(listen.collect()), Origin::Flag("--listen"))?;
        }
        if let Some(data) = &overrides.data {
            let data = Value::String(data.clone());
            sources.set("data", data, Origin::Flag("--data"))?;
        }
        Ok(sources)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), LoadError> {
        let text = fs::read_to_string(path)
            .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let line_of = |at: usize| text[..at].matches('\n').count() + 1;
        let place_of = |at| Origin::File { path: path.to_owned(), line: line_of(at) };
        let error = |keys: &[(String, Range<usize>)], cause: toml::de::Error| {
            let at = cause.span().map_or(0, |span| span.start);
            let key = keys.iter().find(|(_, span)| span.contains(&at));
            let key = key.map(|(key, _)| key.clone());
            LoadError::File { place: place_of(at), key, cause: Box::new(cause) }
        };

        let parsed = DeTable::parse(&text).map_err(|cause| error(&[], cause))?;
        let keys = key_spans(parsed.get_ref());
        // For its errors only, which know their place; what is merged is the table.
        toml::from_str::<RawConfig>(&text).map_err(|cause| error(&keys, cause))?;
        let file: Table = toml::from_str(&text).map_err(|cause| error(&keys, cause))?;
        for (name, value) in file {
            match value {
                Value::Table(section) => {
                    for (key, value) in section {
                        self.put(&format!("{name}.{key}"), value);
                    }
                }
                value => self.put(&name, value),
            }
        }
        self.origins.extend(keys.into_iter().map(|(key, span)| (key, place_of(span.start))));
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), LoadError> {
        self.put(key, value);
        let checked: Result<RawConfig, _> = self.table.clone().try_into();
        if let Err(cause) = checked {
            return Err(LoadError::Value { origin, key: key.to_owned(), cause: Box::new(cause) });
        }
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }

    fn put(&mut self, key: &str, value: Value) {
        match key.split_once('.') {
            Some((section, key)) => {
                if let Some(Value::Table(section)) = self.table.get_mut(section) {
                    section.insert(key.to_owned(), value);
                }
            }
            None => {
                self.table.insert(key.to_owned(), value);
            }
        }
    }

    fn raw(&self) -> RawConfig {
        let table = self.table.clone();
        table.try_into().expect("each source was read as a RawConfig before it was merged")
    }

    fn check(&self) -> Result<Config, LoadError> {
        Config::try_from(&self.raw()).map_err(|source| {
            let keys = source.keys();
            let set = keys.iter().find_map(|key| Some((*key, self.origins.get(*key)?.clone())));
            let (key, origin) = set.unwrap_or((keys[0], Origin::Default));
            LoadError::Setting { origin, key, source }
        })
    }
}

/// Where each key and its value stand in a file.
fn key_spans(table: &DeTable<'_>) -> Vec<(String, Range<usize>)> {
    let mut spans = Vec::new();
    for (name, value) in table {
        match value.get_ref() {
            DeValue::Table(section) => {
                let keys = key_spans(section).into_iter();
                spans.extend(keys.map(|(key, span)| (format!("{}.{key}", name.get_ref()), span)));
            }
            _ => spans.push((name.get_ref().to_string(), name.span().start..value.span().end)),
        }
    }
    spans
}

fn defaults() -> Table {
    let raw = RawConfig { data: default_data().unwrap_or_default(), ..RawConfig::default() };
    Table::try_from(raw).expect("the defaults are strings, small numbers and lists of strings")
}

fn default_data() -> Option<PathBuf> {
    // systemd may name several folders, the first being the one that is ours.
    let state = folder("STATE_DIRECTORY")
        .and_then(|list| list.to_str().and_then(|list| list.split(':').next()).map(PathBuf::from));
    let own = || folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
    state.or_else(|| Some(own()?.join("shacache")))
}

fn default_file() -> Option<PathBuf> {
    let own = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    let own = own.map(|folder| folder.join("shacache/server.toml"));
    own.into_iter().chain([PathBuf::from("/etc/shacache/server.toml")]).find(|path| path.exists())
}

/// The absolute path that a variable holds; the XDG specification has others ignored.
fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn prefix(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!("{key}: "))
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
