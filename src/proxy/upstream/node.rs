//! One NocoBase node: how to connect to it, and what is known of its health. Written by the health check, read by every request,
//! so everything is atomic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pingora::prelude::HttpPeer;

use super::connections::Connections;
use crate::config;
use crate::error::Outage;
use crate::message::{Message, message};
use crate::nocobase::NodeLimiter;
use crate::proxy::lost_peers;

/// Keeps connections of tunnels apart from others: another connector opens them.
const TUNNEL_GROUP: u64 = 1 << 63;
/// A node that is back gets less than its share for this long: Node.js has to compile its code first.
const WARM_UP: Duration = Duration::from_secs(20);
/// Its minimum share, in thousandths.
const MIN_SHARE: u64 = 100;
/// No warm-up.
const WARM: u64 = 0;

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum NodeState {
    /// It responds.
    Healthy = 0,
    /// It responds 503: NocoBase is starting.
    Starting = 1,
    /// It responds, but not as a health check should.
    Unhealthy = 2,
    /// It does not respond.
    Unreachable = 3,
}

impl NodeState {
    /// Stable name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            NodeState::Healthy => "ok",
            NodeState::Starting => "starting",
            NodeState::Unhealthy => "unhealthy",
            NodeState::Unreachable => "unreachable",
        }
    }

    /// What is wrong, and what an operator can do about it.
    pub(crate) fn problem(self) -> Message {
        let (first, second) = match self {
            NodeState::Healthy => return Message::default(),
            NodeState::Starting => {
                (message!("is starting or stopping (HTTP 503)"), message!("wait, and check again"))
            }
            NodeState::Unhealthy => (
                message!("answers, but not as NocoBase's health check does"),
                message!(
                    "upstream.nodes must lead to NocoBase itself, and nocobase.public_path must be its APP_PUBLIC_PATH"
                ),
            ),
            NodeState::Unreachable => (
                message!("does not answer"),
                message!("start NocoBase; correct upstream.nodes; check the firewall"),
            ),
        };
        message!("{first}; {second}", first, second)
    }
}

/// One node of NocoBase.
pub(crate) struct Node {
    /// As configured.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    upload: HttpPeer,
    tunnel: HttpPeer,
    /// Idle connections to it.
    pub(super) connections: Connections,
    /// Its request limit.
    pub limiter: Arc<NodeLimiter>,
    state: AtomicU8,
    /// Milliseconds; until then, other nodes are preferred.
    avoid_until: AtomicU64,
    /// Milliseconds: when it became healthy again, or [`WARM`].
    back_since: AtomicU64,
    turn: AtomicU32,
    /// What has been logged about its state.
    pub(super) outage: Mutex<Outage<NodeState>>,
}

impl Node {
    pub(super) fn new(
        name: String,
        address: SocketAddr,
        upstream: &config::Upstream,
        limiter: Arc<NodeLimiter>,
    ) -> Node {
        let mut upload = HttpPeer::new(address, false, String::new());
        upload.options.connection_timeout = Some(upstream.connect_timeout);
        upload.options.total_connection_timeout = Some(upstream.connect_timeout);
        upload.options.read_timeout = Some(upstream.read_timeout);
        upload.options.write_timeout = Some(upstream.read_timeout);
        upload.options.tcp_keepalive = Some(lost_peers::keepalive());
        let mut tunnel = upload.clone();
        tunnel.group_key = TUNNEL_GROUP;
        // Silence is normal in a tunnel; TCP keep-alive detects when the peer is gone.
        tunnel.options.read_timeout = None;
        tunnel.options.write_timeout = None;
        Node {
            name,
            address,
            upload,
            tunnel,
            connections: Connections::default(),
            limiter,
            state: AtomicU8::new(NodeState::Healthy as u8),
            avoid_until: AtomicU64::new(0),
            back_since: AtomicU64::new(WARM),
            turn: AtomicU32::new(0),
            outage: Mutex::new(Outage::new()),
        }
    }

    pub(super) fn peer(&self, tunnel: bool) -> HttpPeer {
        if tunnel { self.tunnel.clone() } else { self.upload.clone() }
    }

    /// As of the last health check. A node is considered healthy until one has failed.
    pub(crate) fn state(&self) -> NodeState {
        match self.state.load(Ordering::Relaxed) {
            1 => NodeState::Starting,
            2 => NodeState::Unhealthy,
            3 => NodeState::Unreachable,
            _ => NodeState::Healthy,
        }
    }

    /// Stores the result of a health check. A node that is back warms up; `now` is the time since the start. Returns the previous
    /// state.
    pub(super) fn found(&self, state: NodeState, now: Duration) -> NodeState {
        let before = self.state();
        self.state.store(state as u8, Ordering::Relaxed);
        if state == NodeState::Healthy {
            self.avoid_until.store(0, Ordering::Relaxed);
            if before != NodeState::Healthy {
                self.back_since.store(millis(now).max(1), Ordering::Relaxed);
            }
        }
        before
    }

    /// This is the same node after a change of the configuration; if it is not healthy, others are preferred until `then`.
    pub(super) fn inherit_state(&self, before: &Node, then: Duration) {
        self.state.store(before.state() as u8, Ordering::Relaxed);
        self.back_since.store(before.back_since.load(Ordering::Relaxed), Ordering::Relaxed);
        self.avoid_until.store(before.avoid_until.load(Ordering::Relaxed), Ordering::Relaxed);
        self.outage.lock().clone_from(&before.outage.lock());
        if before.state() != NodeState::Healthy {
            self.avoid_until(then);
        }
    }

    pub(super) fn avoid_until(&self, when: Duration) {
        self.avoid_until.store(millis(when), Ordering::Relaxed);
    }

    /// Is it this node's turn, although it may be warming up, or was unavailable a moment ago?
    pub(super) fn takes(&self, now: Duration) -> bool {
        let now = millis(now);
        if now < self.avoid_until.load(Ordering::Relaxed) {
            return false;
        }
        let back = self.back_since.load(Ordering::Relaxed);
        if back == WARM {
            return true;
        }
        let share = (now.saturating_sub(back).saturating_mul(1000) / millis(WARM_UP)).max(MIN_SHARE);
        if share >= 1000 {
            self.back_since.store(WARM, Ordering::Relaxed);
            return true;
        }
        // Takes `share` of a thousand turns, evenly spread.
        let turn = u64::from(self.turn.fetch_add(1, Ordering::Relaxed));
        (turn + 1) * share / 1000 != turn * share / 1000
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
