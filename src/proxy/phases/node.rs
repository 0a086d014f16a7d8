//! The node that a request is sent to, and how long its response is awaited.

use std::future::Future;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use pingora::prelude::*;
use pingora::protocols::Digest;
use pingora::upstreams::peer::HttpPeer;

use super::errors::NO_PLACE;
use super::place;
use crate::proxy::connection;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::upstream::tunnel;

/// Longest silence of a node that has a request which changes something.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);

/// Chooses a node that this request has not tried, and takes a place there.
///
/// # Errors
/// There is none, its request limit is reached, no descriptor is left, or the client has disconnected.
pub(super) async fn choose(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<usize> {
    // The permit of the previous node.
    ctx.permit = None;
    place::await_body(gate, session, ctx).await?;
    let Some(node) = gate.upstreams.pick(&mut ctx.attempted_nodes) else {
        return Error::e_explain(ConnectError, "no node");
    };
    let Some(limiter) = gate.upstreams.limiter(node) else {
        return Error::e_explain(ConnectError, "no node");
    };
    place::take(limiter, session, ctx).await?;
    // Not earlier: a waiting request needs no descriptor.
    if ctx.place.is_none() {
        ctx.place = gate.places.take();
        if ctx.place.is_none() {
            return Error::e_explain(NO_PLACE, "all descriptors for NocoBase are in use");
        }
    }
    ctx.sent_at.get_or_insert_with(Instant::now);
    ctx.node = Some(node);
    Ok(node)
}

/// How Pingora connects to this node.
///
/// # Errors
/// There is no such node.
pub(super) fn peer(gate: &Gate, session: &Session, ctx: &mut Context, node: usize) -> Result<Box<HttpPeer>> {
    let is_tunnel = session.is_upgrade_req();
    let (Some(mut peer), Some(limiter)) =
        (gate.upstreams.peer(node, is_tunnel), gate.upstreams.limiter(node))
    else {
        return Error::e_explain(ConnectError, "no node");
    };
    if is_tunnel {
        let node_end = tunnel::NodeEnd::default();
        ctx.node_end = Some(node_end.clone());
        peer.options.custom_l4 = Some(Arc::new(tunnel::Connect {
            running: gate.upstreams.is_verified(node),
            timeout: gate.config.upstream.connect_timeout,
            session: ctx.stream.as_ref().map(|s| s.stream().clone()),
            close: ctx.tunnel_close().subscribe(),
            stopping: gate.tunnels_end.subscribe(),
            node: limiter.clone(),
            node_end,
        }));
    }
    Ok(Box::new(peer))
}

/// Completes when the response of the node that this request has been sent to is not to be awaited any more.
pub(super) fn until_hung(gate: &Gate, session: &Session, ctx: &Context) -> impl Future<Output = ()> + use<> {
    let limiter = ctx.node.and_then(|node| gate.upstreams.limiter(node));
    let patience = patience_with_silence(&session.req_header().method);
    let hangs = limiter.map(|limiter| limiter.until_silent(patience));
    async move {
        match hangs {
            Some(hangs) => hangs.await,
            None => std::future::pending().await,
        }
    }
}

/// Pingora is about to send the request over this connection. If the node hangs, its response is not awaited any more.
pub(super) fn sent(gate: &Gate, session: &Session, ctx: &Context, fd: RawFd, connection: Option<&Digest>) {
    let limiter = ctx.node.and_then(|node| gate.upstreams.limiter(node));
    if let Some(limiter) = limiter {
        let patience = patience_with_silence(&session.req_header().method);
        connection::expect_response(fd, connection, limiter.until_silent(patience));
    }
}

/// Has the wait for a response been ended because the node hangs?
pub(super) fn is_hung(gate: &Gate, session: &Session, ctx: &Context) -> bool {
    let limiter = ctx.node.and_then(|node| gate.upstreams.limiter(node));
    let patience = Some(patience_with_silence(&session.req_header().method));
    ctx.answered_at.is_none() && limiter.is_some_and(|limiter| limiter.silent_for() >= patience)
}

/// How long health checks may find the node silent before a request is given up. Without its response, it is unknown whether a request that
/// changes something has been done: a NocoBase that was only busy for some seconds gets the time to respond.
fn patience_with_silence(method: &Method) -> Duration {
    if method.is_safe() { Duration::ZERO } else { WRITE_PATIENCE }
}
