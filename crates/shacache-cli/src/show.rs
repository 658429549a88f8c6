//! `shacache show`: every entry of a key, believed or not, with the reasons.

use std::process::ExitCode;

use shacache_client::{Client, binding};
use shacache_core::entry::SignedEntry;
use shacache_core::json::{Object, Value};
use shacache_core::key::Key;

use crate::args::ShowArgs;
use crate::talk::Talk;
use crate::terminal::escaped;
use crate::{connection, output};

/// Shows the entries of one key.
pub(crate) async fn run(args: &ShowArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let key = args.subject.subject_or(args.what.as_deref())?.key();
    let client = connection::open(&args.server, talk)?;
    let entries = client.entries(&key).await?;
    let judged = entries.iter().map(|entry| Judged::new(&client, &key, entry));
    if talk.is_json() {
        output::document(judged.map(|entry| entry.document()).collect::<Value>())?;
    } else {
        output::line(&format!("key {}", escaped(key.as_str())))?;
        for entry in judged {
            output::line(&entry.text())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An entry with what there is to say about it.
struct Judged<'a> {
    entry: &'a SignedEntry,
    metadata: Object,
    signers: Vec<String>,
    binding: Result<(), binding::BindingError>,
}

impl<'a> Judged<'a> {
    fn new(client: &Client, key: &Key, entry: &'a SignedEntry) -> Self {
        let signers = client.trust().signers(entry).map(|certificate| {
            let name = certificate.common_name().unwrap_or("(no name)");
            format!("{name} (RSA {})", certificate.public_key().bits())
        });
        let metadata = entry.metadata();
        let binding = binding::check(key, &metadata);
        Self { entry, signers: signers.collect(), metadata, binding }
    }

    fn signature(&self) -> String {
        if self.entry.signature().is_empty() {
            "not signed".into()
        } else if self.signers.is_empty() {
            "signed by nobody who is trusted".into()
        } else {
            format!("signed by {}", self.signers.join(", "))
        }
    }

    fn binding(&self) -> String {
        match &self.binding {
            Ok(()) => "made for this key".into(),
            Err(error) => error.to_string(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "\n{}\n  {}\n  {}",
            self.entry.digest(),
            escaped(&self.signature()),
            self.binding()
        );
        for (name, value) in self.metadata.iter().filter(|(name, _)| *name != "sha512") {
            let (name, value) = (name.to_str_lossy(), value.to_string());
            text.push_str(&format!("\n  {}: {}", escaped(&name), escaped(&value)));
        }
        text
    }

    fn document(&self) -> Value {
        let mut document = Object::new();
        document.insert("metadata", self.metadata.clone());
        document.insert("metadata_text", self.entry.metadata_text());
        document.insert("signature", self.entry.signature().text());
        let signers = self.signers.iter().map(|name| name.as_str().into());
        document.insert("signers", signers.collect::<Value>());
        document.insert("trusted", !self.signers.is_empty());
        document.insert("bound", self.binding.is_ok());
        document.insert("binding", self.binding());
        document.into()
    }
}
