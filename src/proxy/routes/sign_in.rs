//! `login`, `callback` and `sign-in`: a sign-in from its first redirect to the session.

use std::time::Instant;

use pingora::proxy::Session as HttpSession;

use super::request::{Head, RouteRequest};
use crate::audit::Source;
use crate::decide::{self, target};
use crate::error::Failure;
use crate::login::{Callback, CallbackResponse, FoundSession, Start};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;
use crate::proxy::response::{failure, pages};
use crate::session::{OwnCookies, Via};

/// `login?rd=&via=&with=`: starts a flow. A signed-in user is redirected straight to the target.
pub(crate) async fn login(
    gate: &Gate,
    ctx: &Context,
    request: &RouteRequest<'_>,
    head: &Head,
) -> Result<Reply, Failure> {
    let rd = head.parameter("rd").and_then(|rd| target::sanitize(&rd)).unwrap_or_else(|| "/".into());
    if let FoundSession::Active { .. } = gate.sessions.find(&request.cookies).await {
        return Ok(Reply::redirect(&rd));
    }
    let with = head.parameter("with").filter(|w| !w.is_empty());
    let entries = &gate.config.wecom;
    let entry = match with {
        Some(name) => entries.iter().position(|e| e.name == name).ok_or(Failure::NotFound)?,
        None => gate.policy().auto_entry.unwrap_or(0),
    };
    let in_wecom = matches!(request.caller, decide::Caller::WeCom { .. });
    let via = match head.parameter("via").as_deref() {
        Some("wecom") => Via::WeCom,
        Some("web") => Via::Web,
        _ if in_wecom => Via::WeCom,
        _ => Via::Web,
    };
    // WeCom's web login is for desktop browsers; a phone gets a page that explains how to sign in.
    if via == Via::Web
        && !in_wecom
        && (request.caller.is_mobile() || request.caller == decide::Caller::WeChat)
    {
        return Err(Failure::OpenInWeCom);
    }
    if via == Via::Web && gate.config.access.browsers == crate::config::Browsers::Deny {
        return Err(Failure::BrowserDenied);
    }
    let source = ctx.source();
    let start = Start {
        via,
        entry,
        target: rd,
        mobile: request.caller.is_mobile(),
        automatic: false,
        attempt: 0,
        consent: false,
        lang: head.lang,
        source: &source,
    };
    start_login(gate, ctx, &request.cookies, &start)
}

/// The redirect that starts a flow.
pub(crate) fn start_login(
    gate: &Gate,
    ctx: &Context,
    cookies: &OwnCookies<'_>,
    start: &Start<'_>,
) -> Result<Reply, Failure> {
    gate.sign_ins.throttle.start(ctx.client, Instant::now())?;
    let started = gate.sign_ins.start(cookies, start)?;
    Ok(Reply::redirect(&started.location).with_cookies(started.cookies))
}

pub(crate) async fn callback(
    gate: &Gate,
    downstream: &HttpSession,
    ctx: &mut Context,
    request: &RouteRequest<'_>,
    head: &Head,
) -> Reply {
    let source = ctx.source();
    let callback = callback_of(ctx, request, &source, head.lang);
    let finished = gate.sign_ins.finish(Callback { query: head.query.as_deref(), ..callback }).await;
    respond(gate, downstream, ctx, finished, &source)
}

/// A request that ends a sign-in.
pub(super) fn callback_of<'a>(
    ctx: &Context,
    request: &'a RouteRequest<'a>,
    source: &'a Source,
    lang: &'static str,
) -> Callback<'a> {
    Callback {
        source,
        query: None,
        cookies: &request.cookies,
        client: ctx.client,
        in_wecom: matches!(request.caller, decide::Caller::WeCom { .. }),
        mobile: request.caller.is_mobile(),
        lang,
        others: &request.others,
    }
}

/// The response to a sign-in that has ended.
pub(super) fn respond(
    gate: &Gate,
    downstream: &HttpSession,
    ctx: &mut Context,
    (response, cookies): (CallbackResponse, Vec<String>),
    source: &Source,
) -> Reply {
    match response {
        CallbackResponse::Redirect(location) => Reply::redirect(&location).with_cookies(cookies),
        CallbackResponse::Failed { failure, retry, logged } => {
            ctx.cookies = cookies;
            if !logged {
                failure::log(ctx, downstream.req_header(), failure);
                // A flood must not create a flood of records, and a loop has one already.
                if !matches!(failure, Failure::TooManyRequests | Failure::LoginLoop) {
                    let entry = retry.as_ref().and_then(|retry| retry.entry.as_deref());
                    gate.sessions.record_refusal(entry, failure, source);
                }
            }
            failure::respond(gate, downstream, ctx, failure, retry.as_ref())
        }
    }
}

/// The sign-in page, or "you are signed out".
pub(crate) fn page(
    gate: &Gate,
    downstream: &HttpSession,
    ctx: &Context,
    request: &RouteRequest<'_>,
    head: &Head,
) -> Reply {
    let rd = head.parameter("rd").and_then(|rd| target::sanitize(&rd)).unwrap_or_else(|| "/".into());
    if head.parameter("out").is_some() || request.cookies.signed_out {
        pages::signed_out(gate, downstream, ctx, &rd)
    } else {
        pages::sign_in(gate, downstream, ctx, &rd)
    }
}
