//! NocoBase's nodes: which one a request goes to, and how connections to it are made.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::prelude::HttpPeer;
use thiserror::Error;

use super::tunnel;
use crate::config;

/// Keeps connections that carry tunnels apart from pooled ones: they are made by another connector.
const TUNNEL_GROUP: u64 = 1 << 63;

/// A node whose name does not resolve.
#[derive(Debug, Error)]
#[error("upstream.nodes: {node} does not resolve: {why}; check the name, or write an address")]
pub struct Unresolved {
    /// As configured.
    pub node: String,
    /// What the resolver says.
    pub why: String,
}

/// The nodes, ready to be dialled.
pub struct Upstreams {
    nodes: Vec<Node>,
    next: AtomicUsize,
}

struct Node {
    name: String,
    http: HttpPeer,
    tunnel: HttpPeer,
}

impl Upstreams {
    /// Resolves every node once.
    pub fn new(upstream: &config::Upstream) -> Result<Upstreams, Unresolved> {
        let nodes = upstream
            .nodes
            .iter()
            .map(|name| {
                let unresolved = |why: String| Unresolved { node: name.clone(), why };
                let mut found = name.to_socket_addrs().map_err(|e| unresolved(e.to_string()))?;
                let address = found.next().ok_or_else(|| unresolved("no address".into()))?;
                Ok(Node::new(name.clone(), address, upstream))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Upstreams { nodes, next: AtomicUsize::new(0) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Where the next request begins to look for a node.
    pub fn start(&self) -> usize {
        if self.nodes.len() < 2 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// The node (its index) for attempt number `attempt` of a request that began at `start`.
    pub fn pick(&self, start: usize, attempt: usize, tunnel: bool) -> Option<(usize, HttpPeer)> {
        let index = start.wrapping_add(attempt) % self.nodes.len().max(1);
        let node = self.nodes.get(index)?;
        Some((index, if tunnel { node.tunnel.clone() } else { node.http.clone() }))
    }

    /// Name of a node, as configured.
    pub fn name(&self, index: usize) -> &str {
        self.nodes.get(index).map_or("", |n| &n.name)
    }
}

impl Node {
    fn new(name: String, address: SocketAddr, upstream: &config::Upstream) -> Node {
        let mut http = HttpPeer::new(address, false, String::new());
        http.options.connection_timeout = Some(upstream.connect_timeout);
        http.options.total_connection_timeout = Some(upstream.connect_timeout);
        http.options.read_timeout = Some(upstream.read_timeout);
        http.options.write_timeout = Some(upstream.read_timeout);
        // Below Node's own keep-alive time-out (5 s by default), so that a request is not sent into a
        // connection that is just being closed.
        http.options.idle_timeout = Some(Duration::from_secs(4));
        let mut tunnel = http.clone();
        tunnel.group_key = TUNNEL_GROUP;
        // Silence is normal in a tunnel; TCP keep-alive tells when the other side is gone.
        tunnel.options.read_timeout = None;
        tunnel.options.write_timeout = None;
        tunnel.options.custom_l4 = Some(Arc::new(tunnel::Connect { timeout: upstream.connect_timeout }));
        Node { name, http, tunnel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(nodes: &[&str]) -> config::Upstream {
        config::Upstream {
            nodes: nodes.iter().map(|n| (*n).to_owned()).collect(),
            connect_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(300),
        }
    }

    #[test]
    fn attempts_go_round_the_nodes() {
        let u = Upstreams::new(&upstream(&["127.0.0.1:1", "127.0.0.1:2"])).unwrap();
        let first = u.start();
        let names: Vec<_> = (0..3).map(|a| u.name(u.pick(first, a, false).unwrap().0).to_owned()).collect();
        assert_eq!(names[0], names[2]);
        assert_ne!(names[0], names[1]);
        assert_ne!(u.start() % 2, first % 2);
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told() {
        let e = Upstreams::new(&upstream(&["no-such-host.invalid:1"])).err().unwrap();
        assert!(e.to_string().contains("no-such-host.invalid:1"), "{e}");
    }
}
