//! `shacached verify`: by the server that has the data folder open, else right here. The output is
//! the same, and says what was found either in lines or as one JSON document.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use shacache_server::admin::client;
use shacache_server::config::{self, Overrides};
use shacache_server::log;
use shacache_store::error::StoreError;
use shacache_store::verify::{Report, VerifyOptions};
use shacache_store::{Store, StoreOptions};
use tokio::runtime::Runtime;

use crate::findings;

/// Checks the archive of the configured data folder.
pub(crate) fn run(
    overrides: &Overrides,
    options: VerifyOptions,
    json: bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let config = config::load(overrides)?;
    log::start(&config);
    let data = config.data().to_owned();
    let report = Runtime::new()?.block_on(async {
        match Store::open_existing(&StoreOptions::of(data.clone())) {
            Ok(store) => in_process(&store, options).await.map_err(Box::<dyn Error>::from),
            Err(StoreError::Locked(_)) => Ok(client::verify(&data, &options).await?),
            Err(error) => Err(error.into()),
        }
    })?;
    let text = if json { findings::json(&report)? } else { to_lines(&report) };
    io::stdout().write_all(text.as_bytes())?;
    Ok(findings::exit_code(report.damage))
}

async fn in_process(store: &Store, options: VerifyOptions) -> Result<Report, StoreError> {
    let report = store.verify(options, |_| true).await?;
    store.close().await?;
    Ok(report)
}

fn to_lines(report: &Report) -> String {
    let Report { units, blobs, bytes, entries, damage, notes, findings } = report;
    let mut text = findings::lines(findings, damage + notes);
    text += &format!("checked {blobs} blobs ({bytes} bytes) and {entries} entries");
    if *units < 256 {
        text += &format!(" in {units} of 256 parts of the archive");
    }
    text + &format!(": {damage} damaged, {notes} to note\n")
}
