//! The three commands of slapos.libnetworkcache 0.30: same options, same output, same exit codes
//! (0 done, 1 failed, 2 wrong usage). Where they are unsafe they stay so, and say it on standard
//! error. Nothing here is used by the modern commands.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use shacache_client::config::{Config, Networkcache, Purpose};
use shacache_core::key::Key;

use crate::talk::{self, complain};
use crate::{exit, output};

use self::argparse::{Arguments, Parser};

mod argparse;
mod download;
mod generate;
mod upload;

/// One of the old commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legacy {
    Upload,
    Download,
    GenerateSignatureKey,
}

impl Legacy {
    /// The command that a program name or subcommand stands for.
    pub(crate) fn named(name: &Path) -> Option<Self> {
        match name.file_name()?.to_str()? {
            "networkcache-upload" => Some(Self::Upload),
            "networkcache-download" => Some(Self::Download),
            "generate-signature-key" => Some(Self::GenerateSignatureKey),
            _ => None,
        }
    }

    /// Runs it with the arguments after its name.
    pub(crate) fn run(self, arguments: Vec<OsString>) -> ExitCode {
        talk::log(tracing::Level::WARN, false);
        let arguments: Result<Vec<String>, _> =
            arguments.into_iter().map(OsString::into_string).collect();
        let Ok(arguments) = arguments else {
            complain("an argument is not UTF-8");
            return ExitCode::from(USAGE);
        };
        let outcome = match self {
            Self::Upload => upload::run(&arguments),
            Self::Download => download::run(&arguments),
            Self::GenerateSignatureKey => generate::run(&arguments),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }
}

/// How an old command ends when it does not succeed.
#[derive(Debug)]
enum Failure {
    /// `--help`: the text goes to standard output.
    Help(String),
    /// The command line is wrong.
    Usage(String),
    /// Something went wrong.
    Failed(anyhow::Error),
}

impl Failure {
    fn report(self) -> ExitCode {
        match self {
            Self::Help(text) => {
                let shown = output::line(&text);
                if shown.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Self::Usage(text) => {
                complain(&text);
                ExitCode::from(USAGE)
            }
            Self::Failed(error) => {
                if !exit::is_unread(&error) {
                    complain(&format!("{error:#}"));
                }
                ExitCode::FAILURE
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The options that upload and download share.
fn parser(program: &'static str) -> Parser {
    Parser::new(program)
        .option(Some('c'), "config", "SlapOS configuration file.")
        .required("config")
        .option(Some('k'), "key", "The identifier under which the data is indexed.")
        .option(Some('u'), "url", "URL of the data; the key defaults to 'file-urlmd5:md5(URL)'.")
        .exclusive(["key", "url"])
}

/// Opening the configuration file belongs to reading the command line: a failure is wrong usage.
fn open_config(option: &str, value: &str) -> Result<Option<String>, String> {
    if option != "config" {
        return Ok(None);
    }
    let text =
        if value == "-" { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(value) };
    text.map(Some).map_err(|error| format!("argument -c/--config: can't open '{value}': {error}"))
}

/// The configuration that `-c` named.
fn config(arguments: &Arguments) -> Result<Config, Failure> {
    let text = arguments.content("config").unwrap_or_default();
    let name = arguments.value("config").unwrap_or_default();
    Ok(Networkcache::from_text(text, name)?.config(Purpose::Sources)?)
}

/// A key as the old client puts it on the wire: raw, so that a server decodes `%20` in it.
fn wire_key(text: &str) -> Result<Key, Failure> {
    Ok(Key::from_path(text.as_bytes())?)
}

/// Runs a command that needs the network.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

const USAGE: u8 = 2;
