//! Slots at NocoBase, and request bodies. A request gets its slot at NocoBase when its body has arrived, so that slow clients take
//! no capacity from others: a short body is read first; a long one is forwarded as it arrives, with a slot among the uploads, and
//! its end is held back until there is a slot at NocoBase.

use std::sync::Arc;
use std::time::Instant;

use http::header;
use pingora::http::RequestHeader;
use pingora::prelude::*;

use super::errors::BUSY;
use super::limits;
use crate::nocobase::{NodeLimiter, Permit, Turn};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::patience::{Gone, while_open};
use crate::proxy::request::framing;

/// Longest body that is read before the request is sent, in bytes: as much as Pingora keeps for a second attempt anyway.
const SHORT: u64 = 64 * 1024;

/// Waits for a short body; a long one gets a slot among the uploads.
///
/// # Errors
/// There is no slot, or the client sends its body too slowly, or has disconnected.
pub(super) async fn await_body(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<()> {
    if ctx.upload.is_some() || session.is_upgrade_req() || session.as_mut().is_body_done() {
        return Ok(());
    }
    if is_short(session.req_header()) {
        return Box::pin(read(gate, session, ctx)).await;
    }
    ctx.upload = gate.uploads.take(ctx.turn().who);
    match ctx.upload {
        Some(_) => Ok(()),
        None => Error::e_explain(BUSY, "uploads"),
    }
}

/// Takes a slot at NocoBase, unless the body is still arriving.
///
/// # Errors
/// There is no slot, or the client has disconnected.
pub(super) async fn take(limiter: &Arc<NodeLimiter>, session: &mut Session, ctx: &mut Context) -> Result<()> {
    if ctx.upload.is_none() {
        ctx.permit = Some(permit(limiter, session, ctx.turn()).await?);
    } else if limiter.is_away() {
        return Error::e_explain(BUSY, "the node hangs");
    }
    Ok(())
}

/// The end of a body is about to be sent: from now on the request needs a slot at NocoBase.
///
/// # Errors
/// There is no slot, or the client has disconnected.
pub(super) async fn take_at_end(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<()> {
    // NocoBase may respond before it has the whole body.
    if ctx.upload.is_none() || ctx.answered_at.is_some() {
        return Ok(());
    }
    if let Some(limiter) = ctx.node.and_then(|node| gate.upstreams.limiter(node)) {
        ctx.permit = Some(Box::pin(permit(limiter, session, ctx.turn())).await?);
    }
    ctx.upload = None;
    Ok(())
}

/// A slot at NocoBase, at once or after a wait, unless the client disconnects.
async fn permit(limiter: &Arc<NodeLimiter>, client: &mut Session, turn: Turn) -> Result<Permit> {
    match while_open(client, limiter.enter(turn)).await {
        Ok(Ok(permit)) => Ok(permit.sent()),
        Ok(Err(_)) => Error::e_explain(BUSY, "upstream.max_requests"),
        Err(Gone) => Err(Error::explain(ConnectionClosed, "while it waited for a place").into_down()),
    }
}

/// Is its body short, and sent without `Expect: 100-continue`?
pub(super) fn is_short(request: &RequestHeader) -> bool {
    framing::content_length(request).is_some_and(|length| length <= SHORT)
        && !request.headers.contains_key(header::EXPECT)
}

/// Reads the whole body; Pingora keeps it, and sends it when there is a connection to NocoBase.
async fn read(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<()> {
    let began = Instant::now();
    let (client, patience) = (session.as_mut(), gate.config.limits.body_timeout);
    client.enable_retry_buffering();
    let mut length = 0;
    while !client.is_body_done() {
        let piece = tokio::time::timeout(patience, client.read_request_body()).await;
        let piece = piece.map_err(|_| Error::explain(ReadTimedout, "request body").into_down())?;
        let Some(piece) = piece.map_err(|e| e.into_down())? else { break };
        length += piece.len() as u64;
        limits::check_speed(length, client.is_body_done(), gate, ctx)?;
    }
    ctx.body_took = began.elapsed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_body_is_one_that_pingora_can_keep() {
        let is_short_with = |name: &'static str, value: &str| {
            let mut request = RequestHeader::build("POST", b"/api/x", None).unwrap();
            request.insert_header("Content-Length", "7").unwrap();
            request.insert_header(name, value).unwrap();
            is_short(&request)
        };
        assert!(is_short_with("Content-Length", "65536"));
        assert!(!is_short_with("Content-Length", "65537"));
        assert!(!is_short_with("Expect", "100-continue"));
        assert!(!is_short(&RequestHeader::build("POST", b"/api/x", None).unwrap()), "chunked");
    }
}
