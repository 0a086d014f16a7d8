//! The response to a failure: a page for people, JSON for programs, a line in the log.

use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use super::language::lang;
use super::links;
use super::reply::Reply;
use crate::decide;
use crate::error::{Failure, Level};
use crate::pages::{self, Page, View};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;

/// A page for people, JSON for programs, a line in the log.
pub fn failed(gate: &Gate, downstream: &HttpSession, ctx: &mut Context, failure: Failure) -> Reply {
    failed_with(gate, downstream, ctx, failure, None)
}

/// The same with a way to try again.
pub fn failed_with(
    gate: &Gate,
    downstream: &HttpSession,
    ctx: &mut Context,
    failure: Failure,
    retry: Option<&str>,
) -> Reply {
    ctx.failure = Some(failure);
    let request = downstream.req_header();
    log(ctx, request, failure);
    let lang = lang(request);
    let rendered = if ctx.as_page || ctx.page_load {
        let own = request.uri.path().starts_with("/wecom-gate/");
        // WeCom's redirect names neither target nor entry; the retry link does.
        let asked = retry.and_then(|r| r.split_once('?')).map(|(_, q)| q).or(request.uri.query());
        let here = if own {
            links::asked_for(asked)
        } else {
            decide::target::of_request(request.uri.path(), request.uri.query())
        };
        let with = own.then(|| links::with(gate, asked)).flatten();
        let link = format!("{}{}", gate.config.origin.url(), links::inside_wecom(with, &here));
        let retry = retry.map(str::to_owned).or_else(|| (!own).then(|| here.clone()));
        let id = ctx.request_id.to_str().unwrap_or_default();
        let mut view = View::new(lang, Page::Failure(failure), id, std::time::SystemTime::now());
        view.retry = retry.as_deref();
        view.link = Some(&link);
        // This person may belong to another company that has an entry here.
        let others = match failure {
            Failure::NotAMember | Failure::OtherCompany => links::ways(gate, &here, with),
            _ => Vec::new(),
        };
        let entries = links::buttons(&others);
        view.entries = &entries;
        // Where signing in does not work, or not here, a password may: that is what it is for.
        let password =
            (own || failure == Failure::OpenInWeCom).then(|| links::password_address(gate, &here)).flatten();
        view.password = password.as_deref();
        pages::render(&view)
    } else {
        let login = (failure.response().status == 401).then_some("/wecom-gate/login");
        pages::json_error(failure, &pages::message(failure, lang), login)
    };
    let mut reply = Reply::from(rendered);
    if failure == Failure::SessionEnded {
        reply.cookies.push(gate.sessions.cookies.delete());
    }
    reply.cookies.append(&mut ctx.cookies);
    reply
}

fn log(ctx: &Context, request: &RequestHeader, failure: Failure) {
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
