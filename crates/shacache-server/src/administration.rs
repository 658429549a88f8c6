//! `shacached search`, `keys`, `blobs`, `delete`, `ban`, `unban`, `gc` and `hold`: by the server that
//! has the data folder open, else right here. The output is the same, in lines or as one JSON
//! document.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::{env, process};

use shacache_server::admin::client;
use shacache_server::admin::command::{Answer, Command, ListedHold, Request};
use shacache_server::config;
use shacache_server::log;
use shacache_store::administration::{Page, Removals};
use shacache_store::error::StoreError;
use shacache_store::{Store, StoreOptions};
use tokio::runtime::Runtime;

use crate::args::Common;

/// Runs one command on the configured data folder.
pub(crate) fn run((common, command): (Common, Command)) -> Result<ExitCode, Box<dyn Error>> {
    let Common { settings, json } = common;
    let config = config::load(&settings.into())?;
    log::start(&config);
    let data = config.data().to_owned();
    let request = Request { who: who(), command };
    let answer = Runtime::new()?.block_on(async {
        match Store::open_existing(&StoreOptions::of(data.clone())) {
            Ok(store) => in_process(&store, request).await,
            Err(StoreError::Locked(_)) => Ok(client::administration(&data, &request).await?),
            Err(error) => Err(error.into()),
        }
    })?;
    let text = if json { answer.to_json().and_then(pretty)? } else { to_lines(&answer) };
    io::stdout().write_all(text.as_bytes())?;
    if !json {
        io::stderr().write_all(beside(&answer).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn in_process(store: &Store, request: Request) -> Result<Answer, Box<dyn Error>> {
    let Request { who, command } = request;
    let answer = command.run(store.administration(), &who).await;
    store.close().await?;
    Ok(answer?)
}

/// Whoever is behind sudo, else the user: for the audit log, which takes their word for it.
fn who() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| env::var(name).ok());
    named.unwrap_or_else(|| format!("process {}", process::id()))
}

fn pretty(answer: serde_json::Value) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&answer)? + "\n")
}

fn to_lines(answer: &Answer) -> String {
    let lines: Vec<String> = match answer {
        Answer::Entries(page) => {
            let line = page.listed.iter();
            line.map(|it| format!("{}  {}  {}  {}", it.received, it.id, it.key, it.metadata))
                .collect()
        }
        Answer::Keys(page) => {
            let line = page.listed.iter();
            line.map(|it| format!("{}  {} entries  newest {}", it.key, it.entries, it.newest))
                .collect()
        }
        Answer::Blobs(page) => {
            let line = page.listed.iter();
            line.map(|it| format!("{}  {} bytes  {} entries", it.digest, it.bytes, it.entries))
                .collect()
        }
        Answer::Removals(removals) => removal_lines(removals),
        Answer::Holds(holds) => holds.iter().map(hold_line).collect(),
        Answer::Changed { changed } => vec![format!("{changed} changed")],
    };
    // A key or metadata may hold anything, and one thing is one line.
    lines.iter().map(|line| line.replace(char::is_control, "\u{fffd}") + "\n").collect()
}

fn hold_line(hold: &ListedHold) -> String {
    let ListedHold { name, digest, key, when, who, why } = hold;
    let held = match (digest, key) {
        (Some(digest), _) => format!("digest {digest}"),
        (None, key) => format!("key {}", key.as_deref().unwrap_or_default()),
    };
    format!("{name}  {held}  since {when}, by {who}: {why}")
}

fn removal_lines(removals: &Removals) -> Vec<String> {
    let Removals { dry_run, blobs, entries, bytes, held, restored, undated, listed } = removals;
    let mut lines: Vec<String> = listed
        .iter()
        .map(|it| {
            let key = it.key.as_ref().map(|key| format!("  key {key}")).unwrap_or_default();
            format!("{}{key}  {} bytes: {}", it.path, it.bytes, it.reason)
        })
        .collect();
    let unlisted = blobs + entries - listed.len() as u64;
    if unlisted > 0 {
        lines.push(format!("and {unlisted} more"));
    }
    let done = if *dry_run { "would move" } else { "moved" };
    let mut last =
        format!("{done} {blobs} blobs and {entries} entries ({bytes} bytes) to quarantine");
    for (count, what) in [
        (held, "held, and left alone"),
        (restored, "blobs brought back that an entry names"),
        (undated, "entries with an expiration_date that is no date, left alone"),
    ] {
        if *count > 0 {
            last += &format!("; {count} {what}");
        }
    }
    lines.push(last);
    lines
}

/// What is to be known about a list.
fn beside(answer: &Answer) -> String {
    fn about<T>(page: &Page<T>) -> String {
        let mut text = String::new();
        if !page.complete {
            text += "the index does not know all that the archive has yet\n";
        }
        if let Some(next) = &page.next {
            text += &format!("there may be more: --after {next:?}\n");
        }
        text
    }
    match answer {
        Answer::Entries(page) => about(page),
        Answer::Keys(page) => about(page),
        Answer::Blobs(page) => about(page),
        Answer::Removals(_) | Answer::Holds(_) | Answer::Changed { .. } => String::new(),
    }
}
