//! A request as NocoBase gets it: protected headers removed and set, the phantom replaced by the token, cookies
//! without the gate's own.

use http::{HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::prelude::*;
use pingora::proxy::Session as Exchange;

use super::ctx::Ctx;
use super::gate::Gate;
use super::headers::{self, Identity as Who};
use crate::decide;
use crate::session;

/// Makes the head that goes to NocoBase. Runs after Pingora's hop-by-hop scrub and again for every attempt.
pub fn prepare(gate: &Gate, exchange: &Exchange, request: &mut RequestHeader, ctx: &mut Ctx) -> Result<()> {
    headers::strip_protected(request);
    let client = HeaderValue::from_str(&ctx.client.to_string()).or_err(InternalError, "address")?;
    headers::set_forwarding(request, &gate.origin, client, ctx.request_id.clone())?;
    // A pass is always there: nothing else reaches this phase. Without one, nothing is added and NocoBase sees an
    // anonymous request.
    let member = ctx.member.as_deref();
    let as_member = ctx.pass.is_some_and(|p| p.identity == decide::Identity::Member);
    let put_cookies = ctx.pass.is_some_and(|p| p.put_cookies);

    let token = match member {
        Some(member) if as_member => Some(gate.logins.token(&member.session, &member.seen)),
        _ => None,
    };
    let token = token.transpose().or_err(InternalError, "token")?;
    if let Some(token) = &token
        && request.headers.contains_key(header::AUTHORIZATION)
    {
        request.insert_header(header::AUTHORIZATION, token.bearer().clone())?;
    }
    let extra = token.as_ref().filter(|_| put_cookies).map(|token| token.cookies());
    rewrite_cookies(request, member.is_some(), extra)?;

    if let Some(query) = &ctx.query {
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("{}{mark}{query}", request.uri.path());
        request.set_uri(target.parse().or_err(InternalError, "target")?);
    }
    if let Some(member) = member
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
        headers::set_identity(request, &who)?;
    }
    if ctx.page_load && ctx.pass.is_some_and(|p| p.put_script) {
        // The page is changed on its way: it must come whole, plain and fresh.
        request.insert_header(header::ACCEPT_ENCODING, "identity")?;
        for name in [
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_MATCH,
            header::IF_UNMODIFIED_SINCE,
            header::IF_RANGE,
            header::RANGE,
        ] {
            request.remove_header(&name);
        }
    }
    if exchange.is_upgrade_req() {
        // Compressed frames could not be read.
        request.remove_header(&header::SEC_WEBSOCKET_EXTENSIONS);
    }
    Ok(())
}

/// `Cookie` without what is the gate's, and with what NocoBase reads for downloads.
fn rewrite_cookies(request: &mut RequestHeader, in_session: bool, extra: Option<&str>) -> Result<()> {
    if extra.is_none() && !request.headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    // Cheap copies: they share the bytes.
    let values: Vec<HeaderValue> = request.headers.get_all(header::COOKIE).iter().cloned().collect();
    let left = session::forwardable(values.iter().map(HeaderValue::as_bytes), in_session, extra);
    match left.or_err(InternalError, "cookies")? {
        Some(value) => {
            let value = HeaderValue::try_from(value).or_err(InternalError, "cookies")?;
            request.insert_header(header::COOKIE, value)?;
        }
        None => {
            request.remove_header(&header::COOKIE);
        }
    }
    Ok(())
}
