//! NocoBase's response on its way to the client. It is read by `exchange`, or by Pingora.

use bytes::Bytes;
use http::{Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::*;
use pingora::proxy::Session;

use super::{errors, retry, upgrade};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::{connection, forward, request_metrics};

/// Changes the head of a response.
///
/// # Errors
/// It must not be passed on: the request is repeated, or fails.
pub(super) fn head(
    gate: &Gate,
    session: &mut Session,
    response: &mut ResponseHeader,
    ctx: &mut Context,
) -> Result<()> {
    request_metrics::answered(gate, session.req_header().uri.path(), response.status.as_u16(), ctx);
    // Bytes that the client sends after an upgrade that did not happen were meant for a tunnel: they are not a request (R31).
    if session.is_upgrade_req() && response.status != 101 {
        session.set_keepalive(None);
    }
    retry::after_head(gate, session, response, ctx)?;
    if response.status == 101 && !upgrade::is_asked_for(session, response) {
        return Err(Error::explain(errors::BAD_ANSWER, "101 without a matching Upgrade").into_up());
    }
    ctx.status = response.status.as_u16();
    forward::response::head(gate, session, response, ctx)?;
    if response.status == 101 {
        upgrade::hand_over(session, ctx);
        return Ok(());
    }
    // A body without length or chunks ends with the connection. A request may have begun before the gate stops.
    if gate.is_stopping()
        || connection::is_pipelined(session)
        || session.req_header().version < Version::HTTP_11
            && !response.headers.contains_key(header::CONTENT_LENGTH)
    {
        session.set_keepalive(None);
    }
    Ok(())
}

/// Changes a piece of a response's body.
///
/// # Errors
/// It cannot be changed as it has to be.
pub(super) fn piece(
    gate: &Gate,
    session: &Session,
    body: &mut Option<Bytes>,
    end: bool,
    ctx: &mut Context,
) -> Result<()> {
    ctx.body_out += body.as_ref().map_or(0, |b| b.len() as u64);
    forward::response::body(gate, session, body, end, ctx)
}
