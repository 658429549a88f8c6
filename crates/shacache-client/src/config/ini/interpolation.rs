//! `%(name)s` and `%%` in values, as Python's `BasicInterpolation` resolves them: names are those of
//! the same section and `[DEFAULT]`.

use super::{IniError, IniOption, IniProblem, is_space};

/// Every option with its resolved value.
pub(super) fn interpolate(options: &[IniOption]) -> Result<Vec<IniOption>, IniError> {
    let resolve = |read: &IniOption| {
        let mut out = String::new();
        let scope = Scope { options, read };
        scope.push(&mut out, joined(&read.value), 1)?;
        Ok(IniOption { value: out, ..read.clone() })
    };
    options.iter().map(resolve).collect()
}

/// A value of several lines ends where its text ends.
fn joined(value: &str) -> &str {
    value.trim_end_matches(is_space)
}

struct Scope<'a> {
    options: &'a [IniOption],
    /// The option that is read.
    read: &'a IniOption,
}

impl Scope<'_> {
    fn push(&self, out: &mut String, value: &str, depth: usize) -> Result<(), IniError> {
        let option = || self.read.name.as_str().into();
        if depth > MAX_DEPTH {
            return Err(self.error(IniProblem::TooDeep { option: option() }));
        }
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            if let Some(tail) = after.strip_prefix('%') {
                out.push('%');
                rest = tail;
                continue;
            }
            let Some((name, tail)) = name(after) else {
                return Err(self.error(IniProblem::BadInterpolation { option: option() }));
            };
            rest = tail;
            let name = name.to_lowercase();
            let Some(named) = self.options.iter().find(|known| known.name == name) else {
                let problem = IniProblem::UnknownName { option: option(), name: name.into() };
                return Err(self.error(problem));
            };
            let value = joined(&named.value);
            if value.contains('%') {
                self.push(out, value, depth + 1)?;
            } else {
                out.push_str(value);
            }
            if out.len() > MAX_BYTES {
                return Err(self.error(IniProblem::TooDeep { option: option() }));
            }
        }
        out.push_str(rest);
        Ok(())
    }

    fn error(&self, problem: IniProblem) -> IniError {
        IniError { line: self.read.line, problem }
    }
}

/// The name in `(name)s`, and what follows.
fn name(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
    let rest = rest.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, rest))
}

/// As in Python.
const MAX_DEPTH: usize = 10;
/// Python has no such limit, and a few lines can ask for more than fits into memory.
const MAX_BYTES: usize = 16 * 1024 * 1024;
