//! `networkcache-download` as 0.30 has it: the first match to standard output, or a list of all.

use std::io::stdout;

use anyhow::anyhow;
use shacache_client::filter::{Criterion, Filter};
use shacache_client::selection::{BindingRule, Selected, Selection, TrustRule};
use shacache_client::{Client, ClientError, Subject, binding};
use shacache_core::json::Value;
use shacache_core::key::Key;

use super::argparse::{Arguments, Positionals};
use super::{Failure, block_on, config, open_config, parser, wire_key};
use crate::output;
use crate::progress::Bar;
use crate::pump::pump;
use crate::talk::complain;

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let parser = parser("networkcache-download")
        .one_required()
        .flag('l', "list", "List found results instead of downloading the first one.")
        .positionals(Positionals::Any("KEY{==,<=,>=,<,>,<<,>>}VALUE"));
    let arguments = parser.parse(arguments, open_config)?;
    block_on(download(&arguments))
}

async fn download(arguments: &Arguments) -> Result<(), Failure> {
    let client = Client::new(&config(arguments)?)?;
    let key = match arguments.truthy("key") {
        Some(key) => wire_key(key)?,
        None => Subject::Url(arguments.value("url").unwrap_or_default().into()).key(),
    };
    let criteria: Result<Vec<Criterion>, _> =
        arguments.positionals().iter().map(|text| text.parse()).collect();
    let found = select(&client, &key, criteria?).await?;
    let Some(first) = found.first() else {
        return Err(anyhow!("No result found with given criteria.").into());
    };
    if arguments.value("list").is_some() {
        let all: Value = found.iter().map(|it| Value::from(it.metadata().clone())).collect();
        return Ok(output::line(&all.to_sorted_lines())?);
    }
    if let Err(error) = binding::check(&key, first.metadata()) {
        complain(&format!("warning: the entry may be one of another key: {error}"));
    }
    let download = client.download(first.digest()).await?;
    Ok(pump(download, 0, stdout(), Bar::hidden()).await.1?)
}

/// With no usable certificate the old tool takes every entry.
async fn select(
    client: &Client,
    key: &Key,
    criteria: Vec<Criterion>,
) -> Result<Vec<Selected>, ClientError> {
    let trust = if client.trust().is_empty() {
        complain("warning: without usable certificates any entry is taken, whoever made it");
        TrustRule::Anything
    } else {
        TrustRule::Required
    };
    let filter = Filter::new(criteria);
    let selection = Selection { filter, trust, binding: BindingRule::AnyKey };
    match client.select(key, &selection).await {
        Err(ClientError::NotFound { .. } | ClientError::Untrusted { .. }) => Ok(Vec::new()),
        selected => selected,
    }
}
