//! The file format of slapos.cfg, as Python's `ConfigParser` reads it in its default, strict form:
//! `=` or `:`, full-line comments, continuation by indentation, `[DEFAULT]`. Knows nothing of what
//! the options mean; `%(name)s` is the matter of `ini/interpolation.rs`.

use std::collections::HashSet;

mod interpolation;

/// A parsed file. Values are as written; [`Ini::section`] interpolates.
#[derive(Debug, Clone, Default)]
pub struct Ini {
    sections: Vec<Section>,
    defaults: Section,
}

impl Ini {
    /// Reads the whole text of a file.
    ///
    /// # Errors
    /// Where Python raises: the first line that makes the file unusable.
    pub fn read(text: &str) -> Result<Self, IniError> {
        let mut reader = Reader::default();
        // Python's text files know three line ends.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (at, line) in text.split_terminator('\n').enumerate() {
            reader.line(at + 1, line)?;
        }
        match reader.first_bad_line {
            Some(line) => Err(IniError { line, problem: IniProblem::NoDelimiter }),
            None => Ok(reader.ini),
        }
    }

    /// The options of a section, those of `[DEFAULT]` first, interpolated.
    ///
    /// # Errors
    /// When the section is missing, or any of its values cannot be interpolated, the value of an
    /// unrelated option included: Python reads all or nothing.
    pub fn section(&self, name: &str) -> Result<Vec<IniOption>, IniError> {
        let section = self
            .sections
            .iter()
            .find(|section| section.name == name)
            .or_else(|| (name == DEFAULT).then_some(&self.defaults))
            .ok_or_else(|| IniError {
                line: 0,
                problem: IniProblem::NoSection { name: name.into() },
            })?;
        let mut options = self.defaults.options.clone();
        for option in &section.options {
            match options.iter_mut().find(|known| known.name == option.name) {
                Some(known) => *known = option.clone(),
                None => options.push(option.clone()),
            }
        }
        interpolation::interpolate(&options)
    }
}

/// One `[name]` and what stands below it.
#[derive(Debug, Clone, Default)]
struct Section {
    name: String,
    options: Vec<IniOption>,
}

/// One `name = value`.
#[derive(Debug, Clone)]
pub struct IniOption {
    name: String,
    value: String,
    line: usize,
}

impl IniOption {
    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The line of the file where the option starts, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}

/// Why a file cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct IniError {
    line: usize,
    problem: IniProblem,
}

impl IniError {
    /// A file whose text ends after `before`, because what follows is not UTF-8.
    pub(super) fn not_utf8(before: &[u8]) -> Self {
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, problem: IniProblem::NotUtf8 }
    }

    /// The line, counted from 1; 0 when the file as a whole lacks something.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The line as it follows a file's name in a message.
    pub(super) fn place(&self) -> String {
        match self.line {
            0 => String::new(),
            line => format!(":{line}"),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &IniProblem {
        &self.problem
    }
}

/// What can be wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IniProblem {
    /// A line is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Something stands before the first section.
    #[error("an option before the first [section]")]
    NoHeader,
    /// A line is neither a section nor an option nor a continuation.
    #[error("neither [section] nor `option = value`")]
    NoDelimiter,
    /// A section appears twice.
    #[error("section [{name}] appears twice")]
    DuplicateSection {
        /// The section.
        name: Box<str>,
    },
    /// An option appears twice in its section.
    #[error("option `{name}` appears twice")]
    DuplicateOption {
        /// The option.
        name: Box<str>,
    },
    /// The section asked for does not exist.
    #[error("no section [{name}]")]
    NoSection {
        /// The section.
        name: Box<str>,
    },
    /// A `%` starts neither `%%` nor `%(name)s`.
    #[error("`%` in `{option}` is followed by neither `%` nor `(name)s`")]
    BadInterpolation {
        /// The option read.
        option: Box<str>,
    },
    /// `%(name)s` names no option.
    #[error("`%({name})s` in `{option}` names no option")]
    UnknownName {
        /// The option read.
        option: Box<str>,
        /// The name.
        name: Box<str>,
    },
    /// `%(name)s` leads to itself, or through too many others.
    #[error("`{option}` is interpolated too deeply")]
    TooDeep {
        /// The option read.
        option: Box<str>,
    },
}

/// The state between two lines.
#[derive(Debug, Default)]
struct Reader {
    ini: Ini,
    place: Place,
    /// The lines of the option that further lines may continue.
    open: bool,
    indent: usize,
    seen: HashSet<(String, String)>,
    first_bad_line: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    BeforeAnySection,
    Defaults,
    Section(usize),
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let text = line.trim_matches(is_space);
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.is_empty() {
            self.continue_with("");
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if self.open && indent > self.indent {
            self.continue_with(text);
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = header(text) {
            return self.header(number, name);
        }
        let Some(section) = self.section() else {
            return Err(IniError { line: number, problem: IniProblem::NoHeader });
        };
        let Some((name, value)) = text.split_once(['=', ':']) else {
            self.first_bad_line.get_or_insert(number);
            return Ok(());
        };
        let name = name.trim_end_matches(is_space).to_lowercase();
        let section_name = section.name.clone();
        section.options.push(IniOption {
            name: name.clone(),
            value: value.trim_matches(is_space).into(),
            line: number,
        });
        if name.is_empty() {
            self.first_bad_line.get_or_insert(number);
        }
        self.open = !name.is_empty();
        if self.seen.insert((section_name, name.clone())) {
            return Ok(());
        }
        let problem = IniProblem::DuplicateOption { name: name.into() };
        Err(IniError { line: number, problem })
    }

    fn header(&mut self, number: usize, name: &str) -> Result<(), IniError> {
        self.open = false;
        if name == DEFAULT {
            self.place = Place::Defaults;
            self.ini.defaults.name = DEFAULT.into();
            return Ok(());
        }
        if self.ini.sections.iter().any(|section| section.name == name) {
            let problem = IniProblem::DuplicateSection { name: name.into() };
            return Err(IniError { line: number, problem });
        }
        self.place = Place::Section(self.ini.sections.len());
        self.ini.sections.push(Section { name: name.into(), options: Vec::new() });
        Ok(())
    }

    /// Adds a line to the open option, if one is.
    fn continue_with(&mut self, text: &str) {
        if self.open
            && let Some(option) = self.section().and_then(|section| section.options.last_mut())
        {
            option.value.push('\n');
            option.value.push_str(text);
        }
    }

    fn section(&mut self) -> Option<&mut Section> {
        match self.place {
            Place::BeforeAnySection => None,
            Place::Defaults => Some(&mut self.ini.defaults),
            Place::Section(at) => self.ini.sections.get_mut(at),
        }
    }
}

/// The name in `[name]`, which reaches to the last bracket; what follows it is ignored.
fn header(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// Python's `str.isspace`, which counts four separators that Unicode's White_Space does not.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

const DEFAULT: &str = "DEFAULT";

#[cfg(test)]
mod tests;
