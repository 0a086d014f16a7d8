//! Changes the configuration while the gate serves: the new one is read and built completely before it is used. An invalid one
//! changes nothing.

use std::sync::Arc;

use super::start::{Running, check_nodes, share};
use crate::audit::{Action, Actor, Record, Source};
use crate::config::{Config, ConfigErrors, Loaded};
use crate::metrics::Reload;
use crate::proxy::Gate;

/// Reads the configuration again.
pub type Reread = Arc<dyn Fn() -> Result<Loaded, ConfigErrors> + Send + Sync>;

/// Why the previous configuration stays in use.
enum Bad {
    /// The new one is invalid.
    Errors(ConfigErrors),
    /// It is valid, but cannot be built.
    Build(String),
}

impl Running {
    /// Applies the current configuration and certificates. If one of them is invalid the previous one stays in use, and the log,
    /// the metrics and `/readyz` show it. May be dropped at any point: then nothing has changed.
    pub(super) async fn reload(&mut self, reread: &Reread) {
        let before = self.current.now();
        reopen_audit_file(&before).await;
        let state = &before.metrics.state;
        match self.build(&before, reread).await {
            Ok(gate) => {
                self.current.replace(gate.clone());
                self.tickets.follow(&gate.config);
                self.checks.abort();
                self.checks = check_nodes(&gate, &self.stop.subscribe());
                self.sharing.abort();
                self.sharing = share(&gate);
                let new = gate.clone();
                // Pages must not show another app's name until tomorrow.
                tokio::spawn(async move { new.learn_app_cards(true).await });
                state.reloaded(Reload::Configuration, None);
                tracing::info!(event = "reload", what = "configuration", "configuration reloaded");
                let record = Record::new(Action::ConfigurationReloaded, Actor::Administrator);
                gate.sessions.audit().write(&Source::default(), &record);
                for key in needs_restart(&self.started, &gate.config) {
                    tracing::warn!(
                        event = "reload",
                        what = "configuration",
                        key,
                        "has changed, and takes effect only after a restart"
                    );
                }
            }
            Err(Bad::Errors(errors)) => {
                let count = errors.0.len();
                for error in &errors.0 {
                    tracing::error!(event = "reload", what = "configuration", key = error.key, %error,
                        "the previous configuration stays in use");
                }
                let first = errors.0.first().map(ToString::to_string).unwrap_or_default();
                let why = if count > 1 { format!("{first} (and {} more)", count - 1) } else { first };
                state.reloaded(Reload::Configuration, Some(why));
            }
            Err(Bad::Build(error)) => {
                tracing::error!(
                    event = "reload",
                    what = "configuration",
                    error,
                    "the previous configuration stays in use"
                );
                state.reloaded(Reload::Configuration, Some(error));
            }
        }
        if let Some(certificates) = &self.certificates {
            certificates.reload(&self.current.now().config.listen.pairs(), state);
        }
    }

    async fn build(&self, before: &Arc<Gate>, reread: &Reread) -> Result<Arc<Gate>, Bad> {
        let (before, reread) = (before.clone(), reread.clone());
        // Reads files and resolves names, which may take long: on a separate thread, so that signals are received (R43).
        let built = tokio::task::spawn_blocking(move || {
            let Loaded { config, warnings, .. } = reread().map_err(Bad::Errors)?;
            for warning in warnings {
                tracing::warn!("configuration: {warning}");
            }
            Gate::after(Some(&before), config).map_err(Bad::Build)
        });
        let gate = Arc::new(built.await.map_err(|e| Bad::Build(e.to_string()))??);
        gate.sign_ins.check_rules().await.map_err(Bad::Build)?;
        Ok(gate)
    }
}

/// Whatever happens to the configuration: the file may have been renamed (logrotate), and would not be written any more.
async fn reopen_audit_file(gate: &Arc<Gate>) {
    let audit = gate.sessions.audit().clone();
    let reopened = tokio::task::spawn_blocking(move || audit.reopen().map_err(|e| e.to_string())).await;
    if let Err(error) = reopened.unwrap_or_else(|e| Err(e.to_string())) {
        tracing::error!(event = "reload", what = "audit_file", error, "the previous file stays in use");
    }
}

/// Changed keys that only take effect at the start.
fn needs_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let (old, new) = (&started.listen, &now.listen);
    let (limits, changed) = (&started.limits, &now.limits);
    [
        ("listen.http", old.http != new.http),
        ("listen.https", old.https != new.https),
        ("listen.ops", old.ops != new.ops),
        ("log.format", started.log.format != now.log.format),
        ("log.level", started.log.level != now.log.level),
        ("limits.connections", limits.connections != changed.connections),
        ("limits.head_timeout", limits.head_timeout != changed.head_timeout),
        ("limits.keepalive_timeout", limits.keepalive_timeout != changed.keepalive_timeout),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
