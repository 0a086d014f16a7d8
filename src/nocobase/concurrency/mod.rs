//! Limits the requests that NocoBase works on at once: each node has a bounded number of slots, for proxied requests and the
//! gate's own calls alike. A request without a slot waits for a moment in a fair queue, or is refused at once if that would take
//! too long. NocoBase itself accepts any number of requests, and too many make it so slow that none is served in time.
//!
//! - `limit`: how many at once, derived from the latency (plain data)
//! - `places`: how many slots are taken (plain data)
//! - `queue`: which is next (plain data)
//! - `returns`: when those who are refused come back (plain data)
//! - `window`: the responses since the limit was last adapted
//! - `silence`: how long the node has not responded
//! - `node_limiter`: these applied to one node
//!
//! Must never: know what a request is, or hold a slot for a response that has begun.

mod limit;
mod node_limiter;
mod places;
mod queue;
mod returns;
mod silence;
mod window;

use std::sync::Arc;

pub(crate) use node_limiter::{NoPlace, NodeLimiter, Permit};
pub(crate) use queue::{Class, Turn, Who};

use crate::config;
use crate::metrics::Nodes;

/// The limiters of all nodes. They are kept when the configuration changes.
#[derive(Debug, Default)]
pub(crate) struct Concurrency {
    nodes: Vec<(String, Arc<NodeLimiter>)>,
}

impl Concurrency {
    /// Replaces `before`. Counts into `counts`.
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

    /// The limiter of the node with this name.
    pub(crate) fn of(&self, node: &str) -> Option<Arc<NodeLimiter>> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, limiter)| limiter.clone())
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
