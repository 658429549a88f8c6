//! Command lines as Python's `argparse` (3.11) reads them: options may be abbreviated, short ones
//! run together with their value, positional arguments stand in one group anywhere between.

use std::collections::HashMap;

use super::Failure;

/// What a program accepts.
#[derive(Debug)]
pub(super) struct Parser {
    program: &'static str,
    options: Vec<Opt>,
    required: Vec<&'static str>,
    exclusive: Option<[&'static str; 2]>,
    exclusive_required: bool,
    positionals: Positionals,
}

/// One option.
#[derive(Debug)]
struct Opt {
    short: Option<char>,
    long: &'static str,
    takes_value: bool,
    help: &'static str,
}

/// What stands beside the options.
#[derive(Debug, Clone, Copy)]
pub(super) enum Positionals {
    /// Any number of arguments, all in one place.
    Any(&'static str),
    /// Exactly these, each wherever it may.
    Each(&'static [&'static str]),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    values: HashMap<&'static str, String>,
    contents: HashMap<&'static str, String>,
    positionals: Vec<String>,
}

impl Arguments {
    /// The last value of an option; an empty one for an option without values that was given.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.values.get(long).map(String::as_str)
    }

    /// As [`Arguments::value`]; an empty value counts as none, as it does for Python's `if`.
    pub(super) fn truthy(&self, long: &str) -> Option<&str> {
        self.value(long).filter(|value| !value.is_empty())
    }

    /// What the check of an option's value returned.
    pub(super) fn content(&self, long: &str) -> Option<&str> {
        self.contents.get(long).map(String::as_str)
    }

    /// The arguments beside the options.
    pub(super) fn positionals(&self) -> &[String] {
        &self.positionals
    }
}

impl Parser {
    pub(super) fn new(program: &'static str) -> Self {
        let help = Opt { short: Some('h'), long: "help", takes_value: false, help: "Show this." };
        Self {
            program,
            options: vec![help],
            required: Vec::new(),
            exclusive: None,
            exclusive_required: false,
            positionals: Positionals::Each(&[]),
        }
    }

    /// Adds an option that takes a value.
    pub(super) fn option(
        mut self,
        short: Option<char>,
        long: &'static str,
        help: &'static str,
    ) -> Self {
        self.options.push(Opt { short, long, takes_value: true, help });
        self
    }

    /// Adds an option that takes none.
    pub(super) fn flag(mut self, short: char, long: &'static str, help: &'static str) -> Self {
        self.options.push(Opt { short: Some(short), long, takes_value: false, help });
        self
    }

    /// Makes an option obligatory.
    pub(super) fn required(mut self, long: &'static str) -> Self {
        self.required.push(long);
        self
    }

    /// Allows only one of two options.
    pub(super) fn exclusive(mut self, pair: [&'static str; 2]) -> Self {
        self.exclusive = Some(pair);
        self
    }

    /// Makes one of the exclusive options obligatory.
    pub(super) fn one_required(mut self) -> Self {
        self.exclusive_required = true;
        self
    }

    /// Says what stands beside the options.
    pub(super) fn positionals(mut self, positionals: Positionals) -> Self {
        self.positionals = positionals;
        self
    }

    /// Reads a command line. `check` sees each value as it is read, and may keep something for it.
    pub(super) fn parse(
        &self,
        arguments: &[String],
        check: fn(&str, &str) -> Result<Option<String>, String>,
    ) -> Result<Arguments, Failure> {
        let mut reading = Reading { parser: self, check, found: Arguments::default(), open: true };
        let unrecognized = reading.read(arguments)?;
        // What is missing is told before what is too much.
        let found = self.complete(reading.found)?;
        if unrecognized.is_empty() {
            return Ok(found);
        }
        Err(self.error(&format!("unrecognized arguments: {}", unrecognized.join(" "))))
    }

    /// The failure for a command line that is wrong.
    pub(super) fn error(&self, message: &str) -> Failure {
        Failure::Usage(format!("{}\n{}: error: {message}", self.usage(), self.program))
    }

    fn complete(&self, found: Arguments) -> Result<Arguments, Failure> {
        let options = self.required.iter().filter(|long| found.value(long).is_none());
        let mut missing: Vec<_> = options.map(|long| format!("--{long}")).collect();
        if let Positionals::Each(names) = self.positionals {
            missing.extend(names.iter().skip(found.positionals.len()).map(ToString::to_string));
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(self.error(&format!("the following arguments are required: {missing}")));
        }
        if let Some([one, other]) = self.exclusive
            && self.exclusive_required
            && found.value(one).is_none()
            && found.value(other).is_none()
        {
            let message = format!("one of the arguments --{one} --{other} is required");
            return Err(self.error(&message));
        }
        Ok(found)
    }

    fn usage(&self) -> String {
        let positionals = match self.positionals {
            Positionals::Any(name) => format!("[{name} ...]"),
            Positionals::Each(names) => names.join(" "),
        };
        format!("usage: {} [options] {positionals}", self.program)
    }

    fn help(&self) -> String {
        let options = self.options.iter().map(|option| {
            let short = option.short.map(|short| format!("-{short}, ")).unwrap_or_default();
            let value = if option.takes_value { " VALUE" } else { "" };
            format!("\n  {short}--{}{value}\n        {}", option.long, option.help)
        });
        format!("{}\n\noptions:{}", self.usage(), options.collect::<String>())
    }

    /// Whether an argument is an option, which one, and what is attached to it.
    fn classify<'a>(&self, text: &'a str) -> Result<Class<'_, 'a>, Failure> {
        if !text.starts_with('-') || text.len() == 1 {
            return Ok(Class::Positional);
        }
        if let Some(option) = self.exact(text) {
            return Ok(Class::Option(option, None));
        }
        if let Some((name, value)) = text.split_once('=')
            && let Some(option) = self.exact(name)
        {
            return Ok(Class::Option(option, Some(value)));
        }
        if let Some(long) = text.strip_prefix("--") {
            let (start, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let mut matching = self.options.iter().filter(|option| option.long.starts_with(start));
            match (matching.next(), matching.next()) {
                (Some(option), None) => return Ok(Class::Option(option, value)),
                (Some(_), Some(_)) => {
                    return Err(self.error(&format!("ambiguous option: {text}")));
                }
                (None, _) => {}
            }
        } else if let Some(letter) = text.chars().nth(1)
            && let Some(option) = self.short(letter)
        {
            return Ok(Class::Option(option, Some(&text[1 + letter.len_utf8()..])));
        }
        if is_negative_number(text) || text.contains(' ') {
            return Ok(Class::Positional);
        }
        Ok(Class::Unknown)
    }

    fn exact(&self, text: &str) -> Option<&Opt> {
        if let Some(long) = text.strip_prefix("--") {
            return self.options.iter().find(|option| option.long == long);
        }
        let mut letters = text.strip_prefix('-')?.chars();
        let letter = letters.next()?;
        if letters.next().is_some() { None } else { self.short(letter) }
    }

    fn short(&self, letter: char) -> Option<&Opt> {
        self.options.iter().find(|option| option.short == Some(letter))
    }
}

/// What an argument before `--` is.
enum Class<'p, 'a> {
    Positional,
    Option(&'p Opt, Option<&'a str>),
    Unknown,
}

/// One reading of a command line.
struct Reading<'p> {
    parser: &'p Parser,
    check: fn(&str, &str) -> Result<Option<String>, String>,
    found: Arguments,
    /// Whether the one group of positional arguments is still to come, or goes on.
    open: bool,
}

impl<'p> Reading<'p> {
    /// Returns what has no place.
    fn read(&mut self, arguments: &[String]) -> Result<Vec<String>, Failure> {
        // Python tells options and others apart for the whole line before it reads any of them.
        let end = arguments.iter().position(|text| text == "--").unwrap_or(arguments.len());
        let classes: Result<Vec<_>, _> =
            arguments[..end].iter().map(|text| self.parser.classify(text)).collect();
        let classes = classes?;
        let mut unrecognized = Vec::new();
        let mut at = 0;
        while let Some(class) = classes.get(at) {
            match class {
                Class::Positional => self.positional(&arguments[at], &mut unrecognized),
                Class::Unknown => unrecognized.push(arguments[at].clone()),
                Class::Option(option, attached) => {
                    self.open &= self.found.positionals.is_empty();
                    let value = matches!(classes.get(at + 1), Some(Class::Positional))
                        .then(|| arguments[at + 1].as_str());
                    at += usize::from(self.option(option, *attached, value)?);
                }
            }
            at += 1;
        }
        for text in arguments.iter().skip(end + 1) {
            self.positional(text, &mut unrecognized);
        }
        Ok(unrecognized)
    }

    fn positional(&mut self, text: &str, unrecognized: &mut Vec<String>) {
        let room = match self.parser.positionals {
            Positionals::Any(_) => self.open,
            Positionals::Each(names) => self.found.positionals.len() < names.len(),
        };
        if room {
            self.found.positionals.push(text.into());
        } else {
            unrecognized.push(text.into());
        }
    }

    /// Reads an option; returns whether it took the next argument.
    fn option(
        &mut self,
        option: &'p Opt,
        attached: Option<&str>,
        next: Option<&str>,
    ) -> Result<bool, Failure> {
        if option.takes_value {
            let Some(value) = attached.or(next) else {
                let message = format!("argument --{}: expected one argument", option.long);
                return Err(self.parser.error(&message));
            };
            self.store(option, value)?;
            return Ok(attached.is_none());
        }
        // `-lk KEY`: what is attached to an option without value are more options.
        let more = attached.and_then(|attached| {
            let letter = attached.chars().next()?;
            Some((self.parser.short(letter)?, &attached[letter.len_utf8()..]))
        });
        if attached.is_some() && more.is_none() {
            let message = format!("argument --{}: ignored explicit argument", option.long);
            return Err(self.parser.error(&message));
        }
        if option.long == "help" {
            return Err(Failure::Help(self.parser.help()));
        }
        self.found.values.insert(option.long, String::new());
        match more {
            Some((option, attached)) => {
                self.option(option, (!attached.is_empty()).then_some(attached), next)
            }
            None => Ok(false),
        }
    }

    fn store(&mut self, option: &'p Opt, value: &str) -> Result<(), Failure> {
        let content = (self.check)(option.long, value);
        if let Some(content) = content.map_err(|message| self.parser.error(&message))? {
            self.found.contents.insert(option.long, content);
        }
        if let Some(pair) = self.parser.exclusive
            && pair.contains(&option.long)
            && let Some(rival) = pair.iter().find(|long| **long != option.long)
            && self.found.value(rival).is_some()
        {
            let message =
                format!("argument --{}: not allowed with argument --{rival}", option.long);
            return Err(self.parser.error(&message));
        }
        self.found.values.insert(option.long, value.into());
        Ok(())
    }
}

/// As Python's `^-\d+$|^-\d*\.\d+$`.
fn is_negative_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = text.strip_prefix('-') else { return false };
    match number.split_once('.') {
        None => !number.is_empty() && digits(number),
        Some((whole, fraction)) => digits(whole) && !fraction.is_empty() && digits(fraction),
    }
}

#[cfg(test)]
mod tests;
