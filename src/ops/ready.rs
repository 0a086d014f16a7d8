//! Whether the gate can serve, and what is degraded. Pure: turns a [`Status`] from `server` into the response of `/readyz` and
//! into the gauges with the same values. However often `/readyz` and `/metrics` are requested, WeCom, NocoBase and Redis are not
//! asked.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::metrics::{Metrics, Reload};

/// A certificate that expires within this time, in seconds, should have been renewed long before.
const EXPIRING_S: i64 = 7 * 24 * 3600;

/// The running gate, as operators see it: what the health checks and the latest calls have found.
pub(crate) struct Status {
    /// Counters, certificates and reloads.
    pub(crate) metrics: Arc<Metrics>,
    /// The process is stopping.
    pub(crate) stopping: bool,
    /// NocoBase's nodes: the name of each, and what is wrong with it, if anything.
    pub(crate) nodes: Vec<(String, Option<&'static str>)>,
    /// What does not work with WeCom and Redis.
    pub(crate) degraded: Vec<Degraded>,
    /// Sessions in the memory of this process.
    pub(crate) sessions: u64,
    /// Requests in progress.
    pub(crate) in_flight: usize,
}

/// Something that does not work, while the gate continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Degraded {
    /// One of a fixed list; also the label of a metric.
    what: &'static str,
    /// Which one, if there are several.
    name: String,
    /// The reason, in a word or a sentence.
    why: String,
}

impl Degraded {
    /// `what`: one of the labels of the metric `degraded`.
    pub(crate) fn new(what: &'static str, name: &str, why: &str) -> Degraded {
        Degraded { what, name: name.to_owned(), why: why.to_owned() }
    }
}

/// A response of `/readyz`.
pub(super) struct Report {
    pub(super) ready: bool,
    stopping: bool,
    nodes: Vec<(String, Option<&'static str>)>,
    degraded: Vec<Degraded>,
}

impl Report {
    /// From the current status; also sets the readiness gauges.
    pub(super) fn new(status: &Status) -> Report {
        let state = &status.metrics.state;
        let ready = !status.stopping && status.nodes.iter().any(|(_, problem)| problem.is_none());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let nodes = status.nodes.iter();
        let mut degraded: Vec<Degraded> =
            nodes.filter_map(|(name, problem)| Some(Degraded::new("nocobase", name, (*problem)?))).collect();
        degraded.extend(status.degraded.iter().cloned());
        degraded.extend(certificates(&state.certificate_ends(), i64::try_from(now).unwrap_or(i64::MAX)));
        degraded.extend(state.failed_reloads().into_iter().map(|(what, why)| match what {
            Reload::Configuration => Degraded::new("reload_configuration", what.name(), &why),
            Reload::Certificate => Degraded::new("reload_certificate", what.name(), &why),
            Reload::Program => Degraded::new("reload_program", what.name(), &why),
        }));
        let what: Vec<&str> = degraded.iter().map(|d| d.what).collect();
        state.readiness(ready, &what);
        Report { ready, stopping: status.stopping, nodes: status.nodes.clone(), degraded }
    }

    pub(super) fn json(&self) -> Value {
        let status = match (self.ready, self.degraded.is_empty()) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ok",
        };
        let nodes: Map<String, Value> =
            self.nodes.iter().map(|(name, problem)| (name.clone(), json!(problem.unwrap_or("ok")))).collect();
        json!({ "status": status, "stopping": self.stopping, "upstream": nodes, "degraded": self.degraded })
    }
}

fn certificates(ends: &[(String, i64)], now: i64) -> Vec<Degraded> {
    let left = |end: i64| match end.saturating_sub(now) {
        ..=0 => Some("has expired".to_owned()),
        left @ ..=EXPIRING_S => Some(format!("expires in {} hours", left / 3600)),
        _ => None,
    };
    ends.iter().filter_map(|(file, end)| Some(Degraded::new("certificate", file, &left(*end)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_reported_from_a_week_before_it_expires() {
        let now = 1_700_000_000;
        let ends = |end: i64| certificates(&[("a.pem".into(), end)], now);
        assert_eq!(ends(now + EXPIRING_S + 1), []);
        assert_eq!(ends(now + 7200), [Degraded::new("certificate", "a.pem", "expires in 2 hours")]);
        assert_eq!(ends(now + EXPIRING_S)[0].why, "expires in 168 hours");
        for over in [now, now - 1, 0] {
            assert_eq!(ends(over)[0].why, "has expired");
        }
    }

    #[test]
    fn a_report_sums_up() {
        let report = |ready, degraded: &[Degraded]| {
            let degraded = degraded.to_vec();
            Report { ready, stopping: false, nodes: vec![("n:1".into(), None)], degraded }.json()["status"]
                .clone()
        };
        let trouble = [Degraded::new("wecom_token", "wecom", "config")];
        assert_eq!((report(true, &[]), report(true, &trouble)), (json!("ok"), json!("degraded")));
        assert_eq!(
            (report(false, &[]), report(false, &trouble)),
            (json!("unavailable"), json!("unavailable"))
        );
    }
}
