//! `[upstream]`: NocoBase's nodes, and how long the gate waits for them.

use std::time::Duration;

use super::super::raw;
use super::super::report::Report;
use super::super::types::Upstream;
use super::values::{self, DAY, SECOND};

/// A request records the nodes that it has tried in one machine word.
const MAX_NODES: usize = 64;

pub(super) fn upstream(raw: raw::Upstream, report: &mut Report) -> Option<Upstream> {
    if raw.nodes.is_empty() {
        report.error(
            "upstream.nodes",
            "is missing",
            "give NocoBase's host:port, such as [\"127.0.0.1:13000\"]",
        );
    }
    if raw.nodes.len() > MAX_NODES {
        report.error("upstream.nodes", format!("has more than {MAX_NODES} nodes"), "remove some");
    }
    let mut nodes = Vec::with_capacity(raw.nodes.len());
    for (i, text) in raw.nodes.iter().enumerate() {
        let key = format!("upstream.nodes[{i}]");
        let Some(node) = values::node(&key, text, report) else { continue };
        if nodes.contains(&node) {
            report.bad(&key, text, "occurs twice", "remove one of the two");
        }
        nodes.push(node);
    }
    let millisecond = Duration::from_millis(1);
    let key = "upstream.connect_timeout";
    let connect_timeout = values::duration(key, &raw.connect_timeout, millisecond, 60 * SECOND, report);
    let read_timeout = values::duration("upstream.read_timeout", &raw.read_timeout, millisecond, DAY, report);
    let key = "upstream.health_interval";
    let health_interval = values::duration(key, &raw.health_interval, 100 * millisecond, 60 * SECOND, report);
    let max_requests = values::max_requests("upstream.max_requests", &raw.max_requests, report);
    Some(Upstream {
        nodes,
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
        health_interval: health_interval?,
        max_requests: max_requests?,
    })
}
