//! The current state: certificates, reloads, what is degraded. `/readyz` reads it too.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Result};

use super::registrar::Registrar;

/// What is reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reload {
    /// The configuration file.
    Configuration,
    /// Certificates and their keys.
    Certificate,
    /// The program itself.
    Program,
}

impl Reload {
    const ALL: [Reload; 3] = [Reload::Configuration, Reload::Certificate, Reload::Program];

    /// As used in labels and in `/readyz`.
    pub const fn name(self) -> &'static str {
        match self {
            Reload::Configuration => "configuration",
            Reload::Certificate => "certificate",
            Reload::Program => "program",
        }
    }
}

/// What `/readyz` may name as degraded.
pub(crate) const DEGRADED: [&str; 10] = [
    "nocobase",
    "wecom_token",
    "wecom_calls",
    "redis",
    "maintenance",
    "certificate",
    "acme",
    "reload_configuration",
    "reload_certificate",
    "reload_program",
];

/// Certificates, reloads and what is degraded.
pub struct GateState {
    not_after: IntGaugeVec,
    reloads: IntCounterVec,
    last_reload: IntGaugeVec,
    ready: IntGauge,
    degraded: IntGaugeVec,
    certificates: Mutex<BTreeMap<String, i64>>,
    failed: Mutex<BTreeMap<Reload, String>>,
}

impl GateState {
    pub(super) fn new(registrar: &mut Registrar) -> Result<GateState> {
        let me = GateState {
            not_after: registrar.gauges(
                "certificate_not_after_seconds",
                "Expiry of this certificate, in seconds since 1970.",
                &["file"],
            )?,
            reloads: registrar.counters(
                "reloads_total",
                "Reloads of the configuration and of certificates, by result.",
                &["what", "result"],
            )?,
            last_reload: registrar.gauges(
                "last_reload_ok",
                "0 if the last reload failed and the old one is still in use; 1 otherwise.",
                &["what"],
            )?,
            ready: registrar.gauge("ready", "1 if the gate can serve, as on /readyz; else 0.")?,
            degraded: registrar.gauges(
                "degraded",
                "1 if /readyz names this as degraded, else 0.",
                &["what"],
            )?,
            certificates: Mutex::default(),
            failed: Mutex::default(),
        };
        for reload in Reload::ALL {
            for result in ["ok", "failed"] {
                let _ = me.reloads.with_label_values(&[reload.name(), result]);
            }
            me.last_reload.with_label_values(&[reload.name()]).set(1);
        }
        for what in DEGRADED {
            me.degraded.with_label_values(&[what]).set(0);
        }
        Ok(me)
    }

    /// The certificates in use: their files, and the expiry of each in seconds since 1970. Replaces the previous ones.
    pub fn certificates(&self, in_use: impl IntoIterator<Item = (String, i64)>) {
        let mut certificates = self.certificates.lock();
        *certificates = in_use.into_iter().collect();
        self.not_after.reset();
        for (file, not_after) in certificates.iter() {
            self.not_after.with_label_values(&[file]).set(*not_after);
        }
    }

    /// Files and expiry of the certificates in use.
    pub fn certificate_ends(&self) -> Vec<(String, i64)> {
        let certificates = self.certificates.lock();
        certificates.iter().map(|(file, end)| (file.clone(), *end)).collect()
    }

    /// A reload has ended; `failed`: why the old state is still in use (shown in `/readyz`).
    pub fn reloaded(&self, what: Reload, failed: Option<String>) {
        let result = if failed.is_none() { "ok" } else { "failed" };
        self.reloads.with_label_values(&[what.name(), result]).inc();
        self.last_reload.with_label_values(&[what.name()]).set(i64::from(failed.is_none()));
        let mut all = self.failed.lock();
        match failed {
            Some(why) => all.insert(what, why),
            None => all.remove(&what),
        };
    }

    /// Reloads whose latest attempt failed, and why.
    pub fn failed_reloads(&self) -> Vec<(Reload, String)> {
        let all = self.failed.lock();
        all.iter().map(|(what, why)| (*what, why.clone())).collect()
    }

    /// Sets what `/readyz` shows.
    pub fn readiness(&self, ready: bool, degraded: &[&str]) {
        self.ready.set(i64::from(ready));
        for what in DEGRADED {
            self.degraded.with_label_values(&[what]).set(i64::from(degraded.contains(&what)));
        }
    }
}
