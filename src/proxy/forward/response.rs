//! The response from NocoBase to the browser: protected headers removed, cookies added, the gate's script inserted into pages,
//! and a 401 read for its code.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::*;
use pingora::proxy::Session as HttpSession;

use crate::decide;
use crate::nocobase::error_body::{Code, CodeReader};
use crate::proxy::context::{Context, FRESH};
use crate::proxy::forward::compression;
use crate::proxy::forward::without_script::{self, NoScript};
use crate::proxy::gate::Gate;
use crate::proxy::headers::{self, REQUEST_ID};
use crate::proxy::password;
use crate::proxy::request::client;
use crate::proxy::response::language::lang;
use crate::proxy::rewrite::script_injector::Injector;

const X_NEW_TOKEN: HeaderName = HeaderName::from_static("x-new-token");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Changes the head of NocoBase's response.
///
/// Works on plain parts, as `request` does: browsers get names in lower case, as over HTTP/2. The response to an upgrade keeps
/// its case, since some WebSocket clients are case-sensitive.
pub(crate) fn head(
    gate: &Gate,
    downstream: &HttpSession,
    response: &mut ResponseHeader,
    ctx: &mut Context,
) -> Result<()> {
    if response.status.is_informational() {
        response.remove_header("keep-alive");
        response.insert_header(REQUEST_ID, ctx.request_id.clone())?;
        return Ok(());
    }
    let nothing = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(response, nothing));
    let done = change(gate, downstream, &mut parts, ctx);
    *response = ResponseHeader::from(parts);
    done
}

fn change(gate: &Gate, downstream: &HttpSession, response: &mut Parts, ctx: &mut Context) -> Result<()> {
    headers::strip_hop_by_hop(&mut response.headers, response.status);
    headers::mend_length(&mut response.headers, response.status);
    if downstream.req_header().version < Version::HTTP_11 {
        // An HTTP/1.0 client knows only a length, or the end of the connection (RFC 9112, 6.1).
        response.headers.remove(header::TRANSFER_ENCODING);
    }
    response.headers.insert(REQUEST_ID, ctx.request_id.clone());
    if gate.config.origin.https && !client::is_plain(gate, downstream) {
        response.headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if ctx.member.is_some() {
        // A token that the gate has inserted must not be sent to the browser. In browser delivery the page has a token of its own.
        let renewed = response.headers.remove(X_NEW_TOKEN).is_some();
        note_token_age(gate, ctx, renewed, response.status.as_u16());
        if !ctx.signs_out() {
            drop_token_cookies(&mut response.headers);
        }
        in_session(gate, downstream, response, ctx)?;
    }
    if !ctx.sign_out_cookies.is_empty() && (ctx.signs_out() || response.status.is_success()) {
        // Even if NocoBase refuses: a member's session has ended before the request was forwarded (R36).
        ctx.cookies = std::mem::take(&mut ctx.sign_out_cookies);
    }
    if ctx.member.is_none()
        && ctx.forward.is_some_and(|p| p.put_script)
        && is_plain_page(gate, downstream, response)
    {
        let tag = gate.form_tag(lang(downstream.req_header()));
        inject(downstream, response, ctx, tag)?;
    }
    password::answered(gate, response.status.as_u16(), ctx);
    for cookie in std::mem::take(&mut ctx.cookies) {
        let cookie = HeaderValue::try_from(cookie).or_err(InternalError, "cookie")?;
        response.headers.append(header::SET_COOKIE, cookie);
        response.headers.insert(header::CACHE_CONTROL, NO_STORE);
    }
    compression::prepare(downstream, response, ctx);
    Ok(())
}

/// Learns from how NocoBase treated the token of this request: if it renewed the token, the token was too old; if it refused one
/// and accepts a fresh one now, likewise.
fn note_token_age(gate: &Gate, ctx: &mut Context, renewed: bool, status: u16) {
    let renewed = ctx.token_age.filter(|age| renewed && *age >= FRESH);
    let refused = ctx.refused_token_age.filter(|_| status != 401);
    if let Some(age) = renewed.or(refused) {
        gate.sessions.token_was_too_old(age);
    }
}

fn in_session(gate: &Gate, downstream: &HttpSession, response: &mut Parts, ctx: &mut Context) -> Result<()> {
    let Some(member) = &ctx.member else { return Ok(()) };
    let as_member = ctx.forward.is_some_and(|p| p.identity == decide::Identity::Member);
    // Depends on the user: no shared cache may store it (R25). NocoBase's API does not set this header.
    if as_member && !response.headers.contains_key(header::CACHE_CONTROL) {
        response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    if response.status == 401 && as_member {
        if response.headers.contains_key(header::CONTENT_ENCODING) {
            ctx.stream = None;
            gate.sessions.refused_by_nocobase(&member.session, &member.seen, None);
        } else {
            ctx.error_code_reader = Some(Box::new(CodeReader::default()));
        }
    }
    if ctx.forward.is_some_and(|p| p.put_script) && is_plain_page(gate, downstream, response) {
        let session = &member.session;
        let token = if gate.delivers_tokens() {
            gate.sessions.browser_token(session).map(|t| t.as_str().to_owned())
        } else {
            Ok(session.phantom.text())
        };
        // Without a token the page would appear signed out; an error is better.
        let token = token.map_err(|_| Error::explain(InternalError, "token"))?;
        let tag = gate.script_tag(&token, session.user_id, downstream.req_header().uri.path());
        inject(downstream, response, ctx, tag)?;
    }
    Ok(())
}

/// Inserts the gate's script into this page.
fn inject(downstream: &HttpSession, response: &mut Parts, ctx: &mut Context, tag: Bytes) -> Result<()> {
    ctx.injector = Some(Box::new(Injector::new(tag)));
    for name in [header::CONTENT_LENGTH, header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        response.headers.remove(name);
    }
    response.headers.insert(header::CACHE_CONTROL, NO_STORE);
    if downstream.req_header().version == http::Version::HTTP_11 {
        response.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(())
}

/// Is this a NocoBase page that can be changed? If it is one that cannot, that is logged.
fn is_plain_page(gate: &Gate, downstream: &HttpSession, response: &Parts) -> bool {
    let kind = response.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let html = kind.get(..9).is_some_and(|t| t.eq_ignore_ascii_case("text/html"));
    if !html || response.status != 200 {
        return false;
    }
    let encoded = response.headers.get_all(header::CONTENT_ENCODING).iter();
    let why = if encoded.into_iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
        NoScript::Encoded
    } else if without_script::is_strange(kind) {
        NoScript::Charset
    } else {
        return true;
    };
    gate.without_script.warn(why, downstream.req_header().uri.path());
    false
}

/// NocoBase's own token cookies must not reach the browser.
fn drop_token_cookies(headers: &mut HeaderMap) {
    let is_token = |v: &HeaderValue| {
        let v = v.as_bytes();
        v.starts_with(b"nb_auth_token_") || v.starts_with(b"nb_authenticator_")
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(is_token) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(header::SET_COOKIE).iter().filter(|v| !is_token(v)).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for cookie in kept {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Changes the body of NocoBase's response, piece by piece.
pub(crate) fn body(
    gate: &Gate,
    downstream: &HttpSession,
    body: &mut Option<Bytes>,
    end: bool,
    ctx: &mut Context,
) -> Result<()> {
    if let Some(injector) = &mut ctx.injector {
        let out = injector.push(body.take().unwrap_or_default(), end);
        *body = Some(out);
        if injector.found_no_head() && !ctx.without_head {
            ctx.without_head = true;
            gate.without_script.warn(NoScript::NoHead, downstream.req_header().uri.path());
        }
    }
    if let Some(reader) = &mut ctx.error_code_reader {
        if let Some(piece) = body {
            reader.push(piece);
        }
        if end && let Some(member) = &ctx.member {
            let code = reader.finish();
            if matches!(code, Some(Code::TokenRenewFailed | Code::ExpiredToken | Code::SkipTokenRenew))
                && let Some(age) = ctx.token_age.filter(|age| *age >= FRESH)
            {
                gate.sessions.token_was_too_old(age);
            }
            // This response itself reports the end of the session: it is sent completely.
            ctx.stream = None;
            gate.sessions.refused_by_nocobase(&member.session, &member.seen, code);
            ctx.error_code_reader = None;
        }
    }
    if let Some(coder) = &mut ctx.body_coder {
        let piece = body.take().unwrap_or_default();
        *body = Some(coder.push(&piece, end).or_err(InternalError, "compression")?);
    }
    Ok(())
}
