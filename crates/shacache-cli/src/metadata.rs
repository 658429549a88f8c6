//! The metadata of entries about to be made: from a JSON file, from `NAME=VALUE`, and what binds an
//! entry to its key.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use shacache_client::Subject;
use shacache_client::binding::url_md5;
use shacache_core::json::{Object, Reader, Value};

/// What the command line says about every entry of a run.
#[derive(Debug, Default)]
pub(crate) struct Metadata(Object);

impl Metadata {
    /// Reads the file, then adds the pairs.
    pub(crate) fn new(file: Option<&Path>, pairs: &[(String, String)]) -> anyhow::Result<Self> {
        let mut object = match file {
            Some(path) => read(path)?,
            None => Object::new(),
        };
        for (name, value) in pairs {
            object.insert(name.as_str(), value.as_str());
        }
        if object.contains_key("sha512") {
            bail!("`sha512` is filled in, it cannot be given");
        }
        Ok(Self(object))
    }

    /// The metadata of an entry under `subject`: what was given, the subject itself, the time.
    pub(crate) fn of(&self, subject: &Subject) -> Object {
        let mut object = self.0.clone();
        let mut add = |name: &str, value: Value| {
            if !object.contains_key(name) {
                object.insert(name, value);
            }
        };
        match subject {
            Subject::Url(url) => add("url", url.as_str().into()),
            Subject::Key(key) => {
                add("key", key.as_str().into());
                if let Some(md5) = url_md5(key) {
                    // Under such a key the word of `key` alone is not believed.
                    add("urlmd5", md5.into());
                }
            }
        }
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            add("timestamp", now.as_secs_f64().into());
        }
        object
    }
}

/// Reads a file that holds one JSON object.
fn read(path: &Path) -> anyhow::Result<Object> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    match Reader::new().read(&text).with_context(|| name.to_string())? {
        Value::Object(object) => Ok(object),
        other => bail!("{name} holds {}, not an object", other.kind()),
    }
}
