//! Limits the requests that NocoBase works on at once: a bounded number of places for each node, for proxied requests and for the
//! gate's own calls alike. A request without a place waits for a moment in a fair queue, or is refused at once if that would take too long.
//! NocoBase itself accepts any number of requests, and too many make it so slow that none is served in time.
//!
//! - `limit`: how many at once, found from the latency (plain data)
//! - `places`: how many are taken (plain data)
//! - `queue`: who is next (plain data)
//! - `silence`: for how long the node has not responded
//! - `node_limiter`: these at work for one node
//!
//! Must never: know what a request is, or hold a place for a response that is on its way already.

mod limit;
mod node_limiter;
mod places;
mod queue;
mod silence;

use std::sync::Arc;

pub(crate) use node_limiter::{NoPlace, NodeLimiter, Permit};
pub(crate) use queue::{Class, Turn, Who};

use crate::config;
use crate::metrics::Nodes;

/// The limiters of all nodes. They are kept over changes of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Concurrency {
    nodes: Vec<(String, Arc<NodeLimiter>)>,
}

impl Concurrency {
    /// In place of `before`. Counts into `counts`.
    pub(crate) fn after(
        before: Option<&Concurrency>,
        upstream: &config::Upstream,
        counts: &Nodes,
    ) -> Concurrency {
        let limiter = |name: &String| {
            let limiter = before.and_then(|b| b.of(name)).unwrap_or_else(|| {
                let counts = counts.queue_of(name);
                Arc::new(NodeLimiter::new(upstream.max_requests, Some(counts)))
            });
            limiter.set_limit(upstream.max_requests);
            (name.clone(), limiter)
        };
        Concurrency { nodes: upstream.nodes.iter().map(limiter).collect() }
    }

    /// That of the node with this name.
    pub(crate) fn of(&self, node: &str) -> Option<Arc<NodeLimiter>> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, limiter)| limiter.clone())
    }
}

#[cfg(test)]
mod tests;
