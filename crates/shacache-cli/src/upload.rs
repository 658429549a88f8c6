//! `shacache upload`: files, folders, URLs and standard input to blobs, one checksum line for each;
//! with a key or URL also to entries.

use std::process::ExitCode;

use anyhow::Context as _;
use shacache_client::blob::{Payload, Uploaded};
use shacache_client::{Client, Subject};
use shacache_core::json::{Object, Value};

use crate::args::UploadArgs;
use crate::exit::Usage;
use crate::metadata::Metadata;
use crate::progress::Bar;
use crate::source::{Source, carries_credentials};
use crate::talk::Talk;
use crate::{connection, output};

/// Uploads everything in turn; the first failure ends the run.
pub(crate) async fn run(args: &UploadArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let client = connection::open(&args.server, talk)?;
    let metadata = Metadata::new(args.metadata.as_deref(), &args.meta)?;
    let unnamed = args.subject.subject().is_none();
    if unnamed && args.sources.iter().any(|name| carries_credentials(name)) {
        let reason = "an entry would make the credentials in the URL public: give --key or --url";
        return Err(Usage(reason.into()).into());
    }
    let mut report = Vec::new();
    for name in &args.sources {
        let source = Source::new(name);
        let payload = source.open().await?;
        let uploaded = send(&client, &payload, name, talk).await?;
        // What came from a URL is found again under that URL, unless another key is wanted.
        let subject = args.subject.subject().or_else(|| match source {
            Source::Url(url) => Some(Subject::Url(url.into())),
            Source::Stdin | Source::Path(_) => None,
        });
        if let Some(subject) = &subject {
            let entry = metadata.of(subject);
            client.index(&subject.key(), payload.digest(), &entry).await?;
        }
        if talk.is_json() {
            report.push(document(name, &payload, uploaded, subject.as_ref()));
        } else {
            output::line(&checksum(&payload, name, args.tag))?;
        }
    }
    if talk.is_json() {
        output::document(report.into_iter().collect::<Value>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a payload under a bar.
pub(crate) async fn send(
    client: &Client,
    payload: &Payload,
    name: &str,
    talk: &Talk,
) -> anyhow::Result<Uploaded> {
    let bar = Bar::new(talk, name, Some(payload.len()));
    let watched = payload.clone().watched_by(bar.watching());
    let uploaded = client.upload(&watched).await;
    bar.finish();
    let uploaded = uploaded.with_context(|| name.to_owned())?;
    if uploaded == Uploaded::AlreadyThere {
        talk.note(&format!("{name}: already there"));
    }
    Ok(uploaded)
}

/// One line as `sha512sum` writes it, or its BSD form.
fn checksum(payload: &Payload, name: &str, tag: bool) -> String {
    let digest = payload.digest();
    // As coreutils: a name that would break the line is escaped, and the line says so.
    let (mark, name) = match name.contains(['\\', '\n', '\r']) {
        true => ("\\", name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")),
        false => ("", name.to_owned()),
    };
    if tag {
        format!("{mark}SHA512 ({name}) = {digest}")
    } else {
        format!("{mark}{digest}  {name}")
    }
}

fn document(name: &str, payload: &Payload, uploaded: Uploaded, subject: Option<&Subject>) -> Value {
    let mut document = Object::new();
    document.insert("name", name);
    document.insert("sha512", payload.digest().to_string());
    document.insert("size_bytes", i64::try_from(payload.len()).unwrap_or(i64::MAX));
    document.insert("sent", uploaded == Uploaded::Sent);
    if let Some(subject) = subject {
        document.insert("key", subject.key().as_str());
    }
    document.into()
}
