//! `/wecom-gate/auth`: lets another proxy ask who sent a request (`docs/forward-auth.md`).
//!
//! Must never: base a decision on what the proxy reports about that request (its path, its method: R3), or reveal NocoBase's
//! token to anything but an authenticated proxy.

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use super::request::RouteRequest;
use crate::decide::Credential;
use crate::error::Failure;
use crate::login::FoundSession;
use crate::proxy::gate::Gate;
use crate::proxy::headers;
use crate::proxy::member::Member;
use crate::proxy::request::{client, credential};
use crate::proxy::response::reply::Reply;
use crate::session;

/// Proves that the sender is the proxy, and not a script in a page behind it.
const SECRET: HeaderName = HeaderName::from_static("x-wecom-gate-secret");
/// `Cookie` for NocoBase: without the gate's own cookies, and without foreign tokens.
const COOKIE: HeaderName = HeaderName::from_static("x-wecom-gate-cookie");

/// 204 with the member, or 401 with the sign-in address. For a proxy with the secret, 204 also has the `Authorization` and
/// `Cookie` to send to NocoBase instead of the client's: the same that the gate itself would send.
pub(crate) async fn auth(
    gate: &Gate,
    downstream: &HttpSession,
    asked: &RouteRequest<'_>,
) -> Result<Reply, Failure> {
    let request = downstream.req_header();
    let (member, failure) = match gate.sessions.find(&asked.cookies).await {
        FoundSession::Active { session, seen } => {
            gate.sessions.recheck_if_due(&session, &seen);
            (Some(Member { session: session.into(), seen }), Failure::InvalidToken)
        }
        FoundSession::Nothing => (None, Failure::NoSession),
        FoundSession::Ended => (None, Failure::SessionEnded),
        FoundSession::Unknown(failure) => return Err(failure),
    };
    if !is_proxy(gate, downstream) {
        return Ok(with_identity(Reply::empty(204), &member.ok_or(failure)?));
    }
    let page_token = member.as_ref().map(|m| credential::page_token(gate, m));
    let (credential, in_query) = credential::credential(gate, request, page_token.as_ref(), member.as_ref());
    let mut reply = Reply::empty(204);
    match (credential, &member) {
        // The query belongs to this subrequest: a token in it is not the client's.
        (Credential::Phantom, Some(member)) if in_query.is_none() => {
            let token = gate.sessions.token(&member.session, &member.seen)?;
            reply.headers.push((header::AUTHORIZATION, token.bearer().clone()));
            reply = with_identity(reply, member);
        }
        (Credential::None | Credential::Phantom, Some(member)) => reply = with_identity(reply, member),
        (Credential::ApiToken, _) if gate.policy().api_keys => {
            reply.headers.extend(
                request.headers.get(header::AUTHORIZATION).map(|v| (header::AUTHORIZATION, v.clone())),
            );
        }
        _ => return Err(failure),
    }
    reply.headers.extend(cookies(gate, request, member.is_some())?.map(|value| (COOKIE, value)));
    leave_none_out(&mut reply);
    if let Some(member) = &member {
        reply.cookies.extend(gate.sessions.renew(&member.session));
    }
    Ok(reply)
}

/// Sets every header, even if empty: for a missing one, Caddy before 2.9 would send NocoBase the name of a placeholder, and later
/// versions the client's own value.
fn leave_none_out(reply: &mut Reply) {
    let identity = ["x-wecom-user", "x-wecom-corp", "x-wecom-entry", "x-wecom-name", "x-forwarded-user"];
    for name in [header::AUTHORIZATION, COOKIE].into_iter().chain(identity.map(HeaderName::from_static)) {
        if !reply.headers.iter().any(|(there, _)| *there == name) {
            reply.headers.push((name, HeaderValue::from_static("")));
        }
    }
}

/// Is this request from the proxy, according to its address and the secret?
fn is_proxy(gate: &Gate, downstream: &HttpSession) -> bool {
    let Some(secret) = &gate.config.access.forward_auth_secret else { return false };
    let mut shown = downstream.req_header().headers.get_all(SECRET).iter();
    let (first, more) = (shown.next(), shown.next());
    client::is_trusted_proxy(gate, downstream)
        && more.is_none()
        && first.is_some_and(|v| bool::from(v.as_bytes().ct_eq(secret.expose_secret().as_bytes())))
}

fn with_identity(mut reply: Reply, member: &Member) -> Reply {
    let session = &member.session;
    let who = headers::Identity {
        userid: &session.userid,
        corp_id: &session.corp_id,
        entry: &session.entry,
        name: &session.name,
        user_id: session.user_id,
    };
    reply.headers.extend(headers::identity_headers(&who));
    reply
}

fn cookies(gate: &Gate, request: &RequestHeader, in_session: bool) -> Result<Option<HeaderValue>, Failure> {
    let received: Vec<&[u8]> =
        request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let left =
        session::forwardable(gate.sessions.cookies.names(), received.iter().copied(), in_session, &[])?;
    left.map(|value| HeaderValue::try_from(value).map_err(|_| Failure::BadRequest)).transpose()
}
