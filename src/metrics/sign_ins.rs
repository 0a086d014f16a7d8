//! Sign-ins by entry, outcome and reason.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Histogram, IntCounterVec, Result};

use super::registrar::Registrar;
use crate::error::Failure;

const SECONDS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Label for a name that is not in the configuration.
pub(super) const OTHER: &str = "other";

/// WeCom's page at which a sign-in begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPage {
    /// Inside WeCom's client.
    WeCom,
    /// QR code or one click.
    Web,
}

/// Names of the `[[wecom]]` blocks: no other names become labels.
#[derive(Clone, Default)]
pub(super) struct Entries(Arc<ArcSwap<Vec<String>>>);

impl Entries {
    pub(super) fn set(&self, entries: &[&str]) {
        self.0.store(Arc::new(entries.iter().map(|e| (*e).to_owned()).collect()));
    }
    pub(super) fn has(&self, entry: &str) -> bool {
        self.0.load().iter().any(|e| e == entry)
    }
}

/// Counters of sign-ins.
pub struct SignIns {
    entries: Entries,
    started: IntCounterVec,
    ended: IntCounterVec,
    seconds: Histogram,
    sessions_ended: IntCounterVec,
}

impl SignIns {
    pub(super) fn new(registrar: &mut Registrar, entries: &[&str]) -> Result<SignIns> {
        let me = SignIns {
            entries: Entries::default(),
            started: registrar.counters(
                "sign_ins_started_total",
                "Browsers redirected to WeCom, by entry and by WeCom's page.",
                &["entry", "via"],
            )?,
            ended: registrar.counters(
                "sign_ins_total",
                "Completed sign-ins by result (signed_in, needs_consent, refused) and, if refused, by reason.",
                &["entry", "outcome", "reason"],
            )?,
            seconds: registrar.histogram(
                "sign_in_duration_seconds",
                "Time from WeCom's callback to the session: the calls to WeCom and NocoBase.",
                &SECONDS,
            )?,
            sessions_ended: registrar.counters(
                "sessions_ended_total",
                "Sessions that ended early, by who ended them.",
                &["by"],
            )?,
        };
        for by in ["member", "nocobase", "wecom", "node"] {
            let _ = me.sessions_ended.with_label_values(&[by]);
        }
        me.set_entries(entries);
        Ok(me)
    }

    /// Sets the entries; counters of removed ones stay.
    pub(super) fn set_entries(&self, entries: &[&str]) {
        self.entries.set(entries);
        // If a series began only with its first event, Prometheus would not see that event as an increase.
        for entry in entries {
            for via in ["wecom", "web"] {
                let _ = self.started.with_label_values(&[*entry, via]);
            }
            for outcome in ["signed_in", "needs_consent"] {
                let _ = self.ended.with_label_values(&[*entry, outcome, ""]);
            }
            for failure in Failure::ALL {
                let _ = self.ended.with_label_values(&[*entry, "refused", failure.response().label]);
            }
        }
    }

    /// A browser was redirected to WeCom.
    pub fn started(&self, entry: &str, via: StartPage) {
        let via = if via == StartPage::Web { "web" } else { "wecom" };
        self.started.with_label_values(&[self.known(entry), via]).inc();
    }

    /// A member is signed in.
    pub fn signed_in(&self, entry: &str, took: Duration) {
        self.end(entry, "signed_in", "", took);
    }

    /// A member has to consent first.
    pub fn needs_consent(&self, entry: &str, took: Duration) {
        self.end(entry, "needs_consent", "", took);
    }

    /// A sign-in failed.
    pub fn refused(&self, entry: &str, why: Failure, took: Duration) {
        self.end(entry, "refused", why.response().label, took);
    }

    /// Sessions have ended, by `member`, `nocobase` or `wecom`.
    pub fn sessions_ended(&self, by: &'static str, how_many: usize) {
        self.sessions_ended.with_label_values(&[by]).inc_by(how_many as u64);
    }

    fn end(&self, entry: &str, outcome: &str, reason: &str, took: Duration) {
        self.ended.with_label_values(&[self.known(entry), outcome, reason]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    fn known<'a>(&self, entry: &'a str) -> &'a str {
        if self.entries.has(entry) { entry } else { OTHER }
    }
}
