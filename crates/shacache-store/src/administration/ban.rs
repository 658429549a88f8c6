//! Bans: a tombstone for a blob, and its bytes in quarantine.

use std::sync::Arc;

use shacache_core::digest::Digest;

use super::{Removals, Shared};
use crate::audit::{Action, Removal, Run};
use crate::blocking::blocking;
use crate::error::StoreError;
use crate::gate::Pass;
use crate::hold::AllHeld;
use crate::timestamp::Timestamp;
use crate::tombstone::Tombstone;

impl Shared {
    pub(super) async fn ban(
        &self,
        pass: &Pass,
        run: &Run,
        digest: &Digest,
        dry_run: bool,
    ) -> Result<Removals, StoreError> {
        let mut removals = Removals::of(dry_run);
        // Nobody who names the blob is under way, so that none of them brings it back.
        let _alone = self.blobs.naming().alone(digest.as_bytes()[0]).await;
        let (_holding, held) = self.holds.look(None).await?;
        self.refuse_held(&held, digest).await?;
        if self.blobs.is_banned(digest).await? {
            self.blobs.forget_banned(digest);
            return Ok(removals);
        }
        let bytes = self.blobs.idle(digest, 0).await?.map_or(0, |blob| blob.bytes);
        let path = self.layout.blob(digest);
        let removal = Removal {
            path: self.layout.in_archive(&path),
            key: None,
            digest: Some(digest.to_string()),
            bytes,
            reason: "banned".to_owned(),
        };
        if !dry_run {
            run.record(Action::Ban, std::slice::from_ref(&removal)).await?;
            let now = Timestamp::now();
            let text = Tombstone::new(&self.layout, &path, now, run.deletion()).to_json();
            self.publisher.publish(text.into(), self.layout.blob_tombstone(digest)).await?;
            self.blobs.collect(pass, vec![*digest], 0).await?;
        }
        removals.add_blob(removal);
        Ok(removals)
    }

    pub(super) async fn unban(
        self: &Arc<Self>,
        pass: &Pass,
        run: &Run,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        if !self.blobs.is_banned(digest).await? {
            return Ok(false);
        }
        let from = self.layout.blob_tombstone(digest);
        let removal = Removal {
            path: self.layout.in_archive(&from),
            key: None,
            digest: Some(digest.to_string()),
            bytes: 0,
            reason: "no longer banned".to_owned(),
        };
        run.record(Action::Unban, &[removal]).await?;
        let (shared, to) = (Arc::clone(self), self.layout.collected(&from));
        blocking(move || shared.publisher.move_away(&from, &to, || Ok(true))).await?;
        self.blobs.restore(pass, digest).await?;
        Ok(true)
    }

    /// Errors when a hold keeps the blob, or a key under which an entry names it.
    async fn refuse_held(&self, held: &AllHeld, digest: &Digest) -> Result<(), StoreError> {
        if let Some(hold) = held.blob(digest) {
            return Err(StoreError::Held { held: format!("blob {digest}"), hold: hold.clone() });
        }
        for (key, hold) in held.keys() {
            let entries = self.directory.entries(key).await?;
            if entries.iter().any(|entry| entry.digest == *digest) {
                let held = format!("blob {digest} is named under key {}, which", key.as_str());
                return Err(StoreError::Held { held, hold: hold.clone() });
            }
        }
        Ok(())
    }
}
