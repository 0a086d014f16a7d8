//! Whether the gate can serve, and what is not as it should be. Asks nobody: it says what the health checks and the calls
//! have found already, however often `/readyz` and `/metrics` are asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::metrics::Reload;
use crate::proxy::upstream::State;
use crate::proxy::{CurrentGate, Gate};

/// A certificate that ends sooner should have been renewed long before.
const EXPIRING_S: i64 = 7 * 24 * 3600;

/// What is wrong with a node, if anything.
type Trouble = Option<&'static str>;

/// Looks at what the gate depends on.
pub(super) struct Readiness {
    live: Arc<CurrentGate>,
}

/// Something that does not work as it should, while the gate goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Degraded {
    /// One of a fixed list; also the label of a metric.
    pub(super) what: &'static str,
    /// Which of several.
    name: String,
    /// Why, in a word or a sentence.
    why: String,
}

/// An answer of `/readyz`.
pub(super) struct Report {
    pub(super) ready: bool,
    stopping: bool,
    nodes: Vec<(String, Trouble)>,
    pub(super) degraded: Vec<Degraded>,
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let status = match (self.ready, self.degraded.is_empty()) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ok",
        };
        let nodes: Map<String, Value> =
            self.nodes.iter().map(|(name, trouble)| (name.clone(), json!(trouble.unwrap_or("ok")))).collect();
        json!({ "status": status, "stopping": self.stopping, "upstream": nodes, "degraded": self.degraded })
    }
}

impl Readiness {
    pub(super) fn new(live: Arc<CurrentGate>) -> Readiness {
        Readiness { live }
    }

    pub(super) fn gate(&self) -> Arc<Gate> {
        self.live.now()
    }

    /// What is so now; the metrics say the same from then on.
    pub(super) fn report(&self) -> Report {
        let gate = &self.live.now();
        let trouble = |state: State| (state != State::Well).then(|| state.name());
        let nodes: Vec<(String, Trouble)> =
            gate.upstreams.nodes().iter().map(|n| (n.name.clone(), trouble(n.state()))).collect();
        let stopping = gate.stopping.load(Ordering::Relaxed);
        let ready = !stopping && nodes.iter().any(|(_, trouble)| trouble.is_none());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let mut degraded: Vec<Degraded> = nodes
            .iter()
            .filter_map(|(name, trouble)| Some(Degraded::new("nocobase", name, (*trouble)?)))
            .collect();
        degraded.extend(wecom(gate));
        let away = gate.sessions.shared().and_then(|shared| shared.trouble());
        degraded.extend(away.map(|(address, why)| Degraded::new("redis", address, &why)));
        let ends = gate.metrics.state.certificate_ends();
        degraded.extend(certificates(&ends, i64::try_from(now).unwrap_or(i64::MAX)));
        degraded.extend(gate.metrics.state.failed_reloads().into_iter().map(|(what, why)| match what {
            Reload::Configuration => Degraded::new("reload_configuration", what.name(), &why),
            Reload::Certificate => Degraded::new("reload_certificate", what.name(), &why),
            Reload::Program => Degraded::new("reload_program", what.name(), &why),
        }));
        let what: Vec<&str> = degraded.iter().map(|d| d.what).collect();
        gate.metrics.state.readiness(ready, &what);
        for (node, (_, trouble)) in gate.nodes.iter().zip(&nodes) {
            node.set_healthy(trouble.is_none());
        }
        Report { ready, stopping, nodes, degraded }
    }
}

/// WeCom as it was when it was last asked: nobody signs in while it is away, members who are signed in go on.
fn wecom(gate: &Gate) -> Vec<Degraded> {
    let mut all = Vec::new();
    for (entry, client) in gate.sign_ins.wecom() {
        for (what, error) in [("wecom_token", client.token_error()), ("wecom_calls", client.call_error())] {
            if let Some(error) = error {
                let mut why = format!("{}: {}", error.class().name(), error.failure());
                if let Some(code) = error.errcode() {
                    why.push_str(&format!(" (errcode {code})"));
                }
                let remedy = error.remedy();
                if !remedy.is_empty() {
                    why.push_str(&format!("; {remedy}"));
                }
                all.push(Degraded::new(what, entry, &why));
            }
        }
    }
    all.sort_by(|a, b| (&a.name, a.what).cmp(&(&b.name, b.what)));
    all
}

fn certificates(ends: &[(String, i64)], now: i64) -> Vec<Degraded> {
    let left = |end: i64| match end.saturating_sub(now) {
        ..=0 => Some("has expired".to_owned()),
        left @ ..=EXPIRING_S => Some(format!("expires in {} hours", left / 3600)),
        _ => None,
    };
    ends.iter().filter_map(|(file, end)| Some(Degraded::new("certificate", file, &left(*end)?))).collect()
}

impl Degraded {
    fn new(what: &'static str, name: &str, why: &str) -> Degraded {
        Degraded { what, name: name.to_owned(), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_told_a_week_before_their_end() {
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
    fn a_report_says_what_it_comes_to() {
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
