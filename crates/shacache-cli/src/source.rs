//! What can be uploaded: a file, a folder as `.tar.gz`, a URL, standard input. Each becomes a
//! payload and a name for people.

use std::fs::File;
use std::io::stdin;
use std::path::Path;

use anyhow::Context as _;
use shacache_client::blob::Payload;
use shacache_client::{archive, origin};

/// Something to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Stdin,
    Url(&'a str),
    Path(&'a Path),
}

impl<'a> Source<'a> {
    /// Tells the forms apart.
    pub(crate) fn new(text: &'a str) -> Self {
        match text {
            "-" => Self::Stdin,
            text if text.contains("://") => Self::Url(text),
            text => Self::Path(Path::new(text)),
        }
    }

    /// Reads it once, to hash it.
    pub(crate) async fn open(self) -> anyhow::Result<Payload> {
        match self {
            Self::Stdin => {
                Payload::from_reader(&mut stdin().lock()).context("cannot read standard input")
            }
            Self::Url(url) => Ok(origin::fetch(url).await?),
            Self::Path(path) => file_or_folder(path),
        }
    }
}

/// Whether a URL has a user name or password in it, which an entry under it would make public.
pub(crate) fn carries_credentials(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

fn file_or_folder(path: &Path) -> anyhow::Result<Payload> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let kind = file.metadata().with_context(context)?.file_type();
    if kind.is_dir() {
        let archive = archive::pack(path).with_context(context)?;
        Payload::from_file(archive).with_context(context)
    } else if kind.is_file() {
        Payload::from_file(file).with_context(context)
    } else {
        // A pipe has no length and cannot be read twice.
        Payload::from_reader(&mut file).with_context(context)
    }
}
