//! Answers on their way to the browser: NocoBase's, changed where they must be, and the gate's own.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::*;
use pingora::proxy::Session as Exchange;

use super::ctx::Ctx;
use super::gate::Gate;
use super::headers::REQUEST_ID;
use super::phases::text;
use super::reply::Reply;
use crate::config::WeComEntry;
use crate::decide;
use crate::error::{Failure, Level};
use crate::nocobase::answers::CodeReader;
use crate::nocobase::inject::Injector;
use crate::pages::{self, Entry, Lang, Page, Rendered, View};
use crate::session;

const X_LOCALE: HeaderName = HeaderName::from_static("x-locale");
const X_NEW_TOKEN: HeaderName = HeaderName::from_static("x-new-token");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Changes the head of NocoBase's answer.
///
/// Works on plain parts, as `request_to_upstream` does: browsers get names in lower case, as over HTTP/2. The answer to an
/// upgrade keeps its spelling, since some clients of WebSockets read it to the letter.
pub fn head(gate: &Gate, exchange: &Exchange, response: &mut ResponseHeader, ctx: &mut Ctx) -> Result<()> {
    if response.status.is_informational() {
        response.insert_header(REQUEST_ID, ctx.request_id.clone())?;
        if gate.config.origin.https {
            response.insert_header(header::STRICT_TRANSPORT_SECURITY, HSTS)?;
        }
        return Ok(());
    }
    let nothing = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(response, nothing));
    let done = change(gate, exchange, &mut parts, ctx);
    *response = ResponseHeader::from(parts);
    done
}

fn change(gate: &Gate, exchange: &Exchange, response: &mut Parts, ctx: &mut Ctx) -> Result<()> {
    response.headers.insert(REQUEST_ID, ctx.request_id.clone());
    if gate.config.origin.https {
        response.headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if ctx.member.is_some() {
        // What the gate put in must not come out again. In browser delivery the page has a token of its own.
        response.headers.remove(X_NEW_TOKEN);
        if !ctx.sign_out {
            drop_token_cookies(&mut response.headers);
        }
        in_session(gate, exchange, response, ctx)?;
    }
    if !ctx.out.is_empty() && response.status.is_success() {
        ctx.cookies = std::mem::take(&mut ctx.out);
    }
    if ctx.member.is_none() && ctx.pass.is_some_and(|p| p.put_script) && is_plain_page(response) {
        let tag = gate.form_tag(lang(exchange.req_header()));
        inject(exchange, response, ctx, tag)?;
    }
    for cookie in std::mem::take(&mut ctx.cookies) {
        let cookie = HeaderValue::try_from(cookie).or_err(InternalError, "cookie")?;
        response.headers.append(header::SET_COOKIE, cookie);
        response.headers.insert(header::CACHE_CONTROL, NO_STORE);
    }
    Ok(())
}

fn in_session(gate: &Gate, exchange: &Exchange, response: &mut Parts, ctx: &mut Ctx) -> Result<()> {
    let Some(member) = &ctx.member else { return Ok(()) };
    let as_member = ctx.pass.is_some_and(|p| p.identity == decide::Identity::Member);
    if ctx.sign_out && response.status.is_success() {
        gate.sign_ins.end(&member.session, "signed out in NocoBase");
    }
    // Depends on who asks: no cache on the way may keep it (R25). NocoBase's API says nothing about it.
    if as_member && !response.headers.contains_key(header::CACHE_CONTROL) {
        response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    if response.status == 401 && as_member {
        if response.headers.contains_key(header::CONTENT_ENCODING) {
            gate.sign_ins.refused_by_nocobase(&member.session, &member.seen, None);
        } else {
            ctx.code = Some(Box::new(CodeReader::default()));
        }
    }
    if ctx.pass.is_some_and(|p| p.put_script) && is_plain_page(response) {
        let session = &member.session;
        let token = if gate.delivers_tokens() {
            gate.sign_ins.browser_token(session).map(|t| t.as_str().to_owned())
        } else {
            Ok(session.phantom.text())
        };
        // Without a token the page would come up signed out; better no page than that.
        let token = token.map_err(|_| Error::explain(InternalError, "token"))?;
        let tag = gate.script_tag(&token, session.user_id);
        inject(exchange, response, ctx, tag)?;
    }
    Ok(())
}

/// Puts the gate's script into this page.
fn inject(exchange: &Exchange, response: &mut Parts, ctx: &mut Ctx, tag: Bytes) -> Result<()> {
    ctx.injector = Some(Box::new(Injector::new(tag)));
    for name in [header::CONTENT_LENGTH, header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        response.headers.remove(name);
    }
    response.headers.insert(header::CACHE_CONTROL, NO_STORE);
    if exchange.req_header().version == http::Version::HTTP_11 {
        response.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(())
}

/// A page of NocoBase's that can be changed on its way.
fn is_plain_page(response: &Parts) -> bool {
    let html = response
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|t| t.get(..9).is_some_and(|t| t.eq_ignore_ascii_case("text/html")));
    html && response.status == 200 && !response.headers.contains_key(header::CONTENT_ENCODING)
}

/// NocoBase's own token cookies stay out of the browser.
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

/// Changes the body of NocoBase's answer, piece by piece.
pub fn body(gate: &Gate, body: &mut Option<Bytes>, end: bool, ctx: &mut Ctx) {
    if let Some(injector) = &mut ctx.injector {
        let out = injector.push(body.take().unwrap_or_default(), end);
        *body = Some(out);
    }
    if let Some(reader) = &mut ctx.code {
        if let Some(piece) = body {
            reader.push(piece);
        }
        if end && let Some(member) = &ctx.member {
            let code = reader.finish();
            gate.sign_ins.refused_by_nocobase(&member.session, &member.seen, code);
            ctx.code = None;
        }
    }
}

/// The language of whoever is at the other end.
pub fn lang(request: &RequestHeader) -> Lang {
    let hint = text(request, &header::USER_AGENT).and_then(pages::wecom_hint);
    let cookies = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let locale = text(request, &X_LOCALE)
        .or_else(|| std::str::from_utf8(session::first_cookie(cookies, session::LANGUAGE.as_bytes())?).ok());
    pages::language(text(request, &header::ACCEPT_LANGUAGE), hint, locale)
}

/// The language of WeCom's own pages, which have two.
pub fn wecom_lang(request: &RequestHeader) -> &'static str {
    if lang(request).tag().starts_with("zh") { "zh" } else { "en" }
}

/// The answer to a failure: a page for people, JSON for programs, a line in the log.
pub fn failed(gate: &Gate, exchange: &Exchange, ctx: &mut Ctx, failure: Failure) -> Reply {
    failed_with(gate, exchange, ctx, failure, None)
}

/// The same with a way to try again.
pub fn failed_with(
    gate: &Gate,
    exchange: &Exchange,
    ctx: &mut Ctx,
    failure: Failure,
    retry: Option<&str>,
) -> Reply {
    ctx.failure = Some(failure);
    let request = exchange.req_header();
    log(ctx, request, failure);
    let lang = lang(request);
    let rendered = if ctx.as_page || ctx.page_load {
        let own = request.uri.path().starts_with("/wecom-gate/");
        // WeCom's way back does not name place and entry; the way to try again does.
        let asked = retry.and_then(|r| r.split_once('?')).map(|(_, q)| q).or(request.uri.query());
        let here = if own {
            asked_for(asked)
        } else {
            decide::target::of_request(request.uri.path(), request.uri.query())
        };
        let with = own.then(|| with(gate, asked)).flatten();
        let link = format!("{}{}", gate.config.origin.url(), inside_wecom(with, &here));
        let retry = retry.map(str::to_owned).or_else(|| (!own).then(|| here.clone()));
        let id = ctx.request_id.to_str().unwrap_or_default();
        let mut view = View::new(lang, Page::Failure(failure), id, std::time::SystemTime::now());
        view.retry = retry.as_deref();
        view.link = Some(&link);
        // Whoever is not of this company may be of another one that is at home here.
        let others = match failure {
            Failure::NotAMember | Failure::OtherCompany => ways(gate, &here, with),
            _ => Vec::new(),
        };
        let entries = buttons(&others);
        view.entries = &entries;
        // Where signing in does not work, or not here, a password may: that is what it is for.
        let password =
            (own || failure == Failure::OpenInWeCom).then(|| password_address(gate, &here)).flatten();
        view.password = password.as_deref();
        pages::render(&view)
    } else {
        let login = (failure.response().status == 401).then_some("/wecom-gate/login");
        pages::json_error(failure, &pages::message(failure, lang), login)
    };
    let mut reply = from_page(rendered);
    if failure == Failure::SessionEnded {
        reply.cookies.push(gate.sign_ins.sessions.delete());
    }
    reply.cookies.append(&mut ctx.cookies);
    reply
}

/// What leads to `here` when it is opened inside WeCom: the page itself, which signs in by itself, unless the sign-in
/// that failed was another entry's.
fn inside_wecom(with: Option<&WeComEntry>, here: &str) -> String {
    match with {
        Some(entry) if !entry.auto_login => login_address(here, Some(&entry.name)),
        _ => here.to_owned(),
    }
}

/// The entry that a query of `/wecom-gate/login` names.
fn with<'g>(gate: &'g Gate, query: Option<&str>) -> Option<&'g WeComEntry> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(name, _)| name == "with").and_then(|(_, name)| gate.config.entry(&name))
}

/// Title and address of every way to `target` through WeCom, but that of one entry.
fn ways(gate: &Gate, target: &str, but: Option<&WeComEntry>) -> Vec<(String, String)> {
    let others = gate.config.wecom.iter().filter(|e| but.is_none_or(|but| but.name != e.name));
    others.map(|e| (e.title.clone(), login_address(target, Some(&e.name)))).collect()
}

fn buttons(ways: &[(String, String)]) -> Vec<Entry<'_>> {
    ways.iter().map(|(title, href)| Entry { title, href }).collect()
}

/// Where the person wanted to go who is on one of the gate's own pages.
fn asked_for(query: Option<&str>) -> String {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let rd =
        pairs.into_iter().find(|(name, _)| name == "rd").and_then(|(_, rd)| decide::target::sanitize(&rd));
    rd.unwrap_or_else(|| "/".into())
}

fn log(ctx: &Ctx, request: &RequestHeader, failure: Failure) {
    // Has its own line, one for many.
    if failure == Failure::TooManyRequests {
        return;
    }
    let a = failure.response();
    let (id, path) = (ctx.request_id.to_str().unwrap_or_default(), request.uri.path());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(event = "refused", label = a.label, status = a.status, request_id = id,
                method = %request.method, path, client = %ctx.client, "refused")
        };
    }
    match a.level {
        Level::Debug => line!(debug),
        Level::Info => line!(info),
        Level::Warn => line!(warn),
        Level::Error => line!(error),
    }
}

/// A page in place of the one that was asked for.
pub fn page(gate: &Gate, exchange: &Exchange, ctx: &mut Ctx, page: decide::Page) -> Reply {
    let request = exchange.req_header();
    let here = decide::target::of_request(request.uri.path(), request.uri.query());
    match page {
        decide::Page::OpenInWeCom => {
            ctx.as_page = true;
            failed_with(gate, exchange, ctx, Failure::OpenInWeCom, None)
        }
        decide::Page::SignIn => sign_in(gate, exchange, ctx, &here),
        decide::Page::SignedOut => signed_out(gate, exchange, ctx, &here),
    }
}

/// The gate's own sign-in page.
pub fn sign_in(gate: &Gate, exchange: &Exchange, ctx: &Ctx, target: &str) -> Reply {
    render(gate, exchange, ctx, Page::SignIn, Some(target))
}

/// "You are signed out."
pub fn signed_out(gate: &Gate, exchange: &Exchange, ctx: &Ctx, target: &str) -> Reply {
    render(gate, exchange, ctx, Page::SignedOut, Some(target))
}

/// Asks before signing out.
pub fn ask_logout(gate: &Gate, exchange: &Exchange, ctx: &Ctx) -> Reply {
    render(gate, exchange, ctx, Page::Logout, None)
}

/// `target`: where one wants to go, where the page leads on to signing in.
fn render(gate: &Gate, exchange: &Exchange, ctx: &Ctx, page: Page, target: Option<&str>) -> Reply {
    let id = ctx.request_id.to_str().unwrap_or_default();
    let mut view = View::new(lang(exchange.req_header()), page, id, std::time::SystemTime::now());
    let retry = target.map(|target| login_address(target, None));
    let password = target.and_then(|target| password_address(gate, target));
    view.retry = retry.as_deref();
    view.password = password.as_deref();
    let ways = target.map(|target| ways(gate, target, None)).unwrap_or_default();
    let entries = buttons(&ways);
    view.entries = &entries;
    from_page(pages::render(&view))
}

/// NocoBase's password form, with the way to `target`, where it is in use.
fn password_address(gate: &Gate, target: &str) -> Option<String> {
    gate.policy.password.then(|| decide::form_address(&gate.policy, target))
}

/// `/wecom-gate/login` that leads to `target`.
pub fn login_address(target: &str, with: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", target);
    if let Some(name) = with {
        query.append_pair("with", name);
    }
    format!("/wecom-gate/login?{}", query.finish())
}

/// A finished page as an answer.
pub fn from_page(page: Rendered) -> Reply {
    let mut reply = Reply { status: page.status, body: Bytes::from(page.body), ..Reply::default() };
    for (name, value) in page.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            reply = reply.with(name, &value);
        }
    }
    reply
}

/// Where the origin is https, browsers are to stay with it.
pub fn stay_with_https(gate: &Gate, reply: Reply) -> Reply {
    if gate.config.origin.https {
        reply.with(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")
    } else {
        reply
    }
}

/// Seconds since 1970 as NocoBase's API writes times.
pub fn rfc3339(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_millis(time).to_string()
}
