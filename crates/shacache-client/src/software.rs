//! The binary cache of SlapOS: built software releases, each a `.tar.gz` under the MD5 of the
//! release's URL, with entries that say which machines it runs on. Chooses as slapos.core does.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use shacache_core::json::{Object, Value};

use crate::archive;
use crate::binding::software_key;
use crate::blob::{Download, Payload};
use crate::client::Client;
use crate::error::ClientError;
use crate::selection::Selection;

/// The kind of machine that software was built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The compiler's name of the machine, such as `x86_64-linux-gnu`.
    pub multiarch: String,
    /// The distribution: its identifier, version and code name.
    pub os: [String; 3],
}

impl Platform {
    /// This machine, as `gcc -dumpmachine` and `/etc/os-release` describe it; without a compiler,
    /// under the name that Debian's has.
    ///
    /// # Errors
    /// When there is no `os-release` file.
    pub fn current() -> io::Result<Self> {
        let text = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"))?;
        let compiler = Command::new("gcc").arg("-dumpmachine").output().ok();
        let multiarch = compiler
            .filter(|output| output.status.success())
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .map(|name| name.trim_end().to_owned())
            .unwrap_or_else(|| format!("{}-linux-gnu", std::env::consts::ARCH));
        Ok(Self { multiarch, os: distribution(&text) })
    }

    /// Whether software with these metadata runs here: same machine, same distribution. Of Debian
    /// only the major version counts, and Raspbian is Debian.
    #[must_use]
    pub fn runs(&self, metadata: &Object) -> bool {
        Self::of(metadata).is_some_and(|other| {
            other.multiarch == self.multiarch && comparable(&other.os) == comparable(&self.os)
        })
    }

    /// The platform that an entry names, in today's form or that of old uploaders.
    fn of(metadata: &Object) -> Option<Self> {
        let text = |field: &str| metadata.get(field).and_then(|value| value.as_str());
        if metadata.contains_key("multiarch") {
            let [id, version, code_name] = metadata.get("os")?.as_array()? else { return None };
            let part = |value: &Value| value.as_str().map(str::to_owned);
            return Some(Self {
                multiarch: text("multiarch")?.into(),
                os: [part(id)?, part(version)?, part(code_name)?],
            });
        }
        let os = (text("machine")? == "x86_64").then(|| python_tuple(text("os")?)).flatten()?;
        Some(Self { multiarch: "x86_64-linux-gnu".into(), os })
    }
}

/// Uploads a folder as the release of `software_url`, to run below `software_root`. The archive's
/// paths start with the key, as SlapOS expects.
///
/// # Errors
/// As [`Client::upload`] and [`Client::index`]; [`ClientError::Local`] when the folder cannot be
/// packed.
pub async fn upload(
    client: &Client,
    folder: &Path,
    software_url: &str,
    software_root: &str,
    platform: &Platform,
) -> Result<Payload, ClientError> {
    let key = software_key(software_url);
    let (path, name) = (folder.to_owned(), key.to_string());
    let packed = tokio::task::spawn_blocking(move || {
        archive::pack_as(&path, Path::new(&name)).and_then(Payload::from_file)
    });
    let local = |error| ClientError::local(format!("cannot pack {}", folder.display()), error);
    let payload = packed.await.map_err(|error| local(io::Error::other(error)))?.map_err(local)?;
    client.upload(&payload).await?;
    let mut metadata = Object::new();
    metadata.insert("software_url", software_url);
    metadata.insert("software_root", software_root);
    metadata.insert("multiarch", platform.multiarch.as_str());
    metadata.insert("os", platform.os.iter().map(|part| part.as_str().into()).collect::<Value>());
    client.index(&key, payload.digest(), &metadata).await?;
    Ok(payload)
}

/// Starts to download the first build of `software_url` that passes `selection`, runs on `platform`
/// and is there: an entry whose archive the cache cannot give is passed over.
///
/// # Errors
/// As [`Client::select`]; [`ClientError::NotFound`] when nothing runs there; as
/// [`Client::download`] of the first that would run, when none can be had.
pub async fn download(
    client: &Client,
    software_url: &str,
    platform: &Platform,
    selection: &Selection,
) -> Result<Download, ClientError> {
    let entries = client.select(&software_key(software_url), selection).await?;
    let mut first_error = None;
    for entry in entries.iter().filter(|entry| platform.runs(entry.metadata())) {
        match client.download(entry.digest()).await {
            Ok(download) => return Ok(download),
            Err(error) => {
                tracing::warn!("a build of {software_url} is passed over: {error}");
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| {
        ClientError::not_found(format!(
            "no build of {software_url} for {} on {}",
            platform.multiarch,
            platform.os.join(" ")
        ))
    }))
}

/// Identifier, version and code name as Python's `distro` takes them from `os-release`.
fn distribution(os_release: &str) -> [String; 3] {
    let value = |name: &str| {
        let line =
            os_release.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    let id = value("ID").to_lowercase().replace(' ', "_");
    let id = match id.as_str() {
        "ol" => "oracle".into(),
        "opensuse-leap" => "opensuse".into(),
        _ => id,
    };
    let mut code_name = value("VERSION_CODENAME");
    if code_name.is_empty() {
        code_name = value("UBUNTU_CODENAME");
    }
    if code_name.is_empty() {
        let version = value("VERSION");
        let named = version.split_once('(').and_then(|(_, name)| name.split_once(')'));
        code_name = named.map(|(name, _)| name.trim().into()).unwrap_or_default();
    }
    [id, value("VERSION_ID"), code_name]
}

/// What has to be equal of a distribution.
fn comparable([id, version, code_name]: &[String; 3]) -> (String, &str, &str) {
    let id = id.to_lowercase();
    if id == "debian" || id == "raspbian" {
        let major = version.split('.').next().unwrap_or_default();
        return ("debian".into(), major, "");
    }
    (id, version, code_name)
}

/// `('debian', '7', 'wheezy')` as old uploaders wrote it into a string.
fn python_tuple(text: &str) -> Option<[String; 3]> {
    let inner = text.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    let mut parts = inner.split(',').map(|part| {
        let part = part.trim();
        let part = part.strip_prefix('u').unwrap_or(part);
        let quoted = |quote: char| part.strip_prefix(quote)?.strip_suffix(quote);
        quoted('\'').or_else(|| quoted('"')).filter(|text| !text.contains('\\')).map(str::to_owned)
    });
    let tuple = [parts.next()??, parts.next()??, parts.next()??];
    parts.all(|rest| rest.is_none()).then_some(tuple)
}

#[cfg(test)]
mod tests {
    use shacache_core::json::Reader;

    use super::*;

    fn runs(metadata: &str) -> bool {
        let os = ["debian", "12", "bookworm"].map(Into::into);
        let platform = Platform { multiarch: "x86_64-linux-gnu".into(), os };
        let value = Reader::new().read(metadata).expect("JSON");
        platform.runs(value.as_object().expect("an object"))
    }

    #[test]
    fn debian_matches_by_major_version() {
        let entry = |os: &str| format!(r#"{{"multiarch": "x86_64-linux-gnu", "os": {os}}}"#);
        assert!(runs(&entry(r#"["Debian", "12.5", ""]"#)));
        assert!(runs(&entry(r#"["raspbian", "12", "x"]"#)));
        assert!(!runs(&entry(r#"["debian", "11", "bookworm"]"#)));
        assert!(!runs(&entry(r#"["ubuntu", "12", "bookworm"]"#)));
        assert!(!runs(&entry(r#"["debian", "12"]"#)));
        assert!(!runs(r#"{"multiarch": "aarch64-linux-gnu", "os": ["debian", "12", ""]}"#));
        assert!(!runs("{}"));
    }

    #[test]
    fn entries_of_old_uploaders_count() {
        assert!(runs(r#"{"machine": "x86_64", "os": "('debian', '12.1', '')"}"#));
        assert!(!runs(r#"{"machine": "x86_64", "os": "('debian', '12.1')"}"#));
        assert!(!runs(r#"{"machine": "armv7l", "os": "('debian', '12.1', '')"}"#));
    }

    #[test]
    fn os_release_is_read_as_python_does() {
        let text = "NAME=\"Debian\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nID=debian\n";
        assert_eq!(distribution(text), ["debian", "12", "bookworm"]);
        let text = "ID=\"ol\"\nVERSION_ID=8.4\nVERSION_CODENAME=x\n";
        assert_eq!(distribution(text), ["oracle", "8.4", "x"]);
    }
}
