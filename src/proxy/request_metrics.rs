//! What a request adds to the metrics. Every count is an atomic addition to a counter that was looked up at the start.

use std::time::{Duration, Instant};

use pingora::prelude::Error;
use pingora::proxy::Session as HttpSession;

use super::context::Context;
use super::gate::Gate;
use crate::metrics::{Node, RequestOutcome, RequestRecord};

/// The head of NocoBase's response arrived.
pub(super) fn answered(gate: &Gate, path: &str, status: u16, ctx: &mut Context) {
    if ctx.answered_at.is_some() || (status < 200 && status != 101) {
        return;
    }
    let now = Instant::now();
    ctx.answered_at = Some(now);
    if let (Some(node), Some(handed)) = (node(gate, ctx), ctx.sent_at) {
        node.answered(status, now.saturating_duration_since(handed));
    }
    if let Some(permit) = ctx.permit.take() {
        permit.responded(path);
    }
    if status == 101 {
        ctx.tunnel = Some(gate.metrics.requests.tunnel());
    }
}

/// A node could not be reached, or closed the connection before its response.
pub(super) fn upstream_failed(gate: &Gate, ctx: &Context) {
    if let Some(node) = node(gate, ctx).filter(|_| ctx.answered_at.is_none()) {
        node.upstream_failed();
    }
}

/// The request has ended.
pub(super) fn done(gate: &Gate, downstream: &HttpSession, error: Option<&Error>, ctx: &mut Context) {
    let now = Instant::now();
    let status = downstream.response_written().map_or(0, |r| r.status.as_u16());
    gate.metrics.requests.record(&RequestRecord {
        outcome: outcome(error.is_some(), ctx),
        status,
        failure: ctx.failure,
        total: now.saturating_duration_since(ctx.started),
        own: own(now, ctx),
        tunnel: ctx.tunnel.take().is_some(),
        bytes_in: downstream.body_bytes_read() as u64,
        bytes_out: downstream.body_bytes_sent() as u64,
    });
}

/// The request was cancelled because its session had ended.
pub(super) fn cut_off(gate: &Gate, ctx: &mut Context) {
    without_pingora(gate, RequestOutcome::Aborted, ctx);
}

/// A WebSocket or an event stream that went on without Pingora has ended; whether with an error.
pub(super) fn done_without_pingora(gate: &Gate, is_error: bool, ctx: &mut Context) {
    without_pingora(gate, outcome(is_error, ctx), ctx);
}

fn outcome(is_error: bool, ctx: &Context) -> RequestOutcome {
    match ctx.failure {
        Some(failure) if failure.response().status >= 500 => RequestOutcome::Failed,
        Some(_) => RequestOutcome::Refused,
        None if is_error && ctx.tunnel.is_none() => RequestOutcome::Aborted,
        None if ctx.answered_at.is_some() => RequestOutcome::NocoBase,
        None => RequestOutcome::Gate,
    }
}

fn without_pingora(gate: &Gate, outcome: RequestOutcome, ctx: &mut Context) {
    let now = Instant::now();
    gate.metrics.requests.record(&RequestRecord {
        outcome,
        status: ctx.status,
        failure: ctx.failure,
        total: now.saturating_duration_since(ctx.started),
        own: own(now, ctx),
        tunnel: ctx.tunnel.take().is_some(),
        bytes_in: ctx.body_in,
        bytes_out: ctx.body_out,
    });
}

/// Time until the request was sent to NocoBase, without the time that the client took for its body.
fn own(now: Instant, ctx: &Context) -> Duration {
    ctx.sent_at.unwrap_or(now).saturating_duration_since(ctx.started).saturating_sub(ctx.body_took)
}

/// The node that handles the request.
fn node<'a>(gate: &'a Gate, ctx: &Context) -> Option<&'a Node> {
    gate.nodes.get(ctx.node?)
}
