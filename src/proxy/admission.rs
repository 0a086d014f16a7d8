//! Admission: reads the request, asks `decide` what to do, and does it.

use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderValue};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use super::applications;
use super::connection;
use super::context::Context;
use super::gate::Gate;
use super::member::Member;
use super::password;
use super::patience::{Gone, while_there};
use super::request::{client, credential, facts, framing, target};
use super::response::reply::Reply;
use super::response::{failure, language, pages};
use super::rewrite::token_swapper::Swapper;
use super::routes;
use crate::decide::{self, Credential, Decision, ForwardOptions, Identity, OwnPath, Page, SessionState};
use crate::error::Failure;
use crate::login::{FoundSession, Start};
use crate::session::OwnCookies;

/// Redirects of one browser to NocoBase's form per minute: more than restored tabs cause, fewer than a loop does.
const MAX_FORM_REDIRECTS: u8 = 60;

/// What happens to a request.
pub(super) enum Admitted {
    /// Forward it to NocoBase, with the options in the context.
    Forward,
    /// The gate responds itself.
    Respond(Reply),
    /// The client has disconnected.
    Gone,
}

/// Reads, decides, acts. `gate` becomes the one of the application that the request is for.
pub(super) async fn admit(gate: &mut Arc<Gate>, downstream: &mut HttpSession, ctx: &mut Context) -> Admitted {
    client::identify(gate, downstream, ctx);
    let mut chosen = None;
    let admitted = match read(gate, &mut chosen, downstream, ctx).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            ctx.failure = Some(failure);
            let mut reply = failure::failed(chosen.as_ref().unwrap_or(gate), downstream, ctx, failure);
            if failure == Failure::HeadersTooLarge {
                // The gate's own cookies may be too many; only the gate can delete them.
                for sessions in gate.all_sessions() {
                    let headers = downstream.req_header().headers.get_all(header::COOKIE).iter();
                    let names = sessions.cookies.names();
                    reply.cookies.extend(names.delete_flows(headers.map(HeaderValue::as_bytes)));
                }
            }
            Admitted::Respond(reply)
        }
    };
    if let Some(app) = chosen {
        *gate = app;
    }
    admitted
}

/// `chosen`: the gate of the request's application, unless that is `main`.
async fn read(
    main: &Gate,
    chosen: &mut Option<Arc<Gate>>,
    downstream: &mut HttpSession,
    ctx: &mut Context,
) -> Result<Admitted, Failure> {
    // By host name, before anything else: redirects and pages depend on that name.
    *chosen = applications::at_host(main, downstream.req_header());
    let gate: &Gate = chosen.as_deref().unwrap_or(main);
    let limits = &gate.config.limits;
    let request = downstream.req_header();
    let checked = framing::check(request, limits.header_bytes, limits.body_bytes);
    if let Err(failure) = checked.and_then(|()| framing::check_removed_length(downstream)) {
        ctx.close = true;
        // Probably too many cookies: not an attack, and the page explains what to do.
        ctx.as_page = failure == Failure::HeadersTooLarge && facts::is_window(request);
        return Err(failure);
    }
    let plain = gate.config.listen.redirect_http && client::is_plain(gate, downstream);
    let request = downstream.req_header_mut();
    framing::drop_idle_upgrade(request);
    if let Err(failure) = target::canonicalise(request, &gate.config.nocobase.public_path) {
        ctx.as_page = facts::is_window(request);
        return Err(failure);
    }
    if routes::acme_challenge::may_be_one(request)
        && let Some(reply) = Box::pin(routes::acme_challenge::response(main, request)).await
    {
        return Ok(Admitted::Respond(reply));
    }
    if plain && !decide::is_verify_file(&gate.policy(), request.uri.path()) {
        return Ok(Admitted::Respond(to_https(gate, request)));
    }
    target::forget_spelling(request);
    let request = downstream.req_header();
    if connection::is_reserve() {
        ctx.close = true;
        if !request.uri.path().starts_with("/wecom-gate/") {
            ctx.page_load = decide::is_page_load(&gate.policy(), &facts::facts(request, ctx.client, false));
            return Err(Failure::TooManyConnections);
        }
    }
    if chosen.is_none() {
        *chosen = applications::choose(main, request);
    }
    let gate: &Gate = chosen.as_deref().unwrap_or(main);
    // Cheap copies (they share the bytes), so that the gate's routes can read the request's body meanwhile.
    let values: Vec<HeaderValue> = request.headers.get_all(header::COOKIE).iter().cloned().collect();
    let cookies = OwnCookies::parse(gate.sessions.cookies.names(), values.iter().map(HeaderValue::as_bytes))?;

    let mut facts = facts::facts(request, ctx.client, cookies.signed_out);
    ctx.page_load = decide::is_page_load(&gate.policy(), &facts);
    // Before anybody else's session is looked up: NocoBase is probably down.
    if gate.maintenance.is_on() && decide::stops_for_maintenance(&gate.policy(), facts.path) {
        match while_there(downstream, Box::pin(is_open_for(main, &values))).await {
            Ok(true) => {}
            Ok(false) => {
                ctx.as_page =
                    decide::own_path(&gate.policy(), facts.path).is_some() && decide::is_for_a_person(&facts);
                return Err(Failure::Maintenance);
            }
            Err(Gone) => return Ok(Admitted::Gone),
        }
    }
    let found = match decide::needs_session(&gate.policy(), facts.path) {
        true => match while_there(downstream, gate.sessions.find(&cookies)).await {
            Ok(found) => found,
            Err(Gone) => return Ok(Admitted::Gone),
        },
        false => FoundSession::Nothing,
    };
    let (state, member) = match found {
        FoundSession::Nothing => (SessionState::None, None),
        FoundSession::Ended => (SessionState::Ended, None),
        FoundSession::Unknown(failure) => return Err(failure),
        FoundSession::Active { session, seen } => {
            (SessionState::Valid, Some(Member { session: session.into(), seen }))
        }
    };
    let page_token = member.as_ref().map(|m| credential::page_token(gate, m));
    let (credential, query) = credential::credential(gate, request, page_token.as_ref(), member.as_ref());
    let by_password =
        match gate.policy().password && member.is_none() && decide::needs_session(&gate.policy(), facts.path)
        {
            true => gate.sessions.find_password(&cookies).await?,
            false => None,
        };
    facts.session = state;
    facts.credential = credential;
    facts.own_cookie = gate.policy().password
        && state != SessionState::Valid
        && credential == Credential::None
        && (by_password.is_some() || credential::own_token(gate, request).is_some());

    facts.other_app_session = state != SessionState::Valid
        && credential == Credential::None
        && !gate.below().is_empty()
        && decide::client_file(&gate.policy(), facts.method, facts.path, facts.query).is_some()
        && applications::is_elsewhere(gate, &values).await;

    match decide::decide(&gate.policy(), &facts) {
        Decision::Forward(options) => {
            forward(request, ctx, options, query);
            if options.signs_out
                && options.identity == Identity::Member
                && let Some(member) = &member
            {
                let source = ctx.source();
                Box::pin(gate.sessions.end_before_forwarding(&member.session, &source)).await;
            }
            if options.signs_out {
                let source = ctx.source();
                ctx.sign_out_cookies = gate.sessions.signed_out_cookies(&cookies);
                for other in applications::others(main, gate, &values) {
                    ctx.sign_out_cookies.extend(Box::pin(other.sign_out(&source)).await);
                }
            }
            if let Some(member) = member {
                // In a tunnel that another site opened under a public rule, nothing is done on the member's behalf.
                let as_member = options.identity == decide::Identity::Member;
                if facts.upgrade
                    && as_member
                    && let Some(page_token) = page_token
                {
                    let swap = credential::swap(gate.sessions.clone(), &member, page_token);
                    ctx.swapper = Some(Box::new(Swapper::new(swap)));
                }
                if options.renew_cookie {
                    ctx.cookies.extend(gate.sessions.renew(&member.session));
                }
                gate.sessions.used(&member.session, &member.seen, facts.user_agent);
                // Ending the session must not end the response of the request that ends it.
                if (as_member || options.identity_allowed) && !options.signs_out {
                    ctx.stream = Some(gate.sessions.attach(&member.session, &member.seen, values));
                }
                ctx.member = Some(Box::new(member));
            } else if gate.policy().password {
                password::forwarded(gate, request, ctx, (&facts, options), by_password, values);
            }
            if (options.identity == Identity::Token || facts.own_cookie) && !options.signs_out {
                password::forwarded_with_token(gate, request, ctx, &facts);
            }
            Ok(Admitted::Forward)
        }
        Decision::Redirect(target) => Ok(Admitted::Respond(Reply::redirect(&target))),
        // A browser that keeps no cookies has no counter: it would be redirected for ever if NocoBase's form redirects to another
        // page.
        Decision::Form(_)
            if cookies.forms == 0 && !gate.sign_ins.throttle.form(ctx.client, Instant::now()) =>
        {
            Ok(Admitted::Respond(page_instead(gate, downstream, ctx, Page::SignIn)))
        }
        Decision::Form(address) => to_form(gate, ctx, &cookies, &address),
        Decision::Login { via, entry } => {
            let source = ctx.source();
            let start = Start {
                via: via.into(),
                entry,
                target: decide::target::of_request(request.uri.path(), request.uri.query()),
                mobile: decide::client::caller(facts.user_agent).is_mobile(),
                automatic: true,
                attempt: 0,
                consent: false,
                lang: language::wecom_lang(request),
                source: &source,
            };
            ctx.as_page = true;
            Ok(Admitted::Respond(routes::sign_in::start_login(gate, ctx, &cookies, &start)?))
        }
        Decision::Own(path) => {
            // For most users it does not exist, so it looks like a path that does not exist.
            ctx.as_page = matches!(path, OwnPath::Console(_)) && decide::is_for_a_person(&facts);
            let caller = decide::client::caller(facts.user_agent);
            let others = applications::others(main, gate, &values);
            let request = routes::request::RouteRequest { path, cookies, caller, others };
            // Boxed, so that the future of an ordinary request does not have room for a whole sign-in.
            Box::pin(routes::serve(gate, downstream, ctx, request)).await.map(Admitted::Respond)
        }
        Decision::VerifyFile(index) => Ok(Admitted::Respond(routes::verify_file::serve(gate, index))),
        Decision::Page(page) => Ok(Admitted::Respond(page_instead(gate, downstream, ctx, page))),
        Decision::Refuse { failure, page } => {
            ctx.as_page = page;
            Err(failure)
        }
    }
}

/// May the browser with these `Cookie` headers use the app while it is closed for maintenance? Administrators of the main application may, in all
/// applications at its host name.
async fn is_open_for(main: &Gate, cookies: &[HeaderValue]) -> bool {
    let cookies = cookies.iter().map(HeaderValue::as_bytes);
    match OwnCookies::parse(main.sessions.cookies.names(), cookies) {
        Ok(cookies) => main.sessions.is_open_for(&cookies).await,
        Err(_) => false,
    }
}

/// A redirect to NocoBase's sign-in form. If NocoBase's page redirects away from there (a prefix that the gate does not know),
/// the gate would redirect back for ever.
fn to_form(
    gate: &Gate,
    ctx: &mut Context,
    cookies: &OwnCookies<'_>,
    address: &str,
) -> Result<Admitted, Failure> {
    ctx.as_page = true;
    if cookies.forms >= MAX_FORM_REDIRECTS {
        tracing::warn!(
            event = "sign_in",
            outcome = "refused",
            request_id = ctx.request_id.to_str().unwrap_or_default(),
            label = Failure::LoginLoop.response().label,
            tries = cookies.forms,
            "NocoBase's sign-in form redirects to another page: does its address match the settings in the index page?"
        );
        return Err(Failure::LoginLoop);
    }
    let names = gate.sessions.cookies.names();
    let count = names.set_form_redirects(cookies.tries, cookies.forms.saturating_add(1));
    Ok(Admitted::Respond(Reply::redirect(address).with_cookies(vec![count])))
}

/// Records in the context how the request is forwarded. `query`: with the phantom replaced, if there was one.
fn forward(request: &RequestHeader, ctx: &mut Context, options: ForwardOptions, query: Option<String>) {
    ctx.forward = Some(options);
    ctx.query = query.filter(|_| options.identity == Identity::Member);
    if options.strip_token && ctx.query.is_none() {
        ctx.query = credential::foreign_token_removed(request);
    }
}

/// The same page at the origin. 308, so that method and body are kept.
fn to_https(gate: &Gate, request: &RequestHeader) -> Reply {
    // Canonical by now: it begins with a slash, so it cannot turn the origin into another.
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    Reply::empty(308).with(header::LOCATION, &format!("{}{target}", gate.config.origin.url()))
}

/// A page of the gate instead of the requested one.
fn page_instead(gate: &Gate, downstream: &HttpSession, ctx: &mut Context, page: Page) -> Reply {
    let request = downstream.req_header();
    let here = decide::target::of_request(request.uri.path(), request.uri.query());
    match page {
        Page::OpenInWeCom => {
            ctx.as_page = true;
            failure::failed(gate, downstream, ctx, Failure::OpenInWeCom)
        }
        Page::SignIn => pages::sign_in(gate, downstream, ctx, &here),
        Page::SignedOut => pages::signed_out(gate, downstream, ctx, &here),
    }
}
