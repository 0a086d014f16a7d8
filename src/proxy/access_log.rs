//! One line per request: client, request, result, duration. Never a query, a cookie or a token (R27).

use std::time::Instant;

use pingora::prelude::Error;
use pingora::proxy::Session as HttpSession;

use super::context::Context;
use super::gate::Gate;

/// Writes the line, if `log.access_log` is on.
pub(super) fn write(gate: &Gate, downstream: &HttpSession, error: Option<&Error>, ctx: &Context) {
    if !gate.config.log.access_log {
        return;
    }
    let request = downstream.req_header();
    let status = downstream.response_written().map_or(0, |r| r.status.as_u16());
    let node = ctx.node.map_or("", |node| gate.upstreams.name(node));
    tracing::info!(
        target: "wecom_gate::access",
        event = "request",
        request_id = ctx.request_id.to_str().unwrap_or_default(),
        client = %ctx.client,
        method = request.method.as_str(),
        path = request.uri.path(),
        status,
        ms = elapsed_ms(ctx.started),
        upstream_ms = upstream_ms(ctx),
        bytes_in = downstream.body_bytes_read(),
        bytes_out = downstream.body_bytes_sent(),
        userid = ctx.member.as_ref().map_or("", |m| m.session.userid.as_str()),
        node,
        label = ctx.failure.map_or("", |f| f.response().label),
        error = error.map_or("", |e| e.etype().as_str()),
    );
}

/// The same for a request that was cancelled because its session had ended: Pingora has dropped it.
pub(super) fn cut_off(gate: &Gate, ctx: &Context) {
    without_pingora(gate, ctx, "SessionEnded");
}

/// The same for a request that Pingora does not have any more. `error`: why it ended; empty if it was completed.
pub(super) fn without_pingora(gate: &Gate, ctx: &Context, error: &str) {
    let Some((method, uri)) = ctx.target.as_ref().filter(|_| gate.config.log.access_log) else { return };
    tracing::info!(
        target: "wecom_gate::access",
        event = "request",
        request_id = ctx.request_id.to_str().unwrap_or_default(),
        client = %ctx.client,
        method = method.as_str(),
        path = uri.path(),
        status = ctx.status,
        ms = elapsed_ms(ctx.started),
        upstream_ms = upstream_ms(ctx),
        bytes_in = ctx.body_in,
        bytes_out = ctx.body_out,
        userid = ctx.member.as_ref().map_or("", |m| m.session.userid.as_str()),
        node = ctx.node.map_or("", |node| gate.upstreams.name(node)),
        label = ctx.failure.map_or("", |f| f.response().label),
        error,
    );
}

/// Milliseconds until the head of NocoBase's response arrived; absent if NocoBase was not involved.
fn upstream_ms(ctx: &Context) -> Option<f64> {
    Some(ctx.answered_at?.saturating_duration_since(ctx.sent_at?).as_secs_f64() * 1000.0)
}

/// Milliseconds since the request began.
fn elapsed_ms(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
