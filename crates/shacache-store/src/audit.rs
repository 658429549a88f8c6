//! The audit log: a file in the archive for everything that was taken out of it or kept from being
//! taken out, durable before anybody sees that it is so. Standard tools read it, and nothing here
//! ever reads it again. Must not know how anything is deleted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::layout::Layout;
use crate::publisher::Publisher;
use crate::timestamp::Timestamp;
use crate::tombstone::Deletion;

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Blobs that nothing needs.
    CollectBlobs,
    /// Entries whose blob is missing.
    CollectEntries,
    /// Entries whose time is over.
    ExpireEntries,
    /// Entries that somebody named.
    DeleteEntries,
    /// A blob.
    Ban,
    /// The end of a ban.
    Unban,
    /// A hold was added.
    Hold,
    /// A hold was taken away.
    Release,
    /// What an earlier record of the same run says is gone is there all the same.
    Kept,
}

/// Something that is deleted, banned or held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Removal {
    /// Its file, relative to the archive.
    pub path: String,
    /// The key, of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The blob, of an entry: what it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes in it.
    pub bytes: u64,
    /// Why it may go, or why it is kept.
    pub reason: String,
}

/// The text of a record.
#[derive(Debug, Serialize)]
struct Record<'a> {
    when: String,
    who: &'a str,
    why: &'a str,
    action: Action,
    /// When the command began that this is a part of.
    run: String,
    what: &'a [Removal],
}

/// One command that writes records.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    layout: Layout,
    publisher: Arc<Publisher>,
    began: Timestamp,
    deletion: Deletion,
}

impl Run {
    pub(crate) fn begin(layout: &Layout, publisher: &Arc<Publisher>, deletion: &Deletion) -> Self {
        Self {
            layout: layout.clone(),
            publisher: Arc::clone(publisher),
            began: Timestamp::now(),
            deletion: deletion.clone(),
        }
    }

    /// On whose behalf.
    pub(crate) fn deletion(&self) -> &Deletion {
        &self.deletion
    }

    /// Writes a record. When this returns it survives a power cut.
    pub(crate) async fn record(&self, action: Action, what: &[Removal]) -> Result<(), StoreError> {
        let Deletion { who, why } = &self.deletion;
        let now = Timestamp::now();
        let (when, run) = (now.to_string(), self.began.to_string());
        let record = Record { when, who, why, action, run, what };
        // Texts and numbers always serialise.
        let mut text = serde_json::to_string(&record).unwrap_or_default();
        text.push('\n');
        let path = self.layout.audit_record(now, &text);
        self.publisher.publish(text.into(), path).await?;
        Ok(())
    }
}
