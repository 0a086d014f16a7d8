//! Metrics of every request: no lock, no lookup.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge, Result};

use super::registrar::Registrar;
use crate::error::Failure;

/// Buckets in seconds, for whole requests and for NocoBase's part.
pub(super) const TOTAL: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets in seconds, for the gate's own part: tens of microseconds, unless it asks WeCom or NocoBase.
const OWN: [f64; 12] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0];
/// First digit of a status; `none` without a response.
pub(super) const CODES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestOutcome {
    /// NocoBase responded.
    #[default]
    NocoBase,
    /// The gate responded itself: with a page, or a redirect to WeCom.
    Gate,
    /// The gate refused the request.
    Refused,
    /// The gate, WeCom or NocoBase failed.
    Failed,
    /// The client disconnected.
    Aborted,
}

impl RequestOutcome {
    const ALL: [RequestOutcome; 5] = [
        RequestOutcome::NocoBase,
        RequestOutcome::Gate,
        RequestOutcome::Refused,
        RequestOutcome::Failed,
        RequestOutcome::Aborted,
    ];

    fn name(self) -> &'static str {
        match self {
            RequestOutcome::NocoBase => "nocobase",
            RequestOutcome::Gate => "gate",
            RequestOutcome::Refused => "refused",
            RequestOutcome::Failed => "failed",
            RequestOutcome::Aborted => "aborted",
        }
    }
}

/// A completed request.
#[derive(Debug, Default)]
pub struct RequestRecord {
    /// Its outcome.
    pub outcome: RequestOutcome,
    /// HTTP status; 0 without a response.
    pub status: u16,
    /// Why it was refused or failed.
    pub failure: Option<Failure>,
    /// From the request's head to the end of the response.
    pub total: Duration,
    /// The gate's part: until NocoBase has the request, or the whole time.
    pub own: Duration,
    /// It became a WebSocket, so its duration is not a latency.
    pub tunnel: bool,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
}

/// Counters of requests.
pub struct Requests {
    /// By outcome, then by first digit of the status.
    counts: [[IntCounter; CODES.len()]; RequestOutcome::ALL.len()],
    /// By failure, in the order of the enum.
    refusals: Vec<IntCounter>,
    total: Histogram,
    own: Histogram,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    limits: [IntCounter; 3],
    tunnels: IntCounter,
    tunnels_open: IntGauge,
}

/// Creates an array of counters.
pub(super) fn array<const N: usize>(make: impl FnMut(usize) -> IntCounter) -> [IntCounter; N] {
    std::array::from_fn(make)
}

impl Requests {
    pub(super) fn new(registrar: &mut Registrar) -> Result<Requests> {
        let counts = registrar.counters(
            "requests_total",
            "Requests by outcome and by the first digit of the status.",
            &["outcome", "code"],
        )?;
        let refusals = registrar.counters(
            "refusals_total",
            "Requests that the gate refused or could not serve, by reason label.",
            &["label"],
        )?;
        let mut failures = Failure::ALL.to_vec();
        failures.sort_by_key(|f| *f as usize);
        let limits = registrar.counters(
            "limits_hit_total",
            "Requests refused because of a limit: of requests, of body bytes, of header bytes.",
            &["limit"],
        )?;
        let name = |names: &[&'static str], i: usize| names.get(i).copied().unwrap_or_default();
        Ok(Requests {
            counts: RequestOutcome::ALL
                .map(|o| array(|code| counts.with_label_values(&[o.name(), name(&CODES, code)]))),
            refusals: failures.iter().map(|f| refusals.with_label_values(&[f.response().label])).collect(),
            total: registrar.histogram(
                "request_duration_seconds",
                "Time from the header section of a request to the end of its response, without WebSockets.",
                &TOTAL,
            )?,
            own: registrar.histogram(
                "own_duration_seconds",
                "The gate's own part: until the request is sent to NocoBase, or the whole time if the gate responds itself.",
                &OWN,
            )?,
            bytes_in: registrar.counter("request_bytes_total", "Bytes of request bodies.")?,
            bytes_out: registrar.counter("response_bytes_total", "Bytes of answers' bodies.")?,
            limits: array(|i| limits.with_label_values(&[name(&["requests", "body_bytes", "header_bytes"], i)])),
            tunnels: registrar.counter("websockets_total", "WebSockets that were opened.")?,
            tunnels_open: registrar.gauge("websockets_open", "WebSockets that are open.")?,
        })
    }

    /// Counts a finished request.
    pub fn record(&self, record: &RequestRecord) {
        let code = match record.status / 100 {
            code @ 1..=5 => usize::from(code),
            _ => 0,
        };
        if let Some(counter) = self.counts.get(record.outcome as usize).and_then(|row| row.get(code)) {
            counter.inc();
        }
        if !record.tunnel {
            self.total.observe(record.total.as_secs_f64());
            self.own.observe(record.own.as_secs_f64());
        }
        if record.bytes_in > 0 {
            self.bytes_in.inc_by(record.bytes_in);
        }
        self.bytes_out.inc_by(record.bytes_out);
        if let Some(failure) = record.failure {
            self.refused(failure);
        }
    }

    #[cold]
    fn refused(&self, failure: Failure) {
        if let Some(counter) = self.refusals.get(failure as usize) {
            counter.inc();
        }
        let limit = match failure {
            Failure::TooManyRequests => 0,
            Failure::TooLarge => 1,
            Failure::HeadersTooLarge => 2,
            _ => return,
        };
        if let Some(counter) = self.limits.get(limit) {
            counter.inc();
        }
    }

    /// A WebSocket is open until this is dropped.
    pub fn tunnel(&self) -> Open {
        self.tunnels.inc();
        Open::new(&self.tunnels_open)
    }
}

/// Counts something as open until it is dropped.
#[must_use = "what is dropped at once has never been open"]
#[derive(Debug)]
pub struct Open(IntGauge);

impl Open {
    fn new(gauge: &IntGauge) -> Open {
        gauge.inc();
        Open(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Connections of clients.
#[derive(Debug, Clone)]
pub struct Connections {
    accepted: IntCounter,
    open: IntGauge,
    over_limit: IntCounter,
    malformed: IntCounter,
}

impl Connections {
    pub(super) fn new(registrar: &mut Registrar) -> Result<Connections> {
        Ok(Connections {
            accepted: registrar.counter("connections_total", "Connections of clients that were taken.")?,
            open: registrar.gauge("connections_open", "Connections of clients that are open.")?,
            over_limit: registrar.counter(
                "connections_over_limit_total",
                "Connections beyond limits.connections, or beyond their address's share: refused with a response, or closed.",
            )?,
            malformed: registrar.counter(
                "malformed_requests_total",
                "Responses to invalid requests (HTTP/1): refused before any rule, and in no other count.",
            )?,
        })
    }

    /// A connection is open until this is dropped.
    pub fn accepted(&self) -> Open {
        self.accepted.inc();
        Open::new(&self.open)
    }

    /// `limits.connections` is reached.
    pub fn over_limit(&self) {
        self.over_limit.inc();
    }

    /// Pingora has responded to something that is not a request.
    pub fn malformed(&self) {
        self.malformed.inc();
    }
}
