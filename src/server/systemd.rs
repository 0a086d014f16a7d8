//! Messages to systemd (`Type=notify`). Does nothing if systemd did not start the gate.

use sd_notify::NotifyState;

/// Sends these states; a failure is only a warning, since the gate can serve.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
