//! `shacached import`: files of another archive, what a slapproxy kept, or what another server
//! answers, each checked before it is taken. By the server that has the data folder open, else right
//! here; the outcome is the same.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use shacache_server::config::{self, Config};
use shacache_server::intake::keys::Keys;
use shacache_server::intake::services::{Services, Steps};
use shacache_server::intake::slapproxy::Slapproxy;
use shacache_server::intake::{Intake, IntakeError, Target, archive};
use shacache_server::log;
use shacache_server::upstream::{Upstream, UpstreamError};
use shacache_store::archive_tree::ArchiveTree;
use shacache_store::error::Chain;
use shacache_store::{Moved, StoreOptions};
use tokio::runtime::Runtime;

use crate::args::{Import, ImportSource};
use crate::findings;
use crate::progress::Progress;

/// Takes into the archive of the configured data folder.
pub(crate) fn run(command: Import) -> Result<ExitCode, Box<dyn Error>> {
    let (json, quiet) = (command.json, command.quiet);
    let (overrides, source) = command.into();
    let config = config::load(&overrides)?;
    log::start(&config);
    // Before a data folder is made.
    let source = Source::open(source, &config)?;
    let options = StoreOptions::of(config.data().to_owned());
    let runtime = Runtime::new()?;
    let imported = runtime.block_on(import(source, &options, Progress::new(quiet)));
    // Whoever sends the stream may have stopped sending, and is not waited for.
    runtime.shutdown_background();
    let (imported, broken_off) = imported?;
    if broken_off.is_none() || imported != Moved::default() {
        let text = if json { findings::json(&imported)? } else { to_lines(&imported) };
        io::stdout().write_all(text.as_bytes())?;
    }
    let Some(error) = broken_off else { return Ok(findings::exit_code(imported.damage)) };
    match error {
        IntakeError::Upstream(
            error @ (UpstreamError::Gone { .. }
            | UpstreamError::Failing { .. }
            | UpstreamError::HasNothing { .. }),
        ) => {
            // With standard error gone there is nobody left to tell.
            let _unheard = writeln!(io::stderr(), "shacached: {}", Chain(&error));
            Ok(ExitCode::from(NETWORK))
        }
        error => Err(error.into()),
    }
}

async fn import(
    source: Source,
    options: &StoreOptions,
    progress: Progress,
) -> Result<(Moved, Option<IntakeError>), Box<dyn Error>> {
    let progress = Arc::new(progress);
    let (shown, steps) = (Arc::clone(&progress), source.steps());
    let show = move |moved: &Moved| shown.show(moved, steps.as_deref());
    let intake = Intake::new(Target::open(options)?, show);
    let taken = source.take(&intake).await;
    progress.end();
    // Also after a failure: what was taken until then is to be found at once by the next run.
    let closed = intake.close().await;
    let broken_off = taken.err().or_else(|| closed.err().map(IntakeError::from));
    Ok((intake.moved(), broken_off))
}

/// What is taken in, once it is known to be there.
enum Source {
    Folder(ArchiveTree),
    Tar(PathBuf, File),
    StandardInput,
    Slapproxy(Slapproxy),
    Services(Box<Services>),
}

impl Source {
    fn open(source: ImportSource, config: &Config) -> Result<Self, Box<dyn Error>> {
        Ok(match source {
            ImportSource::Services { location, keys, patience } => {
                let upstream = Upstream::open(&location, patience)?;
                let keys = Keys::open(&keys)?;
                Self::Services(Box::new(Services::new(upstream, keys, config.blob_limit_bytes())))
            }
            ImportSource::Slapproxy { content, metadata } => {
                Self::Slapproxy(Slapproxy::open(content, metadata)?)
            }
            ImportSource::Export(from) if from == Path::new("-") => Self::StandardInput,
            ImportSource::Export(from) if from.is_dir() => {
                Self::Folder(archive::open_folder(&from)?)
            }
            ImportSource::Export(from) => {
                let file = archive::open_file(&from)?;
                Self::Tar(from, file)
            }
        })
    }

    fn steps(&self) -> Option<Arc<Steps>> {
        match self {
            Self::Services(services) => Some(services.steps()),
            Self::Folder(_) | Self::Tar(..) | Self::StandardInput | Self::Slapproxy(_) => None,
        }
    }

    async fn take(self, intake: &Intake) -> Result<(), IntakeError> {
        match self {
            Self::Folder(export) => archive::take_folder(intake, export).await,
            Self::Tar(path, file) => archive::take_tar(intake, &path, file).await,
            Self::StandardInput => archive::take_tar(intake, Path::new("-"), io::stdin()).await,
            Self::Slapproxy(slapproxy) => slapproxy.take(intake).await,
            Self::Services(services) => services.take(intake).await,
        }
    }
}

fn to_lines(imported: &Moved) -> String {
    let Moved { blobs, bytes, entries, others, already, damage, notes, findings } = imported;
    let mut text = findings::lines(findings, damage + notes);
    text += &format!("imported {blobs} blobs ({bytes} bytes), {entries} entries");
    text += &format!(" and {others} other files; {already} were there");
    text + &format!("; {damage} damaged, {notes} to note\n")
}

/// What conventions for this family of programs call «network failed».
const NETWORK: u8 = 5;
