//! One line per request: who, what, how it ended, how long it took. Never a query, a cookie or a token (R27).

use pingora::prelude::Error;
use pingora::proxy::Session as Exchange;

use super::ctx::Ctx;
use super::gate::Gate;
use super::phases::elapsed_ms;

/// Writes the line, where `log.access_log` is on.
pub fn write(gate: &Gate, exchange: &Exchange, error: Option<&Error>, ctx: &Ctx) {
    if !gate.config.log.access_log {
        return;
    }
    let request = exchange.req_header();
    let status = exchange.response_written().map_or(0, |r| r.status.as_u16());
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
        bytes_in = exchange.body_bytes_read(),
        bytes_out = exchange.body_bytes_sent(),
        userid = ctx.member.as_ref().map_or("", |m| m.session.userid.as_str()),
        node,
        label = ctx.failure.map_or("", |f| f.response().label),
        error = error.map_or("", |e| e.etype().as_str()),
    );
}

/// Milliseconds until NocoBase's head was there; absent where it had no part.
fn upstream_ms(ctx: &Ctx) -> Option<f64> {
    Some(ctx.answered?.saturating_duration_since(ctx.handed?).as_secs_f64() * 1000.0)
}
