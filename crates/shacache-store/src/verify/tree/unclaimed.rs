//! Names beside the archive, in the folder of unclaimed blobs: what is no blob there would lie for
//! ever, because nobody claims it and its time is never over.

use shacache_core::digest::Digest;

use super::super::{Interruption, Report};
use super::Tree;

impl Tree<'_> {
    /// Checks the names of unclaimed blobs. Their bytes are hashed when they are claimed.
    pub(in crate::verify) fn check_unclaimed(
        &self,
        report: &mut Report,
    ) -> Result<(), Interruption> {
        for item in self.items(self.layout.unclaimed(), report)? {
            let digest: Option<Digest> = item.name.parse().ok();
            let is_named_right = digest.is_some_and(|digest| digest.to_string() == item.name);
            if !is_named_right || !item.metadata.is_file() {
                self.stray(&item, report);
            }
        }
        Ok(())
    }
}
