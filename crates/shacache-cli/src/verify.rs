//! `shacache verify`: is a file what it should be? What it should be is a digest, or what trusted
//! entries say.

use std::process::ExitCode;

use shacache_core::json::Object;

use crate::args::VerifyArgs;
use crate::exit::{Unverified, Usage};
use crate::source::Source;
use crate::talk::Talk;
use crate::{connection, output};

/// Verifies one file.
pub(crate) async fn run(args: &VerifyArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let payload = Source::new(&args.file).open().await?;
    let found = payload.digest();
    let wanted = match (&args.sha512, args.subject.subject()) {
        (Some(digest), _) => vec![*digest],
        (None, Some(subject)) => {
            let client = connection::open(&args.server, talk)?;
            let selection = connection::selection(&args.trust, Vec::new());
            let selected = client.select(&subject.key(), &selection).await?;
            selected.iter().map(|entry| *entry.digest()).collect()
        }
        (None, None) => {
            return Err(Usage("give --sha512, --key or --url to verify against".into()).into());
        }
    };
    if !wanted.contains(found) {
        let message =
            format!("{}: its SHA-512 is {found}, which is not what it should be", args.file);
        return Err(Unverified(message).into());
    }
    if talk.is_json() {
        let mut document = Object::new();
        document.insert("name", args.file.as_str());
        document.insert("sha512", found.to_string());
        document.insert("verified", true);
        output::document(document)?;
    } else {
        output::line(&format!("{found}  {}", args.file))?;
    }
    Ok(ExitCode::SUCCESS)
}
