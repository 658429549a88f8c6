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
use shacache_store::{Store, StoreOptions, UnclaimedLimits};
use tokio::runtime::Runtime;

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
        let unclaimed = UnclaimedLimits::default();
        match Store::open_existing(&StoreOptions { data: data.clone(), unclaimed }) {
            Ok(store) => in_process(&store, options).await.map_err(Box::<dyn Error>::from),
            Err(StoreError::Locked(_)) => Ok(client::verify(&data, &options).await?),
            Err(error) => Err(error.into()),
        }
    })?;
    let text = if json { to_json(&report)? } else { to_lines(&report) };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if report.damage == 0 { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) })
}

async fn in_process(store: &Store, options: VerifyOptions) -> Result<Report, StoreError> {
    let report = store.verify(options, |_| true).await?;
    store.close().await?;
    Ok(report)
}

fn to_json(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

fn to_lines(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += &format!("{finding}\n").replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    }
    let Report { units, blobs, bytes, entries, damage, notes, findings } = report;
    let unlisted = damage + notes - findings.len() as u64;
    if unlisted > 0 {
        text += &format!("and {unlisted} more\n");
    }
    text += &format!("checked {blobs} blobs ({bytes} bytes) and {entries} entries");
    if *units < 256 {
        text += &format!(" in {units} of 256 parts of the archive");
    }
    text + &format!(": {damage} damaged, {notes} to note\n")
}

/// What conventions for this family of programs call «verification failed».
const DAMAGE: u8 = 4;
