//! How long a client may take: for its request, for its response, between two requests.

use std::time::Duration;

use bytes::Bytes;
use http::Version;
use pingora::prelude::*;

use crate::proxy::connection;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;

/// Time for the rest of a request that Pingora still has to read before a connection can be used again.
const DRAIN: Duration = Duration::from_secs(5);
/// Of a request's body, once `limits.body_timeout` has passed. Slower than any line, faster than any trickle.
const LEAST_BYTES_PER_SECOND: u64 = 500;

/// Sets the limits of a request whose head has been read.
pub(super) fn set(session: &mut Session, gate: &Gate) {
    // Only where Pingora means to keep the connection: it has switched that off for messages after which
    // nothing on the connection can be trusted, and for a shutdown.
    if session.get_keepalive().is_some() {
        session.set_keepalive(Some(gate.config.limits.keepalive_timeout.as_secs()));
    }
    if connection::is_pipelined(session) {
        session.set_keepalive(None);
    }
    let body_timeout = gate.config.limits.body_timeout;
    session.set_read_timeout(Some(body_timeout));
    // Pingora has none: a client that requests much and reads nothing would hold a NocoBase connection for ever.
    session.set_write_timeout(Some(body_timeout));
    session.set_total_drain_timeout(Some(DRAIN));
    // A client of HTTP/1.0 knows no informational responses (RFC 9110, 15.2).
    let old = session.req_header().version < Version::HTTP_11;
    session.set_ignore_info_resp(old);
}

/// Counts a piece of a request's body.
///
/// # Errors
/// It is longer than `limits.body_bytes`, or only trickles.
pub(super) fn count_body(body: Option<&Bytes>, end: bool, gate: &Gate, ctx: &mut Context) -> Result<()> {
    let limits = &gate.config.limits;
    if let Some(piece) = body {
        ctx.body_in += piece.len() as u64;
        if limits.body_bytes.is_some_and(|limit| ctx.body_in > limit) {
            return Error::e_explain(HTTPStatus(413), "request body over limits.body_bytes");
        }
    }
    if !end && is_too_slow(ctx.body_in, ctx.started.elapsed(), limits.body_timeout) {
        return Err(Error::explain(ReadTimedout, "request body slower than a trickle").into_down());
    }
    Ok(())
}

/// Does a body only trickle? Silence ends one on HTTP/1.1; a byte now and then would hold NocoBase's connection for ever,
/// and on HTTP/2 each of a hundred streams could.
fn is_too_slow(body: u64, after: Duration, body_timeout: Duration) -> bool {
    after > body_timeout.saturating_add(Duration::from_secs(body / LEAST_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests;
