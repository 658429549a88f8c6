//! `shacache list`: the entries of a key that may be believed, as a table or as the JSON that the
//! old tool prints.

use std::process::ExitCode;

use shacache_client::selection::Selected;
use shacache_core::json::{Object, Value};

use crate::args::ListArgs;
use crate::talk::Talk;
use crate::terminal::escaped;
use crate::{connection, output};

/// Lists the entries of one key.
pub(crate) async fn run(args: &ListArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let subject = args.subject.subject_or(args.what.as_deref())?;
    let client = connection::open(&args.server, talk)?;
    let selection = connection::selection(&args.trust, args.filter.clone());
    let selected = client.select(&subject.key(), &selection).await?;
    if talk.is_json() {
        let metadata = selected.iter().map(|entry| Value::from(entry.metadata().clone()));
        output::document(metadata.collect::<Value>())?;
        return Ok(ExitCode::SUCCESS);
    }
    for entry in &selected {
        output::line(&one_line(entry))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The digest first, so that the line can be cut; then the rest of the metadata.
fn one_line(entry: &Selected) -> String {
    let mut rest = Object::new();
    for (name, value) in entry.metadata().iter().filter(|(name, _)| *name != "sha512") {
        rest.insert(name.clone(), value.clone());
    }
    let signer = entry.signer().map_or("-", |signer| signer.common_name().unwrap_or("?"));
    let rest = rest.to_string();
    format!("{}  {}  {}", entry.digest(), escaped(signer), escaped(&rest))
}
