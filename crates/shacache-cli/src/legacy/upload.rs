//! `networkcache-upload` as 0.30 has it.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use shacache_client::blob::Payload;
use shacache_client::{Client, Subject, archive, origin};
use shacache_core::json::{Object, Reader, Value};
use shacache_core::key::Key;

use super::argparse::{Arguments, Parser, Positionals};
use super::{Failure, block_on, config, open_config, parser, wire_key};
use crate::talk::complain;

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let parser = parser("networkcache-upload")
        .option(Some('f'), "file", "Upload the contents of this file, overriding --url.")
        .option(Some('m'), "metadata", "A file containing a JSON dictionary with metadata.")
        .positionals(Positionals::Any("KEY=VALUE"));
    let arguments = parser.parse(arguments, open_config)?;
    block_on(upload(&parser, &arguments))
}

async fn upload(parser: &Parser, arguments: &Arguments) -> Result<(), Failure> {
    let config = config(arguments)?;
    let client = Client::new(&config)?;
    let (key, url) = (arguments.truthy("key"), arguments.truthy("url"));
    let payload = match (arguments.truthy("file"), url) {
        (Some(file), _) => file_payload(Path::new(file))?,
        (None, Some(url)) => url_payload(parser, url).await?,
        (None, None) => return Err(parser.error("either --file or --url is required")),
    };
    if key.is_none() && url.is_none() {
        client.upload(&payload).await?;
        return Ok(());
    }
    let mut metadata = metadata(arguments)?;
    let key = key_of(key, url, &mut metadata)?;
    client.upload(&payload).await?;
    if metadata.is_empty() {
        return Err(anyhow!("metadata should not be empty").into());
    }
    if config.signer.is_none() {
        complain("warning: without signature-private-key-file the entry is not signed");
    }
    client.index(&key, payload.digest(), &metadata).await?;
    Ok(())
}

fn file_payload(path: &Path) -> anyhow::Result<Payload> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    match file.metadata().with_context(context)?.is_file() {
        true => Payload::from_file(file),
        false => Payload::from_reader(&mut file),
    }
    .with_context(context)
}

async fn url_payload(parser: &Parser, url: &str) -> Result<Payload, Failure> {
    let path = Path::new(url);
    if path.is_dir() {
        let context = || format!("cannot pack {url}");
        // What Python's `os.path.split` leaves after a final slash is no name at all.
        let name = match url.ends_with('/') {
            true => Path::new("."),
            false => path.file_name().map_or_else(|| Path::new("."), Path::new),
        };
        let file = archive::pack_as(path, name).with_context(context)?;
        return Ok(Payload::from_file(file).with_context(context)?);
    }
    if url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ftp:")) {
        return Err(parser.error("ftp is not supported: fetch the file and use -f"));
    }
    Ok(origin::fetch(url).await?)
}

fn metadata(arguments: &Arguments) -> anyhow::Result<Object> {
    let mut metadata = match arguments.truthy("metadata") {
        None => Object::new(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            let value = Reader::new().read(&text).map_err(|error| anyhow!("{path}: {error}"))?;
            let Value::Object(object) = value else { bail!("Not a dictionary: {path}") };
            object
        }
    };
    for pair in arguments.positionals() {
        let (name, value) = pair.split_once('=').ok_or_else(|| anyhow!("not KEY=VALUE: {pair}"))?;
        metadata.insert(name, value);
    }
    // The old tool hands metadata on as keyword arguments, next to these of its own.
    for taken in ["self", "file_descriptor", "key", "sha512"] {
        if metadata.contains_key(taken) {
            bail!("`{taken}` cannot be given as metadata");
        }
    }
    Ok(metadata)
}

/// The key asked for, or that of the URL, which then is part of the metadata.
fn key_of(key: Option<&str>, url: Option<&str>, metadata: &mut Object) -> Result<Key, Failure> {
    if let Some(key) = key {
        return wire_key(key);
    }
    let url = url.unwrap_or_default();
    if !metadata.contains_key("url") {
        metadata.insert("url", url);
    }
    Ok(Subject::Url(url.into()).key())
}
