//! Checks periodically whether the file exists that closes the app for maintenance.

use std::time::Duration;

use crate::proxy::CurrentGate;

/// Between two checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs for ever. After a reload, the new configuration's file counts.
pub(super) async fn watch(current: &CurrentGate) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let gate = current.now();
        gate.maintenance.look(gate.config.pages.maintenance_file.as_deref()).await;
    }
}
