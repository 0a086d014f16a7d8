//! `wecom-gate run`: one linear function from start to stop, with the signals in between.

use std::io;
use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::error::StartError;
use super::reload::Reread;
use super::start::{Running, start};
use super::systemd::notify;
use super::upgrade;
use crate::config::{Config, Loaded};
use crate::metrics::Reload;
use crate::ops::logging;

/// Longest wait for requests in progress when the gate stops.
const GRACE: Duration = Duration::from_secs(30);

/// `wecom-gate run`: starts, reports where it listens, and runs until a signal ends it.
///
/// `conf`: the configuration file, for the log; `None`: only the environment.
pub fn run(loaded: Loaded, conf: Option<&Path>, reread: Reread) -> Result<(), StartError> {
    // Dropped last: it flushes the last lines.
    let _logging = logging::init(&loaded.config.log).map_err(|e| StartError::Build(e.to_string()))?;
    tracing::info!(
        event = "start",
        version = env!("CARGO_PKG_VERSION"),
        origin = loaded.config.origin.url(),
        nodes = loaded.config.upstream.nodes.join(","),
        entries = loaded.config.wecom.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(","),
        configuration = conf.map(|path| path.display().to_string()).unwrap_or_else(|| "environment".into()),
        "starting"
    );
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    serve(loaded.config, reread)
}

/// From the first listener to the last response.
fn serve(config: Config, reread: Reread) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("wecom-gate")
        .build()
        .map_err(|e| StartError::Build(format!("cannot start threads: {e}")))?;
    let done = runtime.block_on(async {
        let failed = |e: io::Error| StartError::Build(format!("cannot listen for signals: {e}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut upgrade = signal(SignalKind::user_defined2()).map_err(failed)?;
        // The calls that it waits for (WeCom, for the allow rules) may hang.
        let mut running = tokio::select! {
            started = start(config) => started?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        for address in &running.http {
            tracing::info!(event = "listening", scheme = "http", %address, "listening");
        }
        for address in &running.https {
            tracing::info!(event = "listening", scheme = "https", %address, "listening");
        }
        if let Some(address) = running.ops {
            tracing::info!(event = "listening", scheme = "ops", %address, "listening");
        }
        upgrade::notify_predecessor().map_err(|e| {
            StartError::Build(format!("the gate to be replaced no longer waits for this one: {e}"))
        })?;
        notify(&[NotifyState::Ready]);
        let mut replaced = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = upgrade.recv() => tokio::select! {
                    handed_over = hand_over(&running) => if handed_over {
                        replaced = true;
                        break;
                    },
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                },
                // Without a handler the signal would kill the process and all its requests.
                _ = hangup.recv() => {
                    if let Ok(now) = NotifyState::monotonic_usec_now() {
                        notify(&[NotifyState::Reloading, now]);
                    }
                    tokio::select! {
                        () = running.reload(&reread) => notify(&[NotifyState::Ready]),
                        _ = terminate.recv() => break,
                        _ = interrupt.recv() => break,
                    }
                }
            }
        }
        if !replaced {
            notify(&[NotifyState::Stopping]);
        }
        tracing::info!(event = "stopping", grace = GRACE.as_secs(), "stopping; a second signal ends at once");
        let gate = running.current.now();
        tokio::select! {
            () = running.stop(GRACE, replaced) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        gate.sessions.audit().close();
        Ok(())
    });
    // A dropped reload may still be waiting for a name server.
    runtime.shutdown_background();
    done
}

/// Starts the program that is on disk now. True if it serves, so that this process can end.
async fn hand_over(running: &Running) -> bool {
    tracing::info!(event = "upgrade", "starting the program that is now on disk");
    let gate = running.current.now();
    match upgrade::start(&running.sockets, running.kept).await {
        Ok(pid) => {
            tracing::info!(event = "upgrade", pid, "the new process serves from now on");
            notify(&[NotifyState::MainPid(pid)]);
            true
        }
        Err(error) => {
            tracing::error!(event = "upgrade", error, "this process continues to serve");
            gate.metrics.state.reloaded(Reload::Program, Some(error));
            false
        }
    }
}
