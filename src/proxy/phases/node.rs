//! The node that a request goes to, and the wait for its permit.

use std::sync::Arc;
use std::time::Instant;

use pingora::prelude::*;
use pingora::upstreams::peer::HttpPeer;

use super::errors::{BUSY, NO_PLACE};
use crate::nocobase::{NodeLimiter, Permit, Turn};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::patience::{Gone, while_open};
use crate::proxy::upstream::tunnel;

/// Chooses a node that this request has not tried.
///
/// # Errors
/// There is none, its request limit is reached, no descriptor is left, or the client has disconnected.
pub(super) async fn choose(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    // The permit of the previous node.
    ctx.permit = None;
    let Some((node, mut peer)) = gate.upstreams.pick(&mut ctx.attempted_nodes, session.is_upgrade_req())
    else {
        return Error::e_explain(ConnectError, "no node");
    };
    if let Some(limiter) = gate.upstreams.limiter(node) {
        ctx.permit = Some(permit(limiter, session, ctx.turn()).await?);
    }
    // Not earlier: a waiting request needs no descriptor.
    if ctx.place.is_none() {
        ctx.place = gate.places.take();
        if ctx.place.is_none() {
            return Error::e_explain(NO_PLACE, "all descriptors for NocoBase are in use");
        }
    }
    ctx.sent_at.get_or_insert_with(Instant::now);
    ctx.node = Some(node);
    if session.is_upgrade_req() {
        peer.options.custom_l4 = Some(Arc::new(tunnel::Connect {
            running: gate.upstreams.is_verified(node),
            timeout: gate.config.upstream.connect_timeout,
            session: ctx.stream.as_ref().map(|s| s.stream().clone()),
            close: ctx.tunnel_close.subscribe(),
            stopping: gate.tunnels_end.subscribe(),
        }));
    }
    Ok(Box::new(peer))
}

/// A permit for a NocoBase node, at once or after a wait, as long as the client is there.
async fn permit(limiter: &Arc<NodeLimiter>, client: &mut Session, turn: Turn) -> Result<Permit> {
    match while_open(client, limiter.enter(turn)).await {
        Ok(Ok(permit)) => Ok(permit.sent()),
        Ok(Err(_)) => Error::e_explain(BUSY, "upstream.max_requests"),
        Err(Gone) => Err(Error::explain(ConnectionClosed, "while it waited for a place").into_down()),
    }
}
