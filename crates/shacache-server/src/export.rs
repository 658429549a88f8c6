//! `shacached export`: the archive as a folder or a tar stream, also while a server has it open. It
//! reads the files as they lie there, and so needs neither the server nor the lock.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shacache_server::config;
use shacache_server::log;
use shacache_store::Moved;
use shacache_store::export::{self, Earlier, ExportFolder, Sink};
use shacache_store::tar_file::TarWriter;

use crate::args::Export;
use crate::findings;
use crate::progress::Progress;

/// Copies the archive of the configured data folder.
pub(crate) fn run(command: Export) -> Result<ExitCode, Box<dyn Error>> {
    let Export { settings, to, since, json, quiet } = command;
    let config = config::load(&settings.into())?;
    log::start(&config);
    let mut earlier = Earlier::default();
    for export in &since {
        if *export == to && !to.is_dir() {
            return Err(SameFile(to).into());
        }
        earlier.add(export)?;
    }
    // Before anything is made where the copy goes to.
    let archive = export::source(config.data())?;
    let mut sink = sink(&to)?;
    let progress = Progress::new(quiet);
    let exported =
        export::export(&archive, &earlier, &mut *sink, &mut |moved| progress.show(moved, None));
    progress.end();
    let exported = exported?;
    let text = if json { findings::json(&exported)? } else { to_lines(&exported) };
    if to == Path::new("-") {
        io::stderr().write_all(text.as_bytes())?;
    } else {
        io::stdout().write_all(text.as_bytes())?;
    }
    Ok(findings::exit_code(exported.damage))
}

fn to_lines(exported: &Moved) -> String {
    let Moved { blobs, bytes, entries, others, already, damage, notes, findings } = exported;
    let mut text = findings::lines(findings, damage + notes);
    text += &format!("exported {blobs} blobs ({bytes} bytes), {entries} entries");
    text += &format!(" and {others} other files; {already} were there");
    text + &format!("; {damage} damaged, {notes} to note\n")
}

fn sink(to: &Path) -> Result<Box<dyn Sink>, Box<dyn Error>> {
    if to == Path::new("-") {
        return Ok(Box::new(TarWriter::to_stream(to, Box::new(io::stdout().lock()))));
    }
    let is_tar = to.extension().is_some_and(|extension| extension == "tar");
    if is_tar && !to.is_dir() {
        return Ok(Box::new(TarWriter::create(to)?));
    }
    Ok(Box::new(ExportFolder::open(to)?))
}

/// The copy would replace the only one that has what it leaves out.
#[derive(Debug, thiserror::Error)]
#[error("{}: an export since itself would leave out everything it has", .0.display())]
struct SameFile(PathBuf);
