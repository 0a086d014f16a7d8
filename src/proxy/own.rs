//! The gate's own pages below `/wecom-gate/`, and the domain verification files.

use std::time::Instant;

use bytes::Bytes;
use http::{Method, header};
use pingora::proxy::Session as Exchange;
use serde_json::json;

use super::answers::{self, from_page, rfc3339};
use super::ctx::Ctx;
use super::forward_auth;
use super::gate::Gate;
use super::phases::text;
use super::reply::Reply;
use crate::decide::{self, OwnPath, target};
use crate::error::Failure;
use crate::login::{Callback, CallbackResponse, FoundSession, Start};
use crate::pages;
use crate::session::{OwnCookies, Via};
use crate::wecom::event;

/// What was asked for.
pub struct Asked<'a> {
    /// Which page.
    pub page: OwnPath,
    /// The gate's cookies.
    pub cookies: OwnCookies<'a>,
    /// Who is calling.
    pub caller: decide::Caller,
}

/// What an own page needs of the request, copied so that its body can be read.
struct Head {
    method: Method,
    query: Option<String>,
    lang: &'static str,
}

/// Serves one of the gate's pages.
pub async fn serve(
    gate: &Gate,
    exchange: &mut Exchange,
    ctx: &mut Ctx,
    asked: Asked<'_>,
) -> Result<Reply, Failure> {
    let request = exchange.req_header();
    let head = Head {
        method: request.method.clone(),
        query: request.uri.query().map(str::to_owned),
        lang: answers::wecom_lang(request),
    };
    let is = |name: &str| parameter(head.query.as_deref(), name);
    ctx.as_page =
        matches!(asked.page, OwnPath::Login | OwnPath::Callback | OwnPath::SignIn | OwnPath::Logout)
            && decide::takes_page(
                text(request, &header::HeaderName::from_static("x-requested-with")),
                text(request, &header::HeaderName::from_static("sec-fetch-mode")),
                text(request, &header::ACCEPT),
            );
    match asked.page {
        OwnPath::Login => login(gate, ctx, &asked, &head).await,
        OwnPath::Callback => Ok(callback(gate, exchange, ctx, &asked, &head).await),
        OwnPath::SignIn => {
            let rd = is("rd").and_then(|rd| target::sanitize(&rd)).unwrap_or_else(|| "/".into());
            Ok(if is("out").is_some() || asked.cookies.signed_out {
                answers::signed_out(gate, exchange, ctx, &rd)
            } else {
                answers::sign_in(gate, exchange, ctx, &rd)
            })
        }
        OwnPath::Logout if head.method == Method::POST => {
            let own_token = super::admit::own_token(gate, exchange.req_header());
            logout(gate, own_token, &asked).await
        }
        OwnPath::Logout => Ok(answers::ask_logout(gate, exchange, ctx)),
        OwnPath::Me => me(gate, &asked).await,
        OwnPath::Auth => forward_auth::auth(gate, exchange, &asked).await,
        OwnPath::Events(entry) => events(gate, exchange, &head, entry).await,
        OwnPath::Script => Ok(from_page(pages::gate_js(is("v").as_deref()))),
        OwnPath::Style => Err(Failure::NotFound),
    }
}

/// The first value of a query parameter.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query?.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

/// `login?rd=&via=&with=`: starts a flow. Whoever is signed in already goes where he wanted.
async fn login(gate: &Gate, ctx: &Ctx, asked: &Asked<'_>, head: &Head) -> Result<Reply, Failure> {
    let query = head.query.as_deref();
    let rd = parameter(query, "rd").and_then(|rd| target::sanitize(&rd)).unwrap_or_else(|| "/".into());
    if let FoundSession::Live { .. } = gate.sign_ins.find(&asked.cookies).await {
        return Ok(Reply::redirect(&rd));
    }
    let with = parameter(query, "with").filter(|w| !w.is_empty());
    let entries = &gate.config.wecom;
    let entry = match with {
        Some(name) => entries.iter().position(|e| e.name == name).ok_or(Failure::NotFound)?,
        None => gate.policy.auto_entry.unwrap_or(0),
    };
    let in_wecom = matches!(asked.caller, decide::Caller::WeCom { .. });
    let via = match parameter(query, "via").as_deref() {
        Some("wecom") => Via::WeCom,
        Some("web") => Via::Web,
        _ if in_wecom => Via::WeCom,
        _ => Via::Web,
    };
    // WeCom's web login is for desktop browsers; a phone is told how to get in.
    if via == Via::Web && !in_wecom && (asked.caller.is_mobile() || asked.caller == decide::Caller::WeChat) {
        return Err(Failure::OpenInWeCom);
    }
    if via == Via::Web && gate.config.access.browsers == crate::config::Browsers::Deny {
        return Err(Failure::BrowserDenied);
    }
    let start = Start {
        via,
        entry,
        target: rd,
        mobile: asked.caller.is_mobile(),
        automatic: false,
        attempt: 0,
        consent: false,
        lang: head.lang,
    };
    start_login(gate, ctx, &asked.cookies, &start)
}

/// The redirect that starts a flow.
pub fn start_login(
    gate: &Gate,
    ctx: &Ctx,
    cookies: &OwnCookies<'_>,
    start: &Start,
) -> Result<Reply, Failure> {
    gate.sign_ins.throttle.start(ctx.client, Instant::now())?;
    let started = gate.sign_ins.start(cookies, start)?;
    Ok(Reply::redirect(&started.location).with_cookies(started.cookies))
}

async fn callback(gate: &Gate, exchange: &Exchange, ctx: &mut Ctx, asked: &Asked<'_>, head: &Head) -> Reply {
    let callback = Callback {
        query: head.query.as_deref(),
        cookies: &asked.cookies,
        client: ctx.client,
        in_wecom: matches!(asked.caller, decide::Caller::WeCom { .. }),
        mobile: asked.caller.is_mobile(),
        lang: head.lang,
    };
    let (answer, cookies) = gate.sign_ins.finish(callback).await;
    match answer {
        CallbackResponse::Redirect(location) => Reply::redirect(&location).with_cookies(cookies),
        CallbackResponse::Failed(failure, retry) => {
            ctx.cookies = cookies;
            answers::failed_with(gate, exchange, ctx, failure, retry.as_deref())
        }
    }
}

/// Ends the session here, in NocoBase and so everywhere. The mark keeps the browser from being signed straight in
/// again.
async fn logout(gate: &Gate, own_token: Option<String>, asked: &Asked<'_>) -> Result<Reply, Failure> {
    if let Some(session) = gate.sign_ins.sessions.read(&asked.cookies, crate::login::now()) {
        gate.sign_ins.end_now(&session, "signed out").await?;
    }
    if let Some(token) = own_token {
        gate.sign_ins.end_own(&token).await?;
    }
    let mut reply = Reply::redirect("/wecom-gate/sign-in?out=1");
    reply.status = 303;
    reply.cookies = gate.sign_ins.signed_out_cookies(&asked.cookies);
    reply.cookies.extend(gate.sign_ins.forget_nocobase());
    Ok(reply)
}

async fn me(gate: &Gate, asked: &Asked<'_>) -> Result<Reply, Failure> {
    match gate.sign_ins.find(&asked.cookies).await {
        FoundSession::Live { session, .. } => Ok(Reply::json(
            200,
            &json!({
                "entry": session.entry,
                "userid": session.userid,
                "name": session.name,
                "nocobase_user_id": session.user_id,
                "signed_in_at": rfc3339(session.signed_in_at.0),
                "expires_at": rfc3339(session.ends_at(gate.sign_ins.limits()).0),
            }),
        )),
        FoundSession::Nothing => Err(Failure::NoSession),
        FoundSession::Ended => Err(Failure::SessionEnded),
        FoundSession::Unknown(failure) => Err(failure),
    }
}

/// The content of a domain verification file is the part of its name between `WW_verify_` and `.txt`.
pub fn verify_file(gate: &Gate, index: usize) -> Reply {
    let token = gate
        .policy
        .verify_files
        .get(index)
        .and_then(|name| name.strip_prefix("WW_verify_")?.strip_suffix(".txt"))
        .unwrap_or_default();
    let mut reply = Reply::empty(200)
        .with(header::CONTENT_TYPE, "text/plain")
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply.body = Bytes::from(token.to_owned());
    reply
}

/// WeCom's event callback: answered at once, worked off afterwards. Every failure looks the same (R12).
async fn events(gate: &Gate, exchange: &mut Exchange, head: &Head, entry: usize) -> Result<Reply, Failure> {
    let entry = gate.config.wecom.get(entry).ok_or(Failure::NotFound)?;
    let receiver = gate.sign_ins.receiver(&entry.name).ok_or(Failure::NotFound)?;
    let query = head.query.as_deref().unwrap_or_default();
    let now_s = crate::login::now().as_secs();
    if head.method == Method::GET {
        let echo = receiver.verify_address(query, now_s).map_err(|e| refused(&entry.name, &e))?;
        let mut reply = Reply::empty(200).with(header::CONTENT_TYPE, "text/plain");
        reply.body = Bytes::from(echo);
        return Ok(reply);
    }
    let body = read_body(exchange, event::LARGEST_BODY).await?;
    let notice = receiver.receive(query, &body, now_s).map_err(|e| refused(&entry.name, &e))?;
    gate.sign_ins.on_event(&entry.name, notice);
    let mut reply = Reply::empty(200).with(header::CONTENT_TYPE, "text/plain");
    reply.body = Bytes::from_static(b"success");
    Ok(reply)
}

/// The reason is for the log; whoever sent it always gets the same answer.
fn refused(entry: &str, why: &event::Refused) -> Failure {
    tracing::warn!(event = "wecom_event", entry, reason = why.reason(), "a callback was refused");
    why.failure()
}

async fn read_body(exchange: &mut Exchange, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let all = async {
        while let Ok(Some(piece)) = exchange.read_request_body().await {
            if body.len() + piece.len() > limit {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(std::time::Duration::from_secs(5), all).await {
        Ok(done) => done.map(|()| body),
        Err(_) => Err(Failure::BadRequest),
    }
}
