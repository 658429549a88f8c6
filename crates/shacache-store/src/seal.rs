//! The seal of an orderly stop: a random text in the index's folder, in the index itself and in
//! `state/`, there with what the archive's folders looked like. Only where all of them fit together
//! are index and archive still the two that were left: neither may come from a backup, or from
//! another machine, without being compared. Must not know what is in an index.

use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::fs::MetadataExt;

use data_encoding::HEXLOWER;
use rustix::rand::GetRandomFlags;

use crate::durable::{sync_file, sync_folder};
use crate::error::Fault;
use crate::layout::Layout;
use crate::scan::{self, Content};

/// One stop, unlike any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal(String);

impl Seal {
    /// A new one.
    pub(crate) fn random(layout: &Layout) -> Result<Self, Fault> {
        let mut bytes = [0; 16];
        rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
            .map_err(Fault::at("seal", &layout.index()))?;
        Ok(Self(HEXLOWER.encode(&bytes)))
    }

    /// Marks index and archive as left in order. Blocking.
    pub(crate) fn set(&self, layout: &Layout) -> Result<(), Fault> {
        for (path, text) in [
            (layout.state_seal(), self.with_archive(layout)?),
            // The last one to appear is the one that counts.
            (layout.clean_marker(), self.0.clone()),
        ] {
            let mut file = fs::File::create(&path).map_err(Fault::at("create", &path))?;
            std::io::Write::write_all(&mut file, text.as_bytes())
                .map_err(Fault::at("write", &path))?;
            sync_file(&file, &path)?;
            if let Some(folder) = path.parent() {
                sync_folder(folder)?;
            }
        }
        Ok(())
    }

    /// Takes the seal of the last stop away, durably before anything else is written; gives it if it
    /// is whole. Blocking.
    pub(crate) fn take(layout: &Layout) -> Result<Option<Self>, Fault> {
        let (marker, state) = (layout.clean_marker(), layout.state_seal());
        let found = (text(&marker)?, text(&state)?);
        let mut whole = None;
        if let (Some(seal), state) = found {
            let seal = Self(seal);
            if state.is_some_and(|text| seal.with_archive(layout).is_ok_and(|now| now == text)) {
                whole = Some(seal);
            } else {
                tracing::warn!("index and archive are not as the last stop left them");
            }
        }
        for path in [marker, state] {
            if scan::status(&path)?.is_some() {
                fs::remove_file(&path).map_err(Fault::at("remove", &path))?;
                if let Some(folder) = path.parent() {
                    sync_folder(folder)?;
                }
            }
        }
        Ok(whole)
    }

    /// The seal and the folders that it is of: whoever replaces one, or copies something into it,
    /// changes its number or the time of its last change.
    fn with_archive(&self, layout: &Layout) -> Result<String, Fault> {
        let mut text = self.0.clone();
        for folder in [layout.archive(), layout.blobs(), layout.entries()] {
            let found = fs::symlink_metadata(&folder).map_err(Fault::at("stat", &folder))?;
            // Writing to a text always succeeds.
            let _ = write!(text, " {}:{}.{:09}", found.ino(), found.ctime(), found.ctime_nsec());
        }
        Ok(text)
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text of a file; none is as good as one of something else.
fn text(path: &std::path::Path) -> Result<Option<String>, Fault> {
    match scan::content(path, LIMIT_BYTES)? {
        Content::Bytes(bytes) => Ok(String::from_utf8(bytes).ok()),
        Content::Missing | Content::NotAFile => Ok(None),
    }
}

const LIMIT_BYTES: u64 = 1024;
