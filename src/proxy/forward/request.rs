//! The request as NocoBase gets it: protected headers removed and set, the phantom replaced by the token, cookies without the
//! gate's own.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version, header};
use pingora::http::RequestHeader;
use pingora::prelude::*;
use pingora::proxy::Session as HttpSession;

use crate::decide;
use crate::proxy::address;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::headers::{self, Identity as Who};
use crate::session;

/// Builds the head for NocoBase; called for every attempt.
///
/// Works on plain parts: Pingora's own type also stores the case of every header name, and each change of a header there costs
/// several allocations. NocoBase gets names in lower case, as from any HTTP/2 client, and the target that was decided on (R1).
///
/// # Errors
/// `Connection` names what it must not, or a token cannot be made.
pub(crate) fn build(gate: &Gate, downstream: &HttpSession, ctx: &mut Context) -> Result<RequestHeader> {
    let request: &Parts = downstream.req_header();
    let mut request = request.clone();
    request.version = Version::HTTP_11;
    if headers::strip_hop_by_hop_of_request(&mut request.headers).is_err() {
        return Err(Error::explain(InvalidHTTPHeader, "names in Connection").into_down());
    }
    change(gate, downstream, &mut request, ctx)?;
    Ok(RequestHeader::from(request))
}

/// The same for a request that Pingora forwards. Runs after its removal of hop-by-hop headers.
pub(crate) fn prepare(
    gate: &Gate,
    downstream: &HttpSession,
    request: &mut RequestHeader,
    ctx: &mut Context,
) -> Result<()> {
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(request, nothing));
    let done = change(gate, downstream, &mut parts, ctx);
    if !downstream.is_upgrade_req() {
        // An upload: its connection is not kept, see `upstream::connections`.
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    *request = RequestHeader::from(parts);
    done
}

fn change(gate: &Gate, downstream: &HttpSession, request: &mut Parts, ctx: &mut Context) -> Result<()> {
    headers::strip_protected(&mut request.headers);
    // Pingora does not forward trailers.
    request.headers.remove(header::TRAILER);
    headers::set_forwarding(
        &mut request.headers,
        &gate.origin,
        address::header_value(ctx.client).or_err(InternalError, "address")?,
        ctx.request_id.clone(),
    );
    // There are always options: nothing reaches this phase without them. If there were none, nothing would be added, and NocoBase
    // would see an anonymous request.
    let member = ctx.member.as_deref();
    let as_member = ctx.forward.is_some_and(|p| p.identity == decide::Identity::Member);
    let put_cookies = ctx.forward.is_some_and(|p| p.put_cookies);
    let strip_credentials = ctx.forward.is_some_and(|p| p.strip_credentials);
    if strip_credentials {
        request.headers.remove(header::AUTHORIZATION);
    }

    let now = crate::login::now();
    let token = match member {
        Some(member) if ctx.signs_out() => Some(gate.sessions.sign_out_token(&member.session).map(Arc::new)),
        Some(member) if as_member => Some(gate.sessions.token_at(now, &member.session, &member.seen)),
        _ => None,
    };
    let token = token.transpose().or_err(InternalError, "token")?;
    ctx.token_age = token.as_ref().map(|token| now.since(token.minted_at()));
    if let Some(token) = &token
        && request.headers.contains_key(header::AUTHORIZATION)
    {
        request.headers.insert(header::AUTHORIZATION, token.bearer().clone());
    }
    let extra = token.as_ref().filter(|_| put_cookies).map(|token| token.cookies());
    let extra = extra.as_ref().map_or(&[][..], |pieces| pieces.as_slice());
    rewrite_cookies(gate, &mut request.headers, member.is_some() || strip_credentials, extra)?;

    if let Some(query) = &ctx.query {
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("{}{mark}{query}", request.uri.path());
        request.uri = target.parse().or_err(InternalError, "target")?;
    }
    if let Some(member) = member.filter(|_| ctx.forward.is_some_and(|f| f.identity_allowed))
        && gate.config.nocobase.identity_headers
    {
        let s = &member.session;
        let who = Who {
            userid: &s.userid,
            corp_id: &s.corp_id,
            entry: &s.entry,
            name: &s.name,
            user_id: s.user_id,
        };
        headers::set_identity(&mut request.headers, &who);
    }
    if ctx.page_load && ctx.forward.is_some_and(|p| p.put_script) {
        // The page will be changed: it must be complete, uncompressed and current.
        request.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for name in [
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_MATCH,
            header::IF_UNMODIFIED_SINCE,
            header::IF_RANGE,
            header::RANGE,
        ] {
            request.headers.remove(name);
        }
    }
    if downstream.is_upgrade_req() {
        // Compressed frames could not be parsed.
        request.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    }
    Ok(())
}

/// `Cookie` without the gate's cookies, and with those that NocoBase reads for downloads.
fn rewrite_cookies(
    gate: &Gate,
    headers: &mut HeaderMap,
    without_identity: bool,
    extra: &[&str],
) -> Result<()> {
    if extra.is_empty() && !headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    let received: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let left = session::forwardable(
        gate.sessions.cookies.names(),
        received.iter().copied(),
        without_identity,
        extra,
    );
    match left.or_err(InternalError, "cookies")? {
        Some(value) => {
            let value = HeaderValue::try_from(value).or_err(InternalError, "cookies")?;
            headers.insert(header::COOKIE, value);
        }
        None => {
            headers.remove(header::COOKIE);
        }
    }
    Ok(())
}
