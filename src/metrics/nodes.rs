//! NocoBase's nodes: their health, their responses, and their request limits.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Result};

use super::registrar::Registrar;
use super::requests::{CODES, TOTAL, array};

/// One node of NocoBase.
pub struct Node {
    /// As configured.
    pub name: String,
    up: IntGauge,
    answers: [IntCounter; CODES.len()],
    seconds: Histogram,
    requests: IntGauge,
    limit: IntGauge,
    queued: IntGauge,
}

/// What is counted for each node.
pub struct Nodes {
    up: IntGaugeVec,
    answers: IntCounterVec,
    seconds: HistogramVec,
    requests: IntGaugeVec,
    limit: IntGaugeVec,
    queued: IntGaugeVec,
    refused: IntCounterVec,
    waits: HistogramVec,
}

/// Requests that wait for a place, and those that get none.
#[derive(Debug, Clone)]
pub struct QueueCounts {
    refused: IntCounter,
    waits: Histogram,
}

impl QueueCounts {
    /// There was no place.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A request has waited this long, with or without getting a place.
    pub fn waited(&self, so_long: Duration) {
        self.waits.observe(so_long.as_secs_f64());
    }
}

impl Nodes {
    pub(super) fn new(registrar: &mut Registrar) -> Result<Nodes> {
        let up = registrar.gauges(
            "upstream_up",
            "1 if this NocoBase node was healthy at the last check, else 0.",
            &["node"],
        )?;
        let answers = registrar.counters(
            "upstream_responses_total",
            "Responses of this node by the first digit of the status; none: unreachable or interrupted.",
            &["node", "code"],
        )?;
        let seconds = registrar.histograms(
            "upstream_duration_seconds",
            "Time from sending the request to NocoBase until the header section of its response.",
            &["node"],
            &TOTAL,
        )?;
        let requests = registrar.gauges(
            "upstream_requests",
            "Requests in progress at this node, without WebSockets and responses that have begun.",
            &["node"],
        )?;
        let limit = registrar.gauges(
            "upstream_requests_limit",
            "Limit of requests at once (upstream.max_requests); 0: none.",
            &["node"],
        )?;
        let queued =
            registrar.gauges("upstream_requests_queued", "Requests that wait for a place.", &["node"])?;
        let refused = registrar.counters(
            "upstream_requests_refused_total",
            "Requests refused because they waited too long for a free slot (503).",
            &["node"],
        )?;
        let waits = registrar.histograms(
            "upstream_queue_duration_seconds",
            "Waiting time of the requests that had to wait for a free slot.",
            &["node"],
            &TOTAL,
        )?;
        Ok(Nodes { up, answers, seconds, requests, limit, queued, refused, waits })
    }

    /// The counters of these nodes, in this order.
    pub fn of(&self, names: &[&str]) -> Vec<Node> {
        let node = |name: &&str| Node {
            name: (*name).to_owned(),
            up: self.up.with_label_values(&[*name]),
            answers: array(|i| {
                self.answers.with_label_values(&[*name, CODES.get(i).copied().unwrap_or_default()])
            }),
            seconds: self.seconds.with_label_values(&[*name]),
            requests: self.requests.with_label_values(&[*name]),
            limit: self.limit.with_label_values(&[*name]),
            queued: self.queued.with_label_values(&[*name]),
        };
        names.iter().map(node).collect()
    }
}

impl Nodes {
    /// The counters of the queue for this node.
    pub fn queue_of(&self, name: &str) -> QueueCounts {
        QueueCounts {
            refused: self.refused.with_label_values(&[name]),
            waits: self.waits.with_label_values(&[name]),
        }
    }

    /// The node has been removed: it is neither up nor down. Its counters stay.
    pub fn forget(&self, name: &str) {
        for gauge in [&self.up, &self.requests, &self.limit, &self.queued] {
            let _ = gauge.remove_label_values(&[name]);
        }
    }
}

impl Node {
    /// The result of a health check.
    pub fn set_healthy(&self, healthy: bool) {
        self.up.set(i64::from(healthy));
    }

    /// Requests in progress, their limit (0: none), and waiting requests.
    pub fn set_requests(&self, in_use: usize, limit: usize, queued: usize) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.requests.set(gauge(in_use));
        self.limit.set(if limit == usize::MAX { 0 } else { gauge(limit) });
        self.queued.set(gauge(queued));
    }

    /// The head of its response has arrived.
    pub fn answered(&self, status: u16, took: Duration) {
        if let Some(counter) = self.answers.get(usize::from(status / 100)) {
            counter.inc();
        }
        // For a WebSocket too, the head takes no longer than for other responses.
        self.seconds.observe(took.as_secs_f64());
    }

    /// No response, or none in time.
    pub fn upstream_failed(&self) {
        if let Some(counter) = self.answers.first() {
            counter.inc();
        }
    }
}
