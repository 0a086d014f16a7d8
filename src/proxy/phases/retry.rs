//! Which requests are repeated, on the same node or on another.

use pingora::http::ResponseHeader;
use pingora::prelude::*;

use super::errors::{BUSY, STALE_TOKEN, STARTING, is_lost};
use super::node;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::request_metrics;

fn is_another_node(gate: &Gate, ctx: &Context) -> bool {
    ctx.attempted_nodes.count() < gate.upstreams.len()
}

/// Without a connection nothing has been sent: the next node may get the request, whatever its method.
pub(super) fn after_no_connection(gate: &Gate, mut e: Box<Error>, ctx: &mut Context) -> Box<Error> {
    request_metrics::upstream_failed(gate, ctx);
    if let Some(permit) = ctx.permit.take() {
        permit.unused();
    }
    if let Some(node) = ctx.node {
        gate.upstreams.avoid(node);
    }
    e.set_retry(is_another_node(gate, ctx));
    e
}

/// After an error with NocoBase: marks whether the request is repeated.
pub(super) fn after_error(
    gate: &Gate,
    session: &Session,
    mut e: Box<Error>,
    ctx: &mut Context,
    client_reused: bool,
) -> Box<Error> {
    if *e.esource() == ErrorSource::Upstream {
        request_metrics::upstream_failed(gate, ctx);
    }
    let method = &session.req_header().method;
    let whole = !session.as_ref().retry_buffer_truncated() && session.response_written().is_none();
    if is_lost(&e) && node::is_hung(gate, session, ctx) {
        if let Some(permit) = ctx.permit.take() {
            permit.unused();
        }
        // It is unknown whether a request that changes something has been processed: the client is not told to retry.
        let kind = if method.is_safe() { BUSY } else { ReadTimedout };
        let mut e = Error::explain(kind, "the node hangs").into_up();
        e.set_retry(whole && method.is_safe() && is_another_node(gate, ctx));
        return e;
    }
    if whole && *e.etype() == STALE_TOKEN {
        // The same node may get it: it only needs another token.
        if let Some(node) = ctx.node {
            ctx.attempted_nodes.forget(node);
        }
        ctx.answered_at = None;
        e.set_retry(true);
        return e;
    }
    if whole && method.is_safe() && (*e.etype() == STARTING || is_lost(&e)) && is_another_node(gate, ctx) {
        ctx.answered_at = None;
        e.set_retry(true);
        return e;
    }
    if whole && method.is_idempotent() {
        e.retry.decide_reuse(client_reused);
    } else {
        e.set_retry(false);
    }
    if e.retry()
        && let Some(node) = ctx.node
    {
        // Only the pooled connection was stale.
        ctx.attempted_nodes.forget(node);
    }
    e
}

/// Whether this response may be forwarded to the client.
///
/// # Errors
/// Those after which the request is repeated: NocoBase refused a token that may have been too old, is starting, or is stopping.
pub(super) fn after_head(
    gate: &Gate,
    session: &Session,
    response: &ResponseHeader,
    ctx: &mut Context,
) -> Result<()> {
    if response.status == 401
        && !session.as_ref().retry_buffer_truncated()
        && ctx.may_ask_again(session.req_header())
    {
        if let Some(member) = &ctx.member {
            member.seen.drop_token();
        }
        ctx.refused_token_age = ctx.token_age;
        return Error::e_explain(STALE_TOKEN, "401");
    }
    let again = session.req_header().method.is_safe() && is_another_node(gate, ctx);
    if response.status == 503 && (ctx.page_load || again) {
        return Error::e_explain(STARTING, "503");
    }
    // While stopping, NocoBase responds with 500 for a moment, although its health check passes. Is the request the cause, or the
    // node?
    if response.status == 500
        && again
        && ctx.suspect_node.is_none()
        && gate.upstreams.is_another_healthy(ctx.attempted_nodes)
    {
        ctx.suspect_node = ctx.node;
        return Error::e_explain(STARTING, "500");
    }
    if let Some(node) = ctx.suspect_node.filter(|_| !response.status.is_server_error()) {
        gate.upstreams.avoid(node);
    }
    Ok(())
}
