//! The gate's metrics: name, help and labels of each, in one place. `ops` exposes them.
//!
//! Counters for signed-in requests are looked up at the start, so counting is an atomic addition without a lock or a lookup. All
//! labels come from fixed lists or from the configuration, so no client can create new series.
//!
//! Must never: hold anything about a person, or import any module except `error`.

mod acme;
mod calls;
mod files;
mod nodes;
mod redis;
mod registrar;
mod requests;
mod sign_ins;
mod state;

use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

pub(crate) use calls::{NocoBaseCalls, WeComCalls};
pub(crate) use files::FileCache;
pub(crate) use nodes::{Node, Nodes, QueueCounts};
pub(crate) use redis::{Redis, RedisOperation};
pub(crate) use registrar::Described;
pub(crate) use requests::{Connections, Open, RequestOutcome, RequestRecord, Requests};
pub(crate) use sign_ins::{SignIns, StartPage};
pub(crate) use state::{GateState, Reload};

use acme::AcmeOrders;
use registrar::Registrar;

/// Everything that is counted in one gate.
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    /// Requests, and their connections.
    pub requests: Requests,
    /// Connections of clients.
    pub connections: Connections,
    /// NocoBase's nodes.
    pub nodes: Nodes,
    /// Sign-ins.
    pub sign_ins: SignIns,
    /// Calls to WeCom.
    pub wecom: WeComCalls,
    /// Calls to NocoBase.
    pub nocobase: NocoBaseCalls,
    /// Cached files of NocoBase's client.
    pub files: FileCache,
    /// What the nodes share.
    pub redis: Redis,
    /// The current state.
    pub state: GateState,
    /// Certificates that the gate orders itself.
    pub acme_orders: AcmeOrders,
    /// Lines of the audit log's file that could not be written.
    pub audit_lines_lost: IntCounter,
    sessions: IntGauge,
    in_flight: IntGauge,
}

impl Metrics {
    /// `entries`: names of the `[[wecom]]` blocks.
    ///
    /// # Errors
    /// Two metrics with the same name, or a name that Prometheus does not accept: a defect.
    pub fn new(entries: &[&str]) -> prometheus::Result<Metrics> {
        let mut registrar = Registrar::default();
        let build = registrar.gauges(
            "build_info",
            "Always 1; its label is the version of the running gate.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let requests = Requests::new(&mut registrar)?;
        let connections = Connections::new(&mut registrar)?;
        let nodes = Nodes::new(&mut registrar)?;
        let sign_ins = SignIns::new(&mut registrar, entries)?;
        let wecom = WeComCalls::new(&mut registrar, entries)?;
        let nocobase = NocoBaseCalls::new(&mut registrar)?;
        let files = FileCache::new(&mut registrar)?;
        let redis = Redis::new(&mut registrar)?;
        let state = GateState::new(&mut registrar)?;
        let acme_orders = AcmeOrders::new(&mut registrar)?;
        let audit_lines_lost = registrar
            .counter("audit_lines_lost_total", "Lines of log.audit_file that could not be written.")?;
        let sessions = registrar
            .gauge("sessions_seen", "Sessions that this process knows of: live ones, and ended ones.")?;
        let in_flight = registrar.gauge("requests_in_flight", "Requests in progress, without WebSockets.")?;
        registrar.process()?;
        let (registry, described) = registrar.close();
        Ok(Metrics {
            registry,
            described,
            requests,
            connections,
            nodes,
            sign_ins,
            wecom,
            nocobase,
            files,
            redis,
            state,
            acme_orders,
            audit_lines_lost,
            sessions,
            in_flight,
        })
    }

    /// Sets the names of the `[[wecom]]` blocks.
    pub fn set_entries(&self, entries: &[&str]) {
        self.sign_ins.set_entries(entries);
        self.wecom.set_entries(entries);
    }

    /// Name, kind, labels and help of every metric, including those without a value.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// All current values. `sessions` and `in_flight` are counted elsewhere.
    pub fn gather(&self, sessions: u64, in_flight: usize) -> Vec<MetricFamily> {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        self.registry.gather()
    }

    /// All current values, in Prometheus' text format.
    ///
    /// # Errors
    /// A value that cannot be written: a defect.
    pub fn text(&self, sessions: u64, in_flight: usize) -> prometheus::Result<String> {
        prometheus::TextEncoder::new().encode_to_string(&self.gather(sessions, in_flight))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::registrar::MetricKind;
    use super::*;
    use crate::error::Failure;

    fn metrics() -> Metrics {
        Metrics::new(&["wecom", "other"]).unwrap()
    }

    #[test]
    fn every_name_is_ours_and_says_its_unit() {
        for d in metrics().described() {
            assert!(d.name.starts_with("wecom_gate_"), "{}", d.name);
            assert!(!d.help.is_empty() && d.help.ends_with('.'), "{}: {}", d.name, d.help);
            assert_eq!(d.name.ends_with("_total"), d.kind == MetricKind::Counter, "{}", d.name);
            assert_eq!(
                d.name.ends_with("_seconds"),
                d.kind == MetricKind::Histogram || d.name.contains("_time_") || d.name.contains("not_after"),
                "{}",
                d.name
            );
        }
    }

    #[test]
    fn a_request_is_counted_once_in_each() {
        let m = metrics();
        m.requests.record(&RequestRecord {
            outcome: RequestOutcome::Refused,
            status: 429,
            failure: Some(Failure::TooManyRequests),
            total: Duration::from_millis(3),
            own: Duration::from_micros(40),
            tunnel: false,
            bytes_in: 5,
            bytes_out: 7,
        });
        let text = m.text(3, 2).unwrap();
        for line in [
            r#"wecom_gate_requests_total{code="4xx",outcome="refused"} 1"#,
            r#"wecom_gate_requests_total{code="2xx",outcome="nocobase"} 0"#,
            r#"wecom_gate_refusals_total{label="too_many_requests"} 1"#,
            r#"wecom_gate_refusals_total{label="internal"} 0"#,
            r#"wecom_gate_limits_hit_total{limit="requests"} 1"#,
            "wecom_gate_request_duration_seconds_count 1",
            r#"wecom_gate_own_duration_seconds_bucket{le="0.00005"} 1"#,
            r#"wecom_gate_own_duration_seconds_bucket{le="0.000025"} 0"#,
            "wecom_gate_request_bytes_total 5",
            "wecom_gate_response_bytes_total 7",
            "wecom_gate_sessions_seen 3",
            "wecom_gate_requests_in_flight 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn tunnels_have_no_part_in_latency() {
        let m = metrics();
        let open = m.requests.tunnel();
        assert!(m.text(0, 0).unwrap().contains("\nwecom_gate_websockets_open 1\n"));
        drop(open);
        let hour = Duration::from_secs(3600);
        m.requests.record(&RequestRecord {
            outcome: RequestOutcome::NocoBase,
            status: 101,
            failure: None,
            total: hour,
            own: Duration::from_micros(40),
            tunnel: true,
            bytes_in: 0,
            bytes_out: 0,
        });
        let text = m.text(0, 0).unwrap();
        assert!(text.contains("\nwecom_gate_websockets_open 0\n"), "{text}");
        assert!(text.contains("\nwecom_gate_request_duration_seconds_count 0\n"), "{text}");
        assert!(text.contains(r#"wecom_gate_requests_total{code="1xx",outcome="nocobase"} 1"#), "{text}");
    }

    #[test]
    fn what_is_not_in_the_lists_makes_no_series() {
        let m = metrics();
        let series = || m.text(0, 0).unwrap().lines().filter(|l| !l.starts_with('#')).count();
        let before = series();
        for i in 0..100 {
            let name = format!("made-up-{i}");
            m.sign_ins.refused(&name, Failure::NotAllowed, Duration::ZERO);
            m.sign_ins.started(&name, StartPage::Web);
            m.nocobase.done(&name, "ok", Duration::ZERO);
            m.wecom.done(&name, &name, &name, Duration::ZERO);
            m.wecom.token(&name, None);
            m.requests.record(&RequestRecord { status: 600 + i, ..RequestRecord::default() });
        }
        assert!(series() <= before + 70, "{before} series have become {}", series());
        let after = series();
        for i in 0..100 {
            m.sign_ins.refused(&format!("again-{i}"), Failure::NotAllowed, Duration::ZERO);
            m.wecom.done(&format!("again-{i}"), "x", "y", Duration::ZERO);
            m.nocobase.done(&format!("again-{i}"), "ok", Duration::ZERO);
        }
        assert_eq!(series(), after);
    }
}
