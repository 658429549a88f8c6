//! `shacache upload`: files and standard input to blobs, one checksum line for each.

use std::fs::File;
use std::io::stdin;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use shacache_client::Client;
use shacache_client::blob::{Payload, Uploaded};

use crate::args::UploadArgs;
use crate::progress::Bar;
use crate::talk::Talk;
use crate::{connection, output};

/// Uploads every file in turn; the first failure ends the run.
pub(crate) async fn run(args: &UploadArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let client = connection::open(&args.server)?;
    for path in &args.files {
        let payload = open(path)?;
        send(&client, &payload, path, talk).await?;
        let name = path.display();
        let digest = payload.digest();
        output::line(&match args.tag {
            true => format!("SHA512 ({name}) = {digest}"),
            false => format!("{digest}  {name}"),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn send(client: &Client, payload: &Payload, path: &Path, talk: &Talk) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let bar = Bar::new(talk, &name, Some(payload.len()));
    let watched = payload.clone().watched_by(bar.watching());
    let uploaded = client.upload(&watched).await;
    bar.finish();
    if uploaded.with_context(|| name.clone())? == Uploaded::AlreadyThere {
        talk.note(&format!("{name}: already there"));
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Payload> {
    let context = || format!("cannot read {}", path.display());
    if path == Path::new("-") {
        return Payload::from_reader(&mut stdin().lock()).with_context(context);
    }
    let mut file = File::open(path).with_context(context)?;
    // A pipe has no length and cannot be read twice.
    if file.metadata().with_context(context)?.is_file() {
        Payload::from_file(file).with_context(context)
    } else {
        Payload::from_reader(&mut file).with_context(context)
    }
}
