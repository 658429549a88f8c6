//! The file `%key` of a long key's folder, made anew from what the index remembers when somebody took
//! it away. That it is the right one is proven by the folder's name, which is a digest of the key.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use shacache_core::digest::Digest;

use super::folder::{KEY_FILE_LIMIT_BYTES, is_of, read_entry};
use crate::blocking::blocking;
use crate::error::{Fault, StoreError};
use crate::index::Index;
use crate::layout::{KEY_FILE, Layout, RecordName};
use crate::publisher::Publisher;
use crate::scan::{self, Content};

/// Whether the file at `path` holds exactly this key. Blocking.
pub(super) fn says(path: &Path, key: &[u8]) -> Result<bool, Fault> {
    match scan::content(path, KEY_FILE_LIMIT_BYTES)? {
        Content::Bytes(text) => Ok(text == key),
        Content::Missing | Content::NotAFile => Ok(false),
    }
}

/// Whether there is anything in the folder that the file is about. A new key's folder is there a
/// moment before the file, and the file before the first entry.
pub(crate) async fn is_needed(folder: &Path) -> Result<bool, StoreError> {
    let folder = folder.to_owned();
    blocking(move || {
        for entry in scan::entries(&folder)? {
            if is_record(&entry?.path()) {
                return Ok::<_, Fault>(true);
            }
        }
        Ok(false)
    })
    .await
}

/// Publishes the file if the index knows an entry of the folder; says whether.
pub(crate) async fn restore(
    layout: &Layout,
    index: &Index,
    publisher: &Publisher,
    folder: &Path,
) -> Result<bool, StoreError> {
    let listed = folder.to_owned();
    for digest in blocking(move || digests(&listed)).await? {
        let keys = index.keys(&digest).await?;
        if let Some(key) = keys.into_iter().find(|key| is_of(layout, folder, key)) {
            let text = Bytes::copy_from_slice(key.as_str().as_bytes());
            publisher.publish(text, folder.join(KEY_FILE)).await?;
            tracing::warn!(path = %folder.display(), "the key of this folder was restored");
            return Ok(true);
        }
    }
    Ok(false)
}

/// The blobs that some entries in a folder name.
fn digests(folder: &Path) -> Result<Vec<Digest>, Fault> {
    let paths: Vec<PathBuf> =
        scan::entries(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Fault>>()?;
    let mut digests = Vec::new();
    for path in paths.iter().filter(|path| is_record(path)).take(TRIED) {
        if let Some(Ok(entry)) = read_entry(path)? {
            digests.push(*entry.digest());
        }
    }
    Ok(digests)
}

fn is_record(path: &Path) -> bool {
    path.file_name().and_then(|name| RecordName::parse(name.to_str()?)).is_some()
}

/// One entry that the index knows is enough.
const TRIED: usize = 100;
