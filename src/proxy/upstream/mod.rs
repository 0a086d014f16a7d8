//! NocoBase's nodes: which one a request goes to, its connections (`connections`), and which of them are healthy.
//!
//! A node is skipped while its health check fails (`health`), and for a moment after it refused a connection or responded with
//! 500 where another did not. While it warms up it gets less than its share (`node`). If that leaves no node, every node is
//! tried: a wrong check must not cause an outage. Only a node that hangs, and has not responded to any request since its check
//! began, gets nothing (`nocobase::concurrency`, which also limits the requests to each node).

mod chunks;
mod connections;
pub(crate) mod event_stream;
pub(crate) mod head_first;
mod health;
mod node;
mod places;
pub(crate) mod tunnel;
mod uploads;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora::lb::selection::RoundRobin;
use pingora::lb::{Backend, LoadBalancer};
use pingora::prelude::{HttpPeer, Result as PingoraResult};
use pingora::protocols::Stream;
use thiserror::Error;
use tokio::sync::Notify;

pub(crate) use node::{Node, NodeState};
pub(crate) use places::{Place, Places};
pub(crate) use uploads::{Upload, Uploads};

use crate::config;
use crate::nocobase::{Concurrency, NodeLimiter};

/// A request records the nodes that it has tried in one machine word; the configuration allows no more of them.
const WORD: usize = 64;

/// Nodes that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum NodesError {
    /// A name that does not resolve.
    #[error("upstream.nodes: {node} does not resolve: {why}; check the name, or write an address")]
    Unresolved {
        /// As configured.
        node: String,
        /// The resolver's error.
        why: String,
    },
    /// Two names of the same node.
    #[error("upstream.nodes: {one} and {other} are both {address}; remove one of the two")]
    Same {
        /// As configured.
        one: String,
        /// As configured.
        other: String,
        /// The address of both.
        address: SocketAddr,
    },
    /// Pingora does not accept them.
    #[error("upstream.nodes: {0}")]
    Balancer(String),
}

/// The nodes that a request has been sent to, or could not be sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AttemptedNodes(u64);

impl AttemptedNodes {
    fn has(self, index: usize) -> bool {
        self.0 & (1 << (index % WORD)) != 0
    }

    fn add(&mut self, index: usize) {
        self.0 |= 1 << (index % WORD);
    }

    /// Allows the node to be tried again.
    pub(crate) fn forget(&mut self, index: usize) {
        self.0 &= !(1 << (index % WORD));
    }

    /// How many.
    pub(crate) fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// The nodes, ready to connect to.
pub(crate) struct Upstreams {
    nodes: Arc<[Node]>,
    balancer: LoadBalancer<RoundRobin>,
    interval: Duration,
    connect_timeout: Duration,
    /// The clock of every [`Node`].
    began: Instant,
}

impl Upstreams {
    /// Resolves every node once. `public_path` leads to NocoBase's health check. What was known `before` about a node that
    /// remains is taken over.
    pub(crate) fn new(
        upstream: &config::Upstream,
        public_path: &str,
        before: Option<&Upstreams>,
        concurrency: &Concurrency,
    ) -> Result<Upstreams, NodesError> {
        let mut nodes: Vec<Node> = Vec::with_capacity(upstream.nodes.len());
        for name in &upstream.nodes {
            let unresolved = |why: String| NodesError::Unresolved { node: name.clone(), why };
            let mut found = name.to_socket_addrs().map_err(|e| unresolved(e.to_string()))?;
            let address = found.next().ok_or_else(|| unresolved("no address".into()))?;
            if let Some(same) = nodes.iter().find(|n| n.address == address) {
                let (one, other) = (same.name.clone(), name.clone());
                return Err(NodesError::Same { one, other, address });
            }
            let limiter = concurrency
                .of(name)
                .unwrap_or_else(|| Arc::new(NodeLimiter::new(config::MaxRequests::Unbounded, None)));
            nodes.push(Node::new(name.clone(), address, upstream, limiter));
        }
        let nodes: Arc<[Node]> = nodes.into();
        let began = before.map_or_else(Instant::now, |before| before.began);
        for node in nodes.iter() {
            let same = before.and_then(|b| b.nodes.iter().find(|n| n.address == node.address));
            if let Some(same) = same {
                // The load balancer considers every node healthy until it has failed twice more.
                node.inherit_state(same, began.elapsed() + upstream.health_interval * 3);
            }
        }
        let mut balancer = LoadBalancer::try_from_iter(nodes.iter().map(|n| n.address))
            .map_err(|e| NodesError::Balancer(e.to_string()))?;
        let check = health::Check::new(nodes.clone(), began, upstream, public_path)
            .map_err(|e| NodesError::Balancer(e.to_string()))?;
        balancer.set_health_check(Box::new(check));
        Ok(Upstreams {
            nodes,
            balancer,
            interval: upstream.health_interval,
            connect_timeout: upstream.connect_timeout,
            began,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All of them, in the order of the configuration.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The next node (its index) for a request. `None` if all have been tried.
    pub(crate) fn pick(&self, tried: &mut AttemptedNodes) -> Option<usize> {
        let index = if self.nodes.len() < 2 {
            (tried.count() == 0).then_some(0)?
        } else {
            let now = self.began.elapsed();
            self.select(*tried, |node, healthy| healthy && node.limiter.has_room() && node.takes(now))
                .or_else(|| {
                    self.select(*tried, |node, healthy| healthy && !node.limiter.is_away() && node.takes(now))
                })
                .or_else(|| self.select(*tried, |_, healthy| healthy))
                .or_else(|| self.select(*tried, |_, _| true))?
        };
        tried.add(index);
        Some(index)
    }

    /// How Pingora connects to a node; for a tunnel or for an upload.
    pub(crate) fn peer(&self, index: usize, tunnel: bool) -> Option<HttpPeer> {
        self.nodes.get(index).map(|node| node.peer(tunnel))
    }

    /// A connection to a node; whether it has had a request before.
    ///
    /// # Errors
    /// The node does not accept it, or not in time.
    pub(crate) async fn connect(&self, index: usize) -> PingoraResult<(Stream, bool)> {
        let Some(node) = self.nodes.get(index) else {
            return pingora::prelude::Error::e_explain(pingora::prelude::ConnectError, "no node");
        };
        match node.connections.take() {
            Some(stream) => Ok((stream, true)),
            None => Ok((connections::open(node.address, self.connect_timeout).await?, false)),
        }
    }

    /// Keeps a connection to a node for the next request. `most`: idle connections of all nodes together.
    pub(crate) fn keep(&self, index: usize, stream: Stream, most: usize) {
        if let Some(node) = self.nodes.get(index) {
            node.connections.keep(stream, (most / self.nodes.len().max(1)).max(1));
        }
    }

    fn select(&self, tried: AttemptedNodes, accept: impl Fn(&Node, bool) -> bool) -> Option<usize> {
        let index_of = |backend: &Backend| {
            let address = backend.addr.as_inet()?;
            self.nodes.iter().position(|n| n.address == *address)
        };
        let rounds = self.nodes.len().saturating_mul(2);
        let backend = self.balancer.select_with(b"", rounds, |backend, healthy| {
            index_of(backend)
                .and_then(|i| (!tried.has(i)).then(|| self.nodes.get(i))?)
                .is_some_and(|node| accept(node, healthy))
        })?;
        index_of(&backend)
    }

    /// Is this node healthy, and one of several? Then a page that connects to it may come from one that has stopped.
    pub(crate) fn is_verified(&self, index: usize) -> bool {
        self.nodes.len() > 1 && self.nodes.get(index).is_some_and(|node| node.state() == NodeState::Healthy)
    }

    /// Is there a node that has not been tried, and was healthy at the last check?
    pub(crate) fn is_another_healthy(&self, tried: AttemptedNodes) -> bool {
        self.nodes.iter().enumerate().any(|(i, node)| !tried.has(i) && node.state() == NodeState::Healthy)
    }

    /// A node did not accept a connection, or failed where another succeeded: it is skipped until its next health check, if
    /// there is another.
    pub(crate) fn avoid(&self, index: usize) {
        if let Some(node) = self.nodes.get(index) {
            node.avoid_until(self.began.elapsed() + self.interval);
        }
    }

    /// The request limit of a node.
    pub(crate) fn limiter(&self, index: usize) -> Option<&Arc<NodeLimiter>> {
        self.nodes.get(index).map(|node| &node.limiter)
    }

    /// In how many seconds a client that gets no slot should send its request again, which is then expected; `None`: every node
    /// hangs.
    pub(crate) fn book_return(&self) -> Option<u32> {
        let responding = self.nodes.iter().map(|node| &node.limiter).filter(|limiter| !limiter.is_away());
        responding.min_by_key(|limiter| limiter.next_return()).map(|limiter| limiter.book_return())
    }

    /// Name of a node, as configured.
    pub(crate) fn name(&self, index: usize) -> &str {
        self.nodes.get(index).map_or("", |n| &n.name)
    }

    /// Checks the nodes for ever, and notifies `news` when a node responds, and in a different way than before: as NocoBase, or
    /// as something else; NocoBase's page may show why.
    pub(crate) async fn watch(&self, news: &Notify) {
        let mut before = vec![NodeState::Unreachable; self.nodes.len()];
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for node in self.nodes.iter() {
                node.connections.close_old();
            }
            self.balancer.backends().run_health_check(true).await;
            let now: Vec<NodeState> = self.nodes.iter().map(Node::state).collect();
            let responds = |state: NodeState| matches!(state, NodeState::Healthy | NodeState::Unhealthy);
            let is_news = now.iter().zip(&before).any(|(now, before)| now != before && responds(*now));
            before = now;
            if is_news {
                news.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
