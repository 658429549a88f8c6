//! `shacache fetch`: the download cache in one command. What a trusted entry names, else what the
//! origin has, which then goes into the cache for the next one who asks.

use std::fs::File;
use std::io::{self, Seek, Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use shacache_client::blob::Payload;
use shacache_client::config::Purpose;
use shacache_client::{Client, ClientError, Subject, origin};
use shacache_core::digest::Digest;
use shacache_core::json::Object;

use crate::args::FetchArgs;
use crate::destination::{Destination, open_device};
use crate::expected::Checking;
use crate::metadata::Metadata;
use crate::output::StdoutError;
use crate::part_file::PartFile;
use crate::progress::Bar;
use crate::pump::pump;
use crate::source::carries_credentials;
use crate::talk::Talk;
use crate::{connection, output};

/// Fetches one URL.
pub(crate) async fn run(args: &FetchArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let config = connection::config(&args.server, Purpose::Sources, talk)?;
    let client = Client::new(&config)?;
    let miss = match cached(&client, args, talk).await {
        Ok(digest) => return report(args, talk, &digest, "cache"),
        Err(error) => error,
    };
    if args.offline {
        return Err(miss);
    }
    match miss.downcast_ref() {
        Some(ClientError::NotFound { .. }) => talk.note(&format!("{miss:#}; asking the origin")),
        _ => talk.warn(&format!("{miss:#}; asking the origin")),
    }
    let payload = origin::fetch(&args.url).await?;
    let digest = deliver(args, |out| payload.copy_to(out))?;
    let uploads = config.cache.upload.is_some() && config.directory.upload.is_some();
    if uploads && !args.no_upload && carries_credentials(&args.url) {
        talk.note("not uploaded: the entry would make the credentials in the URL public");
    } else if uploads && !args.no_upload {
        // The caller has what was asked for; a cache that cannot be filled is no failure of that.
        if let Err(error) = share(&client, &payload, args).await {
            talk.warn(&format!("not uploaded: {error:#}"));
        }
    }
    report(args, talk, &digest, "origin")
}

fn report(args: &FetchArgs, talk: &Talk, digest: &Digest, from: &str) -> anyhow::Result<ExitCode> {
    if talk.is_json() && !Destination::of(&args.output).is_stdout() {
        let mut document = Object::new();
        document.insert("url", args.url.as_str());
        document.insert("sha512", digest.to_string());
        document.insert("from", from);
        document.insert("output", args.output.to_string_lossy().into_owned());
        output::document(document)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the cache: by its digest when that is known, else what the newest trusted entry names.
async fn cached(client: &Client, args: &FetchArgs, talk: &Talk) -> anyhow::Result<Digest> {
    let digest = match args.expected.sha512 {
        Some(digest) => digest,
        None => {
            let selection = connection::selection(&args.trust, Vec::new());
            let subject = Subject::Url(args.url.clone());
            *client.lookup(&subject, &selection).await?.digest()
        }
    };
    let spool = spooled(client, &digest, args, talk).await?;
    deliver(args, |out| {
        let mut spool = &spool;
        spool.rewind()?;
        io::copy(&mut spool, out).map(drop)
    })
}

/// The blob in a temporary file: nothing is delivered before all of it is right.
async fn spooled(
    client: &Client,
    digest: &Digest,
    args: &FetchArgs,
    talk: &Talk,
) -> anyhow::Result<File> {
    let download = client.download(digest).await?;
    let bar = Bar::new(talk, &args.url, download.size_bytes());
    let spool = match Destination::of(&args.output) {
        Destination::File(path) => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => tempfile::tempfile_in(folder),
            _ => tempfile::tempfile_in("."),
        },
        Destination::Stdout | Destination::Device(_) => tempfile::tempfile(),
    }
    .context("cannot make a temporary file")?;
    let (spool, outcome) = pump(download, 0, spool, bar).await;
    outcome?;
    spool.context("the thread that writes the file is gone")
}

/// Writes everything to where it is wanted, if it is what is expected.
fn deliver(
    args: &FetchArgs,
    copy: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<Digest> {
    match Destination::of(&args.output) {
        Destination::Stdout => {
            let digest = checked(args, &copy)?;
            copy(&mut stdout().lock()).map_err(StdoutError)?;
            Ok(digest)
        }
        Destination::Device(path) => {
            let digest = checked(args, &copy)?;
            copy(&mut open_device(path)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(digest)
        }
        Destination::File(path) => deliver_file(path, args, &copy),
    }
}

/// Reads everything once before any of it is shown: what was written cannot be taken back.
fn checked(
    args: &FetchArgs,
    copy: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<Digest> {
    let mut checking = Checking::new(io::sink(), &args.expected);
    copy(&mut checking)?;
    Ok(checking.finish(&args.expected).1?)
}

fn deliver_file(
    path: &Path,
    args: &FetchArgs,
    copy: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<Digest> {
    let (mut file, _) = PartFile::open(path)?;
    file.clear()?;
    let mut checking = Checking::new(file, &args.expected);
    let copied = copy(&mut checking);
    let (file, verified) = checking.finish(&args.expected);
    if let Err(error) = copied {
        file.discard()?;
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    match verified {
        Ok(digest) => file.publish().map(|()| digest),
        Err(error) => {
            file.discard()?;
            Err(error.into())
        }
    }
}

async fn share(client: &Client, payload: &Payload, args: &FetchArgs) -> anyhow::Result<()> {
    client.upload(payload).await?;
    let subject = Subject::Url(args.url.clone());
    let metadata = Metadata::default().of(&subject);
    client.index(&subject.key(), payload.digest(), &metadata).await?;
    Ok(())
}
