//! `shacache download`: a blob to a file, through its part file, or to standard output.

use std::fmt::Display;
use std::io::stdout;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use shacache_client::blob::Prefix;
use shacache_client::filter::{Criterion, CriterionError};
use shacache_client::{Client, ClientError, Subject};
use shacache_core::digest::{Digest, DigestError};
use shacache_core::json::Object;
use tokio::task::spawn_blocking;

use crate::args::DownloadArgs;
use crate::destination::{Destination, open_device};
use crate::exit::Usage;
use crate::part_file::PartFile;
use crate::progress::Bar;
use crate::pump::{PumpError, pump};
use crate::talk::Talk;
use crate::{connection, output};

/// Downloads one blob.
pub(crate) async fn run(args: &DownloadArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::new(args)?;
    let client = connection::open(&args.server, talk)?;
    let digest = match wanted {
        Wanted::Blob(digest) => digest,
        Wanted::Newest(subject, filter) => {
            let selection = connection::selection(&args.trust, filter);
            *client.lookup(&subject, &selection).await?.digest()
        }
    };
    let destination = Destination::of(&args.output);
    blob(&client, &digest, destination, talk).await?;
    if talk.is_json() && !destination.is_stdout() {
        let mut document = Object::new();
        document.insert("sha512", digest.to_string());
        document.insert("output", args.output.to_string_lossy().into_owned());
        output::document(document)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line asks for.
enum Wanted {
    Blob(Digest),
    Newest(Subject, Vec<Criterion>),
}

impl Wanted {
    fn new(args: &DownloadArgs) -> anyhow::Result<Self> {
        let usage = |error: &dyn Display| Usage(error.to_string());
        match (args.subject.subject(), args.what.as_slice()) {
            (Some(subject), filters) => {
                let filter: Result<_, _> = filters.iter().map(|text| text.parse()).collect();
                Ok(Self::Newest(subject, filter.map_err(|error: CriterionError| usage(&error))?))
            }
            (None, [digest]) => {
                Ok(Self::Blob(digest.parse().map_err(|error: DigestError| usage(&error))?))
            }
            (None, _) => Err(usage(&"give one SHA-512, or --key or --url").into()),
        }
    }
}

async fn blob(
    client: &Client,
    digest: &Digest,
    destination: Destination<'_>,
    talk: &Talk,
) -> anyhow::Result<()> {
    match destination {
        Destination::Stdout => {
            let download = client.download(digest).await?;
            let bar = Bar::new(talk, "standard output", download.size_bytes());
            Ok(pump(download, 0, stdout(), bar).await.1?)
        }
        Destination::Device(path) => {
            let device = open_device(path)?;
            let download = client.download(digest).await?;
            let bar = Bar::new(talk, &path.display().to_string(), download.size_bytes());
            Ok(pump(download, 0, device, bar).await.1?)
        }
        Destination::File(path) => tokio::select! {
            outcome = to_file(client, digest, path, talk) => outcome,
            _ = tokio::signal::ctrl_c() => {
                let part = path.with_added_extension("part");
                anyhow::bail!("interrupted; what came is kept in {}", part.display());
            }
        },
    }
}

async fn to_file(client: &Client, digest: &Digest, path: &Path, talk: &Talk) -> anyhow::Result<()> {
    let (mut file, mut prefix) = {
        let path = path.to_owned();
        spawn_blocking(move || PartFile::open(&path)).await??
    };
    loop {
        let had = prefix.len();
        let (returned, outcome) = fill(client, digest, prefix, file, talk).await;
        file = returned.context("the thread that writes the file is gone")?;
        let error = match outcome {
            Ok(()) => return spawn_blocking(move || file.publish()).await?,
            Err(error) => error,
        };
        let corrupt = matches!(error, PumpError::Source(ClientError::Corrupt { .. }));
        if corrupt && had > 0 {
            // What an earlier run left may be the wrong part: once more without it.
            talk.note(&format!("{} did not fit and is dropped", file.part_path().display()));
            file.clear()?;
            prefix = Prefix::default();
            continue;
        }
        if corrupt || file.is_empty()? {
            file.discard()?;
        }
        return Err(error.into());
    }
}

async fn fill(
    client: &Client,
    digest: &Digest,
    prefix: Prefix,
    file: PartFile,
    talk: &Talk,
) -> (Option<PartFile>, Result<(), PumpError>) {
    let had = prefix.len();
    match client.resume(digest, prefix).await {
        Ok(download) => {
            let bar = Bar::new(talk, &file.path().display().to_string(), download.size_bytes());
            pump(download, had, file, bar).await
        }
        Err(error) => (Some(file), Err(error.into())),
    }
}
