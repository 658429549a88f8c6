//! `shacache software`: the binary cache of SlapOS. A release is unpacked only after every byte of
//! its archive was verified.

use std::ffi::OsStr;
use std::fs;
use std::io::Seek;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use shacache_client::Client;
use shacache_client::archive::{Limits, unpack_only};
use shacache_client::binding::software_key;
use shacache_client::config::Purpose;
use shacache_client::software::{self, Platform};
use shacache_core::json::Object;
use tokio::task::spawn_blocking;

use crate::args::{ReleaseArgs, ServerArgs, SoftwareDownloadArgs, SoftwareUploadArgs};
use crate::progress::Bar;
use crate::pump::pump;
use crate::talk::Talk;
use crate::{connection, output};

/// Uploads a built release.
pub(crate) async fn upload(args: &SoftwareUploadArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let client = open(&args.server, talk)?;
    let folder = fs::canonicalize(&args.folder)
        .with_context(|| format!("cannot read {}", args.folder.display()))?;
    let root = args.software_root.as_deref().or_else(|| folder.parent()).unwrap_or(&folder);
    let root = root.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", root.display()))?;
    let url = &args.release.software_url;
    let platform = platform(&args.release)?;
    let payload = software::upload(&client, &folder, url, root, &platform).await?;
    if talk.is_json() {
        let mut document = Object::new();
        document.insert("sha512", payload.digest().to_string());
        document.insert("size_bytes", i64::try_from(payload.len()).unwrap_or(i64::MAX));
        document.insert("key", software_key(url).as_str());
        output::document(document)?;
    } else {
        output::line(&format!("{}  {}", payload.digest(), args.folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Downloads and unpacks the build that fits.
pub(crate) async fn download(args: &SoftwareDownloadArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let client = open(&args.server, talk)?;
    let selection = connection::selection(&args.trust, Vec::new());
    let url = &args.release.software_url;
    let platform = platform(&args.release)?;
    let download = software::download(&client, url, &platform, &selection).await?;
    let digest = *download.digest();
    let root = args.software_root.clone();
    let spool = tempfile::tempfile_in(&root)
        .with_context(|| format!("cannot write to {}", root.display()))?;
    let bar = Bar::new(talk, url, download.size_bytes());
    let (spool, outcome) = pump(download, 0, spool, bar).await;
    outcome?;
    let mut spool = spool.context("the thread that writes the file is gone")?;
    // The folder is known before the archive is opened, so that no archive chooses another.
    let name = software_key(url).to_string();
    let folder = root.join(&name);
    spawn_blocking(move || {
        spool.rewind()?;
        anyhow::Ok(unpack_only(spool, &root, OsStr::new(&name), &Limits::default())?)
    })
    .await??;
    if talk.is_json() {
        let mut document = Object::new();
        document.insert("sha512", digest.to_string());
        document.insert("folder", folder.to_string_lossy().into_owned());
        output::document(document)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&folder.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The addresses of the binary cache, else those of the options.
fn open(args: &ServerArgs, talk: &Talk) -> anyhow::Result<Client> {
    Ok(Client::new(&connection::config(args, Purpose::Binaries, talk)?)?)
}

fn platform(args: &ReleaseArgs) -> anyhow::Result<Platform> {
    let platform = Platform::current().context("cannot tell what system this is")?;
    Ok(match &args.multiarch {
        Some(multiarch) => Platform { multiarch: multiarch.clone(), ..platform },
        None => platform,
    })
}
