//! Requests of users who signed in with NocoBase's own form, and of programs with a NocoBase token: what that session means for
//! the request and its response.

use std::sync::Arc;

use http::HeaderValue;
use pingora::http::RequestHeader;
use tokio::sync::watch;

use super::context::{Context, PasswordPending};
use super::gate::Gate;
use super::request::credential;
use super::rewrite::token_swapper::Swapper;
use super::rewrite::websocket_frames::NOT_ALLOWED;
use crate::decide::{Credential, ForwardOptions, Request};
use crate::login::{FoundPasswordSession, Sessions};
use crate::session::PasswordSignIn;

/// A request without a member's session is forwarded to NocoBase. `cookies`: its `Cookie` headers.
pub(super) fn forwarded(
    gate: &Gate,
    request: &RequestHeader,
    ctx: &mut Context,
    (facts, options): (&Request<'_>, ForwardOptions),
    found: Option<FoundPasswordSession>,
    cookies: Vec<HeaderValue>,
) {
    let sessions = &gate.sessions;
    let token = credential::bearer(request).filter(|_| facts.credential == Credential::OwnToken);
    let sign_in = token.and_then(|token| sessions.password_sign_in(token));
    if options.signs_out
        && let (Some(token), Some(sign_in)) = (token, &sign_in)
    {
        sessions.password_signs_out(sign_in, &ctx.source());
        ctx.password = Some(PasswordPending::SignsOut(token.to_owned()).into());
        return;
    }
    // The page may hold the token of another sign-in.
    let (same, other) = match (found, &sign_in) {
        (Some(found), Some(sign_in)) if found.own.session.sid != sign_in.sid() => (None, Some(found)),
        (found, _) => (found, None),
    };
    if let Some(found) = &same {
        if options.renew_cookie {
            ctx.cookies.extend(sessions.renew_password(found, sign_in.as_ref().map(|s| s.jti.as_str())));
        }
        sessions.recheck_if_due(&found.own.session, &found.seen);
        let session = found.own.session.clone().into();
        ctx.stream = Some(sessions.attach(&session, &found.seen, cookies));
    } else if options.opens_password
        && let Some(sign_in) = sign_in
    {
        ctx.password = Some(PasswordPending::Opens(sign_in, other.map(|found| found.own)).into());
    }
    if options.own_tokens || facts.upgrade && facts.own_cookie {
        // The session with which it ends already.
        own_tunnel(gate, ctx, same.map(|found| found.own.session.sid));
    }
}

/// A request is forwarded on the strength of its own token, or of the one in NocoBase's cookie. If the token belongs to a session
/// that this node knows, the request ends with that session, for any kind of client (R32, R35); in a WebSocket, that applies to
/// each token sent in it.
pub(super) fn forwarded_with_token(
    gate: &Gate,
    request: &RequestHeader,
    ctx: &mut Context,
    facts: &Request<'_>,
) {
    if ctx.stream.is_none() {
        let token = match facts.credential {
            Credential::OwnToken => credential::bearer(request).map(str::to_owned),
            Credential::None => credential::own_token(gate, request),
            Credential::ApiToken | Credential::Phantom | Credential::Invalid => None,
        };
        if let Some((session, seen)) = token.and_then(|token| gate.sessions.of_token(&token)) {
            ctx.stream = Some(gate.sessions.attach(&session, &seen, Vec::new()));
        }
    }
    if facts.upgrade && ctx.swapper.is_none() {
        own_tunnel(gate, ctx, None);
    }
}

/// In this WebSocket the same tokens pass as over HTTP, and it ends with the session of each of them. `known`: a session with
/// which it ends already.
fn own_tunnel(gate: &Gate, ctx: &mut Context, mut known: Option<uuid::Uuid>) {
    let (sessions, close) = (gate.sessions.clone(), ctx.tunnel_close().clone());
    let swap = credential::own_tokens_only(gate, move |sign_in| {
        if known.replace(sign_in.sid()) != Some(sign_in.sid()) {
            end_with(sessions.clone(), sign_in, close.clone());
        }
    });
    ctx.swapper = Some(Box::new(Swapper::new(swap)));
}

/// Adds the `Set-Cookie` of a session that begins with this response.
pub(super) fn answered(gate: &Gate, status: u16, ctx: &mut Context) {
    if status == 200
        && let Some(PasswordPending::Opens(sign_in, before)) = ctx.password.as_deref()
    {
        ctx.cookies.extend(gate.sessions.open_password(sign_in, before.as_ref(), &ctx.source()));
    }
}

/// The request has ended. A sign-out that NocoBase has not processed is done in the background (R36).
pub(super) fn done(gate: &Gate, status: u16, ctx: &mut Context) {
    let Some(PasswordPending::SignsOut(token)) = ctx.password.take().map(|pending| *pending) else { return };
    if (200..300).contains(&status) {
        return gate.sessions.password_signed_out(&token);
    }
    let (sessions, source) = (gate.sessions.clone(), ctx.source());
    tokio::spawn(async move { sessions.end_own(&token, &source).await });
}

/// Ends a WebSocket with the session of a user who signed in while it was open.
fn end_with(sessions: Arc<Sessions>, sign_in: PasswordSignIn, close: watch::Sender<Option<&'static [u8]>>) {
    tokio::spawn(async move {
        tokio::select! {
            () = sessions.until_password_ends(&sign_in) => {
                close.send_if_modified(|frame| frame.replace(NOT_ALLOWED).is_none());
            }
            () = close.closed() => {}
        }
    });
}
