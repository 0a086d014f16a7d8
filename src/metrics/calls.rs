//! The gate's own calls to WeCom and NocoBase.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Result};

use super::registrar::Registrar;
use super::sign_ins::{Entries, OTHER};

const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Names of the calls, as in the logs.
const WECOM: [&str; 7] =
    ["gettoken", "getuserinfo", "getuserdetail", "user/get", "user/list", "department/simplelist", "tag/get"];
/// `ok`, or the class of the error as in the logs.
const WECOM_RESULTS: [&str; 12] = [
    "ok",
    "transient",
    "token",
    "code",
    "user",
    "config",
    "rate",
    "detail",
    "bug",
    "transport",
    "third_party",
    "bad_answer",
];
const NOCOBASE: [&str; 11] = [
    "auth:check",
    "auth:signOut",
    "issuedTokens:create",
    "issuedTokens:list",
    "users:create",
    "users:get",
    "users:list",
    "users:update",
    "usersAuthenticators:create",
    "usersAuthenticators:list",
    OTHER,
];
const NOCOBASE_RESULTS: [&str; 7] =
    ["ok", "refused", "starting", "error", "unreachable", "timeout", "broken_off"];

/// Calls to WeCom's API. Clones share the counters.
#[derive(Clone)]
pub struct WeComCalls {
    entries: Entries,
    calls: IntCounterVec,
    seconds: HistogramVec,
    refreshes: IntCounterVec,
    token_ok: IntGaugeVec,
}

impl WeComCalls {
    pub(super) fn new(registrar: &mut Registrar, entries: &[&str]) -> Result<WeComCalls> {
        let me = WeComCalls {
            entries: Entries::default(),
            calls: registrar.counters(
                "wecom_calls_total",
                "Calls to WeCom's API by call and by result: ok, or the class of WeCom's error.",
                &["entry", "call", "result"],
            )?,
            seconds: registrar.histograms(
                "wecom_call_duration_seconds",
                "Duration of calls to WeCom's API.",
                &["call"],
                &SECONDS,
            )?,
            refreshes: registrar.counters(
                "wecom_token_refreshes_total",
                "Requests for an access token by result: ok, or the class of WeCom's error.",
                &["entry", "result"],
            )?,
            token_ok: registrar.gauges(
                "wecom_token_ok",
                "0 if the last time an access token was asked for there was none; 1 otherwise.",
                &["entry"],
            )?,
        };
        for call in WECOM {
            let _ = me.seconds.with_label_values(&[call]);
        }
        me.set_entries(entries);
        Ok(me)
    }

    /// Sets the entries; counters of removed ones stay.
    pub(super) fn set_entries(&self, entries: &[&str]) {
        for entry in entries.iter().filter(|entry| !self.entries.has(entry)) {
            for result in WECOM_RESULTS {
                for call in WECOM {
                    let _ = self.calls.with_label_values(&[*entry, call, result]);
                }
                let _ = self.refreshes.with_label_values(&[*entry, result]);
            }
            self.token_ok.with_label_values(&[*entry]).set(1);
        }
        self.entries.set(entries);
    }

    /// A call has ended: `ok`, or the class of the error.
    pub fn done(&self, entry: &str, call: &str, result: &str, took: Duration) {
        let call = known(&WECOM, call);
        let labels = [self.entry(entry), call, known(&WECOM_RESULTS, result)];
        self.calls.with_label_values(&labels).inc();
        self.seconds.with_label_values(&[call]).observe(took.as_secs_f64());
    }

    /// An access token was requested; `failed`: the class of the error.
    pub fn token(&self, entry: &str, failed: Option<&'static str>) {
        let entry = self.entry(entry);
        self.refreshes.with_label_values(&[entry, known(&WECOM_RESULTS, failed.unwrap_or("ok"))]).inc();
        self.token_ok.with_label_values(&[entry]).set(i64::from(failed.is_none()));
    }

    /// An access token was received from another node.
    pub fn token_shared(&self, entry: &str) {
        self.token_ok.with_label_values(&[self.entry(entry)]).set(1);
    }

    fn entry<'a>(&self, entry: &'a str) -> &'a str {
        if self.entries.has(entry) { entry } else { OTHER }
    }
}

/// Calls to NocoBase's API, apart from members' requests.
#[derive(Clone)]
pub struct NocoBaseCalls {
    calls: IntCounterVec,
    seconds: HistogramVec,
}

impl NocoBaseCalls {
    pub(super) fn new(registrar: &mut Registrar) -> Result<NocoBaseCalls> {
        let calls = registrar.counters(
            "nocobase_calls_total",
            "The gate's own calls to NocoBase's API by call and result.",
            &["call", "result"],
        )?;
        let seconds = registrar.histograms(
            "nocobase_call_duration_seconds",
            "Duration of the gate's own calls to NocoBase's API.",
            &["call"],
            &SECONDS,
        )?;
        for call in NOCOBASE {
            for result in NOCOBASE_RESULTS {
                let _ = calls.with_label_values(&[call, result]);
            }
            let _ = seconds.with_label_values(&[call]);
        }
        Ok(NocoBaseCalls { calls, seconds })
    }

    /// A call has ended.
    pub fn done(&self, call: &str, result: &str, took: Duration) {
        let call = known(&NOCOBASE, call);
        self.calls.with_label_values(&[call, known(&NOCOBASE_RESULTS, result)]).inc();
        self.seconds.with_label_values(&[call]).observe(took.as_secs_f64());
    }
}

/// The label from the list, or the one for all others.
fn known(list: &[&'static str], name: &str) -> &'static str {
    list.iter().find(|n| **n == name).copied().unwrap_or(OTHER)
}
