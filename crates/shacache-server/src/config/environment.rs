//! Settings from the environment: `SHACACHED_LISTEN`, `SHACACHED_MOUNT__SHACACHE_HOST`. A double
//! underscore parts section and key, a single one stands for a hyphen; lists are parted by commas.
//! Must not know which keys there are: a table of defaults says so, and their types.

use std::ffi::{OsStr, OsString};

use toml::{Table, Value};

/// One variable that names a setting.
#[derive(Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) variable: String,
    /// `section.key`, or `key`.
    pub(super) key: String,
    pub(super) value: Value,
}

/// The settings among `variables`.
///
/// # Errors
/// When a variable of ours names no key, or its text is nothing of the key's type.
pub(super) fn settings(
    variables: impl Iterator<Item = (OsString, OsString)>,
    defaults: &Table,
) -> Result<Vec<Setting>, EnvironmentError> {
    let ours = variables.filter_map(|(name, text)| {
        let name = name.to_str()?;
        let rest = name.strip_prefix(PREFIX)?;
        Some(setting(name, rest, &text, defaults))
    });
    ours.collect()
}

/// Why a variable is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// There is no key of this name.
    #[error("{variable}: there is no key {key}")]
    Unknown {
        /// The variable.
        variable: String,
        /// The key that it would set.
        key: String,
    },
    /// The key takes a number.
    #[error("{variable}: {key} is a whole number")]
    NotANumber {
        /// The variable.
        variable: String,
        /// The key that it sets.
        key: String,
    },
    /// The key is on or off.
    #[error("{variable}: {key} is true or false")]
    NotAChoice {
        /// The variable.
        variable: String,
        /// The key that it sets.
        key: String,
    },
    /// The text is no UTF-8.
    #[error("{variable}: the value is not UTF-8")]
    NotUtf8 {
        /// The variable.
        variable: String,
    },
}

fn setting(
    variable: &str,
    rest: &str,
    text: &OsStr,
    defaults: &Table,
) -> Result<Setting, EnvironmentError> {
    let variable = variable.to_owned();
    let key = rest.to_ascii_lowercase().replace("__", ".").replace('_', "-");
    let Some(text) = text.to_str() else { return Err(EnvironmentError::NotUtf8 { variable }) };
    let default = match key.split_once('.') {
        Some((section, key)) => defaults.get(section).and_then(|section| section.get(key)),
        None => defaults.get(&key),
    };
    let value = match default {
        Some(Value::String(_)) => Value::String(text.to_owned()),
        Some(Value::Array(_)) => {
            let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
            Value::Array(members.map(|member| Value::String(member.to_owned())).collect())
        }
        Some(Value::Integer(_)) => match text.trim().parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return Err(EnvironmentError::NotANumber { variable, key }),
        },
        Some(Value::Boolean(_)) => match text.trim().parse() {
            Ok(choice) => Value::Boolean(choice),
            Err(_) => return Err(EnvironmentError::NotAChoice { variable, key }),
        },
        Some(Value::Float(_) | Value::Datetime(_) | Value::Table(_)) | None => {
            return Err(EnvironmentError::Unknown { variable, key });
        }
    };
    Ok(Setting { variable, key, value })
}

const PREFIX: &str = "SHACACHED_";
