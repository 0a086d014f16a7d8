//! WebSockets in Pingora's hooks: bytes from the client through a tunnel, whether the client asked for one, and whether it goes on
//! without Pingora.

use bytes::Bytes;
use http::header;
use pingora::http::ResponseHeader;
use pingora::prelude::*;

use super::errors::TUNNEL_ENDED;
use crate::proxy::connection;
use crate::proxy::context::Context;
use crate::proxy::rewrite::token_swapper::WsError;
use crate::proxy::rewrite::websocket_frames as frames;

/// Bytes from the browser into a tunnel: the token is replaced, and an ended session ends the tunnel.
pub(super) fn to_nocobase(body: &mut Option<Bytes>, ctx: &mut Context) -> Result<()> {
    if ctx.member_ended() {
        return Error::e_explain(TUNNEL_ENDED, "the session has ended");
    }
    if let (Some(piece), Some(swapper)) = (body.as_mut(), &mut ctx.swapper) {
        match swapper.push(std::mem::take(piece)) {
            Ok(bytes) => *piece = bytes,
            // Nothing more is sent to NocoBase (an empty piece is not sent), and `tunnel` sends the reason before it ends.
            Err(e) => {
                let frame =
                    if e == WsError::HiddenToken { frames::NOT_ALLOWED } else { frames::PROTOCOL_ERROR };
                ctx.tunnel_close().send_if_modified(|close| {
                    let first = close.is_none();
                    close.get_or_insert(frame);
                    first
                });
            }
        }
    }
    Ok(())
}

/// After this 101 the tunnel goes on without Pingora (`tunnel`), unless Pingora has read more than the request: then only Pingora
/// knows what the client has sent.
pub(super) fn hand_over(session: &Session, ctx: &mut Context) {
    let Some(node_end) = ctx.node_end.as_ref().filter(|end| end.is_held()) else { return };
    let head = session.as_http1().map(|h1| h1.get_headers_raw_bytes().len() as u64);
    let guard = connection::of(session).filter(|guard| head.is_some_and(|head| guard.received() <= head));
    if guard.is_some_and(connection::Guarded::hand_over) {
        let request = session.req_header();
        ctx.target = Some((request.method.clone(), request.uri.clone()));
    } else {
        node_end.release();
    }
}

/// Did the client ask for this upgrade (RFC 9110, 15.2.2)?
pub(super) fn is_asked_for(session: &Session, response: &ResponseHeader) -> bool {
    let mut protocols = response.headers.get_all(header::UPGRADE).iter();
    session.is_upgrade_req()
        && protocols.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none()
}
