//! What systemd is told (sd_notify(3)): ready, reading again, stopping, still alive. Without a
//! service manager nothing happens. Must not know what the server does.

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::interval;

/// Requests are answered from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Files are being read again; [`ready`] ends that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no monotonic time for the service manager"),
    }
}

/// Requests in flight are finished, and then the server ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says again and again that the runtime is alive, if the unit has a `WatchdogSec`: twice as
/// often as it has to. Never returns.
pub(crate) async fn keep_alive() {
    let Some(limit) = watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    let mut turns = interval(limit / 2);
    loop {
        turns.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}
