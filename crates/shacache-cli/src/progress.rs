//! Progress bars on standard error, drawn only where somebody sees them.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shacache_client::blob::Progress;

use crate::talk::Talk;
use crate::terminal::escaped;

/// A bar for one transfer, or nothing at all.
#[derive(Debug, Clone)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar named after what is transferred; `total` may be learnt later.
    pub(crate) fn new(talk: &Talk, name: &str, total: Option<u64>) -> Self {
        if !talk.shows_progress() {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = if total.is_some() { WITH_TOTAL } else { WITHOUT_TOTAL };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(escaped(name).into_owned());
        Self(bar)
    }

    /// A bar that nobody sees.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// `bytes` are through in all.
    pub(crate) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }

    /// The same bar, to be told by an upload.
    pub(crate) fn watching(&self) -> Arc<dyn Progress> {
        Arc::new(self.clone())
    }
}

impl Progress for Bar {
    fn sent(&self, bytes: u64) {
        self.at(bytes);
    }
}

const WITH_TOTAL: &str = "{wide_msg} {bytes}/{total_bytes} [{bar:24}] {bytes_per_sec} {eta}";
const WITHOUT_TOTAL: &str = "{wide_msg} {bytes} {bytes_per_sec}";
