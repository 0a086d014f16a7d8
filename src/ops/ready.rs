//! Whether the gate can serve, and what is not as it should be. Asks nobody but NocoBase's nodes, and these at most
//! once within a few seconds, however often `/readyz` and `/metrics` are asked for; the rest is what is known already.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::metrics::Reload;
use crate::proxy::Gate;

/// How long a node may take to say that it is well.
const PROBE: Duration = Duration::from_secs(2);
/// How long that counts.
const FRESH: Duration = Duration::from_secs(2);
/// A certificate that ends sooner should have been renewed long before.
const EXPIRING_S: i64 = 7 * 24 * 3600;

/// What is wrong with a node, if anything.
type Trouble = Option<&'static str>;

/// Looks at what the gate depends on.
pub(super) struct Readiness {
    gate: Arc<Gate>,
    http: reqwest::Client,
    nodes: Mutex<Option<(Instant, Vec<Trouble>)>>,
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
    pub(super) fn new(gate: Arc<Gate>) -> reqwest::Result<Readiness> {
        let http = reqwest::Client::builder().no_proxy().timeout(PROBE).pool_max_idle_per_host(0).build()?;
        Ok(Readiness { gate, http, nodes: Mutex::new(None) })
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What is so now; the metrics say the same from then on.
    pub(super) async fn report(&self) -> Report {
        let gate = &self.gate;
        let names = &gate.config.upstream.nodes;
        let nodes: Vec<(String, Trouble)> = names.iter().cloned().zip(self.nodes().await).collect();
        let stopping = gate.stopping.load(Ordering::Relaxed);
        let ready = !stopping && nodes.iter().any(|(_, trouble)| trouble.is_none());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let mut degraded: Vec<Degraded> = nodes
            .iter()
            .filter_map(|(name, trouble)| Some(Degraded::new("nocobase", name, (*trouble)?)))
            .collect();
        degraded.extend(wecom(gate));
        let ends = gate.metrics.state.certificate_ends();
        degraded.extend(certificates(&ends, i64::try_from(now).unwrap_or(i64::MAX)));
        degraded.extend(gate.metrics.state.failed_reloads().into_iter().map(|(what, why)| match what {
            Reload::Configuration => Degraded::new("reload_configuration", what.name(), &why),
            Reload::Certificate => Degraded::new("reload_certificate", what.name(), &why),
        }));
        let what: Vec<&str> = degraded.iter().map(|d| d.what).collect();
        gate.metrics.state.readiness(ready, &what);
        for (node, (_, trouble)) in gate.metrics.nodes.iter().zip(&nodes) {
            node.looked_at(trouble.is_none());
        }
        Report { ready, stopping, nodes, degraded }
    }

    /// How the nodes are, in the order of the configuration. Whoever comes while they are being asked waits for that.
    async fn nodes(&self) -> Vec<Trouble> {
        let mut last = self.nodes.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < FRESH
        {
            return known.clone();
        }
        let mut asked = JoinSet::new();
        let config = &self.gate.config;
        for (index, node) in config.upstream.nodes.iter().enumerate() {
            let address = format!("http://{node}{}api/__health_check", config.nocobase.public_path);
            let http = self.http.clone();
            asked.spawn(async move { (index, probe(&http, address).await) });
        }
        let mut found = vec![Some("unreachable"); config.upstream.nodes.len()];
        while let Some(answer) = asked.join_next().await {
            if let Ok((index, trouble)) = answer
                && let Some(slot) = found.get_mut(index)
            {
                *slot = trouble;
            }
        }
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

async fn probe(http: &reqwest::Client, address: String) -> Trouble {
    match http.get(address).send().await {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) if answer.status() == 503 => Some("starting"),
        Ok(_) => Some("unhealthy"),
        Err(_) => Some("unreachable"),
    }
}

/// WeCom as it was when it was last asked: nobody signs in while it is away, members who are signed in go on.
fn wecom(gate: &Gate) -> Vec<Degraded> {
    let mut all = Vec::new();
    for (entry, client) in gate.logins.wecom() {
        for (what, error) in [("wecom_token", client.no_token()), ("wecom_calls", client.no_answer())] {
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
