//! Time limits for a client: for its request, for its response, between two requests.

use std::time::Duration;

use bytes::Bytes;
use http::Version;
use pingora::prelude::*;

use crate::proxy::connection;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;

/// Time for the rest of a request that Pingora still has to read before a connection can be reused.
const DRAIN: Duration = Duration::from_secs(5);
/// Minimum rate of a request body, once `limits.body_timeout` has passed. Slower than any real line, but enough against a
/// trickle.
const MIN_BYTES_PER_SECOND: u64 = 500;

/// Sets the limits for a request whose head has been read.
pub(super) fn set(session: &mut Session, gate: &Gate) {
    // Only if Pingora intends to keep the connection: it does not after messages that make the connection unusable, and during a
    // shutdown.
    if session.get_keepalive().is_some() {
        session.set_keepalive(Some(gate.config.limits.keepalive_timeout.as_secs()));
    }
    if connection::is_pipelined(session) || gate.is_stopping() {
        session.set_keepalive(None);
    }
    let body_timeout = gate.config.limits.body_timeout;
    session.set_read_timeout(Some(body_timeout));
    // Pingora has no default: a client that requests much and reads nothing would hold a NocoBase connection for ever.
    session.set_write_timeout(Some(body_timeout));
    session.set_total_drain_timeout(Some(DRAIN));
    // HTTP/1.0 clients do not know informational responses (RFC 9110, 15.2).
    let old = session.req_header().version < Version::HTTP_11;
    session.set_ignore_info_resp(old);
}

/// Counts a piece of a request's body.
///
/// # Errors
/// The body is longer than `limits.body_bytes`, or too slow.
pub(super) fn count_body(body: Option<&Bytes>, end: bool, gate: &Gate, ctx: &mut Context) -> Result<()> {
    let limits = &gate.config.limits;
    if let Some(piece) = body {
        ctx.body_in += piece.len() as u64;
        if limits.body_bytes.is_some_and(|limit| ctx.body_in > limit) {
            return Error::e_explain(HTTPStatus(413), "request body over limits.body_bytes");
        }
    }
    check_speed(ctx.body_in, end, gate, ctx)
}

/// Checks the speed of a request's body, of which this many bytes have arrived.
///
/// # Errors
/// It is too slow.
pub(super) fn check_speed(bytes: u64, end: bool, gate: &Gate, ctx: &Context) -> Result<()> {
    if !end && is_too_slow(bytes, ctx.started.elapsed(), gate.config.limits.body_timeout) {
        return Err(Error::explain(ReadTimedout, "request body slower than a trickle").into_down());
    }
    Ok(())
}

/// Is a body too slow? On HTTP/1.1 a pause ends it; but a byte now and then would hold NocoBase's connection for ever, and on
/// HTTP/2 each of a hundred streams could do so.
fn is_too_slow(body: u64, after: Duration, body_timeout: Duration) -> bool {
    after > body_timeout.saturating_add(Duration::from_secs(body / MIN_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests;
