//! The response to a failure: a page for people, JSON for programs, a line in the log.

use http::{HeaderName, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use super::language::lang;
use super::links;
use super::reply::Reply;
use crate::audit::Refusal;
use crate::decide;
use crate::decide::address::UNKNOWN;
use crate::error::{Failure, Level, line_due};
use crate::login::Retry;
use crate::pages::{self, Page, View};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::headers::text;

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The response to a failure, with a line in the log.
pub(crate) fn failed(gate: &Gate, downstream: &HttpSession, ctx: &mut Context, failure: Failure) -> Reply {
    log(ctx, downstream.req_header(), failure);
    respond(gate, downstream, ctx, failure, None)
}

/// The response to a failure, possibly with a link to try again: a page for people, JSON for programs.
pub(crate) fn respond(
    gate: &Gate,
    downstream: &HttpSession,
    ctx: &mut Context,
    failure: Failure,
    retry: Option<&Retry>,
) -> Reply {
    ctx.failure = Some(failure);
    let request = downstream.req_header();
    let lang = lang(request);
    let retry_after = (failure == Failure::NocoBaseBusy).then(|| gate.upstreams.book_return()).flatten();
    let rendered = if ctx.as_page || ctx.page_load {
        remember(gate, ctx, failure);
        let own = request.uri.path().starts_with("/wecom-gate/");
        // WeCom's redirect contains neither target nor entry; the retry does.
        let here = match retry.and_then(|retry| retry.target.as_deref()) {
            Some(target) => decide::target::sanitize(target).unwrap_or_else(|| "/".into()),
            None if own => links::asked_for(request.uri.query()),
            // An ambiguous path is never a target.
            None if matches!(failure, Failure::BadPath | Failure::HeadersTooLarge) => "/".into(),
            None => decide::target::of_request(request.uri.path(), request.uri.query()),
        };
        let with = match retry.and_then(|retry| retry.entry.as_deref()) {
            Some(name) => gate.config.entry(name),
            None => own.then(|| links::with(gate, request.uri.query())).flatten(),
        };
        let link = format!("{}{}", gate.config.origin.url(), links::inside_wecom(with, &here));
        let offer = retry.and_then(|retry| retry.link.as_ref());
        let retry = retry.map(links::retry_address).or_else(|| (!own).then(|| here.clone()));
        let id = ctx.request_id.to_str().unwrap_or_default();
        let mut view = View::new(lang, Page::Failure(failure), id, std::time::SystemTime::now());
        let card = gate.app_card.load();
        view.appearance = &gate.config.pages.appearance;
        view.app = card.as_deref();
        view.retry = retry.as_deref();
        view.retry_after = retry_after;
        view.framed = matches!(failure, Failure::NoSession | Failure::SessionEnded)
            && text(request, &SEC_FETCH_DEST).is_some_and(decide::is_frame);
        view.link = Some(&link);
        // This person may belong to another company that has an entry here.
        let others = match failure {
            Failure::NotAMember | Failure::OtherCompany => links::ways(gate, &here, with),
            _ => Vec::new(),
        };
        let entries = links::buttons(&others);
        view.entries = &entries;
        // If sign-in fails, or does not work here, a password may work: that is its purpose. Not during maintenance.
        let by_password = failure == Failure::OpenInWeCom || (own && failure != Failure::Maintenance);
        let password = by_password.then(|| links::password_address(gate, &here)).flatten();
        view.password = password.as_deref();
        view.account_form = offer.map(|offer| pages::AccountForm {
            id: &offer.id,
            member: &offer.member,
            account: &offer.account,
            words: &offer.words,
        });
        let note = (failure == Failure::Maintenance).then(|| gate.maintenance.text()).flatten();
        view.note = note.as_ref().map(|note| note.as_str());
        pages::render(&view)
    } else {
        let login = (failure.response().status == 401).then_some("/wecom-gate/login");
        let message = pages::message(failure, lang, &gate.config.pages.appearance);
        pages::json_error(failure, &message, login, retry_after)
    };
    let mut reply = Reply::from(rendered);
    if let Some(challenge) = challenge(failure) {
        reply = reply.with(header::WWW_AUTHENTICATE, challenge);
    }
    if failure == Failure::MethodNotAllowed {
        reply = reply.with(header::ALLOW, decide::allowed(&gate.policy(), request.uri.path()));
    }
    if failure == Failure::SessionEnded {
        reply.cookies.push(gate.sessions.cookies.delete());
    }
    reply.cookies.append(&mut ctx.cookies);
    reply
}

/// Remembers pages that a person may report, so that the console can find them. Pages that offer a sign-in are not among them.
fn remember(gate: &Gate, ctx: &Context, failure: Failure) {
    if matches!(failure, Failure::NoSession | Failure::SessionEnded | Failure::Maintenance) {
        return;
    }
    let session = ctx.member.as_deref().map(|member| &member.session);
    gate.sessions.audit().history().page(Refusal {
        at: std::time::SystemTime::now(),
        entry: session.map(|session| session.entry.clone()),
        userid: session.map(|session| session.userid.clone()),
        name: session.map(|session| session.name.clone()),
        failure,
        reason: None,
        request_id: ctx.request_id.to_str().ok().map(str::to_owned),
        client: Some(ctx.client).filter(|client| *client != UNKNOWN),
    });
}

/// The challenge of a 401 (RFC 9110, 15.5.2). Browsers show no dialog for this scheme, and API keys use it.
fn challenge(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::InvalidToken => Some("Bearer realm=\"wecom-gate\", error=\"invalid_token\""),
        _ if failure.response().status == 401 => Some("Bearer realm=\"wecom-gate\""),
        _ => None,
    }
}

/// The log line about a request whose client has disconnected, which is not an error.
pub(crate) fn aborted(ctx: &Context, method: &http::Method, path: &str, error: &str) {
    tracing::debug!(event = "aborted", request_id = ctx.request_id.to_str().unwrap_or_default(),
        %method, path, client = %ctx.client, error, "the client went away");
}

/// The log line about a failure that has none of its own.
pub(crate) fn log(ctx: &Context, request: &RequestHeader, failure: Failure) {
    // These have log lines of their own: one for many, and the line of the sign-in.
    if matches!(failure, Failure::TooManyRequests | Failure::LoginLoop) {
        return;
    }
    let a = failure.response();
    let (id, path) = (ctx.request_id.to_str().unwrap_or_default(), request.uri.path());
    // Failures that affect everyone's requests alike.
    let due = line_due("refused", failure);
    let left_out = due.filter(|lines| *lines > 0);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(event = "refused", label = a.label, status = a.status, request_id = id,
                method = %request.method, path, client = %ctx.client, left_out, "refused")
        };
    }
    match a.level {
        _ if due.is_none() => line!(debug),
        Level::Error => line!(error),
        Level::Warn => line!(warn),
        Level::Debug => line!(debug),
        Level::Info => line!(info),
    }
}
