//! The decision itself.

mod outcome;

use super::client::{Caller, caller};
use super::client_file::{FileKind, client_file};
use super::host::{is_host, same_host};
use super::own::{self, OwnPath, is_own};
use super::page_load::{
    cookie_counts, is_below, is_browser, is_framed_page, is_get, is_navigation, is_our_origin, is_page_load,
    is_visit, takes_script,
};
use super::password::{
    action, form_address, is_form, is_from_own_page, is_sign_in_call, looks_like_form_page, rests_on_cookie,
};
use super::policy::{Browsers, Credential, Policy, Request, SessionState};
use super::rules::Match;
use super::target::{CALLBACK_PARAMETERS, SIGN_IN_PARAMETERS, of_request};
use super::{address, application, path, query};
use crate::error::Failure;
pub use outcome::{Decision, ForwardOptions, Identity, LoginKind, Page};

/// Decides. Total: every request gets a decision, whatever it contains.
pub fn decide(policy: &Policy, request: &Request<'_>) -> Decision {
    if matches!(request.method, "CONNECT" | "TRACE") {
        return refuse(request, Failure::MethodNotAllowed);
    }
    // Before everything else, also before the host: WeCom asks for the domain, whatever port the origin has, and the
    // content is no more than the name.
    if let Some(index) = verify_file(policy, request.path) {
        return if is_get(request) {
            Decision::VerifyFile(index)
        } else {
            refuse(request, Failure::MethodNotAllowed)
        };
    }
    match request.host {
        Some(host) if same_host(host, &policy.authority, policy.https) => {}
        // None, or none that could be one of anybody's (RFC 9112, 3.2).
        Some(host) if is_host(host) => return refuse(request, Failure::UnknownHost),
        _ => return refuse(request, Failure::BadRequest),
    }
    if is_own(request.path) {
        return own(policy, request);
    }
    if application::is_other(policy, request) {
        return Decision::Refuse { failure: Failure::OtherApplication, page: is_page_load(policy, request) };
    }
    if let Some(target) = without_code(policy, request) {
        return Decision::Redirect(target);
    }
    // Another site would sign this browser in as a user of its choice (R40).
    if is_sign_in_call(policy, request.path) && !is_from_own_page(policy, request) {
        return Decision::Refuse { failure: Failure::CrossSite, page: false };
    }
    match signed_in(policy, request).unwrap_or_else(|| without_session(policy, request)) {
        Decision::Forward(options) => Decision::Forward(with_session(policy, request, options)),
        decision => decision,
    }
}

/// The methods that a path (canonical) accepts, as in `Allow`.
pub fn allowed(policy: &Policy, path: &str) -> &'static str {
    if is_verify_file(policy, path) { "GET, HEAD" } else { own::methods(path, policy) }
}

/// Must the session be known before the decision about this (canonical) path? The gate's own pages look at the
/// session themselves, where they need it.
pub fn needs_session(policy: &Policy, path: &str) -> bool {
    !is_own(path) && !is_verify_file(policy, path)
}

/// Does a request for this path (canonical) stop while the app is closed for maintenance? All that NocoBase would have to respond
/// to does, and with it signing in. Signing out, the console and WeCom's own requests go on.
pub fn stops_for_maintenance(policy: &Policy, path: &str) -> bool {
    if is_own(path) {
        let own = own::own_path(policy, path);
        return matches!(own, Some(OwnPath::Login | OwnPath::Callback | OwnPath::SignIn | OwnPath::Auth));
    }
    !is_verify_file(policy, path)
}

/// Is the path one of the configured domain verification files?
pub fn is_verify_file(policy: &Policy, path: &str) -> bool {
    verify_file(policy, path).is_some()
}

/// How a request with a session is forwarded to NocoBase.
fn with_session(policy: &Policy, request: &Request<'_>, options: ForwardOptions) -> ForwardOptions {
    let below = request.path.strip_prefix(policy.public_path.as_str());
    let in_session = request.session == SessionState::Valid;
    let member = options.identity == Identity::Member;
    // No other site can make a browser send `Authorization` without `Origin`.
    let by_password = policy.password
        && !in_session
        && cookie_counts(policy, request)
        && request.credential == Credential::OwnToken
        && options.identity == Identity::Token;
    let is_seen = in_session || by_password || request.own_cookie && cookie_counts(policy, request);
    ForwardOptions {
        identity_allowed: session_counts(policy, request)
            && matches!(request.credential, Credential::None | Credential::Phantom),
        strip_token: options.strip_token || in_session && options.identity != Identity::Token,
        signs_out: action(policy, request.path) == Some("auth:signOut") && (member || policy.password),
        opens_password: by_password
            && request.method == "GET"
            && action(policy, request.path) == Some("auth:check"),
        may_compress: is_from_own_script(request),
        renew_cookie: is_seen
            && (is_page_load(policy, request) || below.is_some_and(|path| path.starts_with("api/"))),
        ..options
    }
}

/// Can only one of our pages, or a program with a token, have sent this? Another site knows no token, and cannot send a header
/// that it does not know. Without proof the result is no: old browsers, plain HTTP.
fn is_from_own_script(request: &Request<'_>) -> bool {
    matches!(request.credential, Credential::Phantom | Credential::ApiToken | Credential::OwnToken)
        && request.sec_fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"))
        || request.sec_fetch_site == Some("same-origin")
}

/// The same address without `code` and `state`, where WeCom may have sent the browser there (R39): another person's link
/// can make WeCom send its code to any page of ours, and a person who sees a live code can use it in a sign-in of their own.
///
/// An address with one of the two keeps it, and so do links inside the app: WeCom sends both, from another site.
/// An API path that a public rule names is the callback of another OAuth client, which needs both.
fn without_code(policy: &Policy, request: &Request<'_>) -> Option<String> {
    let query = request.query?;
    if !CALLBACK_PARAMETERS.iter().all(|name| query::has(query, name))
        || !is_visit(request)
        || request.sec_fetch_site == Some("same-origin")
        || is_below(&policy.public_path, "api", request.path)
            && policy.public.matches(request.method, request.path)
    {
        return None;
    }
    Some(of_request(request.path, query::without(query, &CALLBACK_PARAMETERS).as_deref()))
}

/// The gate's own paths. A cookie that does not count must not act here either.
fn own(policy: &Policy, request: &Request<'_>) -> Decision {
    match OwnPath::find(request.path, request.method, policy) {
        // The proxy that asks sends the request's headers on to NocoBase.
        Ok(OwnPath::Auth) if application::is_other_by_header(policy, request) => {
            refuse(request, Failure::OtherApplication)
        }
        Ok(OwnPath::Me | OwnPath::Auth) if !cookie_counts(policy, request) => {
            refuse(request, Failure::NoSession)
        }
        // As if it were not there; also for forms that another site made.
        Ok(OwnPath::Console(_))
            if !cookie_counts(policy, request)
                || !matches!(request.method, "GET" | "HEAD") && from_elsewhere(policy, request) =>
        {
            refuse(request, Failure::NotFound)
        }
        Ok(OwnPath::Logout) if request.method == "POST" && from_elsewhere(policy, request) => {
            refuse(request, Failure::CrossSite)
        }
        Ok(own) => Decision::Own(own),
        Err(failure) => refuse(request, failure),
    }
}

/// Did another site make the browser send this form? Old browsers send `Origin: null` for forms of our own pages too
/// (`Referrer-Policy: no-referrer`); there the cookie's `SameSite` has to do.
fn from_elsewhere(policy: &Policy, request: &Request<'_>) -> bool {
    match request.sec_fetch_site {
        Some(site) => site != "same-origin",
        None => request.origin.is_some_and(|origin| origin != "null" && !is_our_origin(policy, origin)),
    }
}

fn verify_file(policy: &Policy, path: &str) -> Option<usize> {
    let name = path.strip_prefix('/')?;
    policy.verify_files.iter().position(|file| file == name)
}

/// Does the request come from the member behind its session? Where it passes without one (`access.public`), a cookie
/// that another site made the browser send must not put the member's name on it.
fn session_counts(policy: &Policy, request: &Request<'_>) -> bool {
    // Browsers send cookies with WebSockets of any site, and always name it: no `Origin`, no member.
    let own_tunnel = || request.origin.is_some_and(|origin| is_our_origin(policy, origin));
    request.session == SessionState::Valid
        && cookie_counts(policy, request)
        && (!request.upgrade || own_tunnel())
}

/// A request with a live session whose cookie counts; `None` if there is none, or if the request carries a
/// credential that is not the session's.
fn signed_in(policy: &Policy, request: &Request<'_>) -> Option<Decision> {
    if !session_counts(policy, request) {
        return None;
    }
    if brings_token(policy, request) {
        let query = request.query.and_then(|q| query::without(q, &SIGN_IN_PARAMETERS));
        return Some(Decision::Redirect(of_request(request.path, query.as_deref())));
    }
    let files = is_get(request) && !request.upgrade && is_file(policy, request.path);
    let identity = match request.credential {
        Credential::Phantom => Identity::Member,
        // The page sends its token in the first frame.
        Credential::None if files || request.upgrade => Identity::Member,
        // Without the phantom it may be a page, or an API call that the page did not make: anonymous.
        Credential::None => Identity::Nobody,
        _ if token_passes(policy, request) => Identity::Token,
        Credential::ApiToken | Credential::OwnToken | Credential::Invalid => return None,
    };
    Some(Decision::Forward(ForwardOptions {
        put_cookies: files && identity == Identity::Member,
        put_script: takes_script(policy, request),
        ..ForwardOptions::plain(identity)
    }))
}

/// May this request be forwarded with the token that it carries?
fn token_passes(policy: &Policy, request: &Request<'_>) -> bool {
    match request.credential {
        Credential::ApiToken => policy.api_keys,
        Credential::OwnToken => policy.api_keys || policy.password,
        Credential::None | Credential::Phantom | Credential::Invalid => false,
    }
}

fn is_api(policy: &Policy, request: &Request<'_>) -> bool {
    is_below(&policy.public_path, "api", request.path)
}

/// A CORS preflight (Fetch standard, 3.2.2): a browser asks whether a script of another origin may call the API. It carries
/// no credentials, and NocoBase responds to it before it looks at the path.
fn is_preflight(policy: &Policy, request: &Request<'_>) -> bool {
    request.method == "OPTIONS"
        && !request.upgrade
        && request.origin.is_some()
        && request.names_cors_method
        && request.credential == Credential::None
        && is_api(policy, request)
}

/// A link to a file that NocoBase has made for an outside viewer (Office): NocoBase itself checks the token in it.
fn is_temporary_file_link(policy: &Policy, request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && request.credential == Credential::None
        && is_file(policy, request.path)
        && request.query.is_some_and(|query| query::has(query, "temporaryAccessToken"))
}

/// A file of NocoBase's client, which all applications have in common. The texts are those of one application.
fn is_shared_file(policy: &Policy, request: &Request<'_>) -> bool {
    let file = client_file(policy, request.method, request.path, request.query);
    !request.upgrade && file.is_some_and(|file| file.kind != FileKind::Texts)
}

/// Where NocoBase takes its cookie instead of a token, as long as nothing is changed.
fn is_file(policy: &Policy, path: &str) -> bool {
    path.strip_prefix(policy.public_path.as_str())
        .is_some_and(|rest| rest.starts_with("files/") || rest.starts_with("storage/"))
}

/// Does the address hold a `token` that NocoBase's page would store? A link with another person's token would sign
/// the member in as that person.
fn brings_token(policy: &Policy, request: &Request<'_>) -> bool {
    let Some(query) = request.query else { return false };
    let is_page_less = |name| is_below(&policy.public_path, name, request.path);
    !["api", "files"].into_iter().any(is_page_less) && is_navigation(request) && query::has(query, "token")
}

fn without_session(policy: &Policy, request: &Request<'_>) -> Decision {
    const AS_IT_COMES: ForwardOptions = ForwardOptions::plain(Identity::Nobody);
    // A key with encoded delimiters has one reading in NocoBase, but not in whatever a rule was written for (R1).
    let public = match path::holds_encoded_key(request.path) {
        true => Match::None,
        false if address::contains(&policy.bypass, request.client_ip) => Match::AsItComes,
        false => policy.public.find(request.method, request.path),
    };
    // The token may be another application's (R44); in a WebSocket it is sent later.
    let public = match public {
        Match::AsItComes | Match::Anonymous if policy.several && request.upgrade => Match::None,
        Match::AsItComes if policy.several => Match::Anonymous,
        public => public,
    };
    if public == Match::AsItComes {
        return Decision::Forward(AS_IT_COMES);
    }
    if token_passes(policy, request) {
        return Decision::Forward(ForwardOptions::plain(Identity::Token));
    }
    let page = is_page_load(policy, request);
    if policy.password && password_passes(policy, request) {
        // A link with another person's token in it would sign this person in as that one.
        if brings_token(policy, request) {
            let query = request.query.and_then(|q| query::without(q, &SIGN_IN_PARAMETERS));
            return Decision::Redirect(of_request(request.path, query.as_deref()));
        }
        return Decision::Forward(ForwardOptions {
            put_script: takes_script(policy, request),
            own_tokens: request.upgrade,
            ..AS_IT_COMES
        });
    }
    if public == Match::Anonymous
        || policy.preflights && is_preflight(policy, request)
        || policy.temporary_file_links && is_temporary_file_link(policy, request)
        || request.elsewhere && is_shared_file(policy, request)
    {
        return Decision::Forward(ForwardOptions {
            strip_token: true,
            strip_credentials: true,
            ..AS_IT_COMES
        });
    }
    let failure = match (request.credential, request.session) {
        // The phantom of a session that has ended is an invalid token too: report what happened.
        (Credential::Invalid, SessionState::Ended) if !page => Failure::SessionEnded,
        (Credential::ApiToken | Credential::OwnToken | Credential::Invalid, _) => Failure::InvalidToken,
        _ if page => return way_in(policy, request),
        (_, SessionState::Valid) if request.upgrade => Failure::CrossSite,
        (_, SessionState::Ended) => Failure::SessionEnded,
        _ => Failure::NoSession,
    };
    Decision::Refuse { failure, page: page || is_framed_page(request) && !is_api(policy, request) }
}

/// NocoBase's form, or a person who has signed in there and whose browser shows it by NocoBase's cookie.
fn password_passes(policy: &Policy, request: &Request<'_>) -> bool {
    is_form(policy, request)
        || request.own_cookie && request.credential == Credential::None && rests_on_cookie(policy, request)
}

/// A page load without a session.
fn way_in(policy: &Policy, request: &Request<'_>) -> Decision {
    let login = |via, entry| Decision::Login { via, entry };
    let sign_in = match policy.browsers {
        // Never from one sign-in page to another: that could be an endless loop.
        Browsers::NocoBase if !looks_like_form_page(request.path) => {
            Decision::Form(form_address(policy, &of_request(request.path, request.query)))
        }
        _ => Decision::Page(Page::SignIn),
    };
    if request.signed_out {
        // NocoBase's form never signs a person in by itself.
        return if policy.browsers == Browsers::NocoBase { sign_in } else { Decision::Page(Page::SignedOut) };
    }
    match (caller(request.user_agent), policy.browsers) {
        (Caller::WeCom { .. }, _) => {
            policy.auto_entry.map_or(sign_in, |entry| login(LoginKind::WeCom, entry))
        }
        (_, Browsers::NocoBase) => sign_in,
        (Caller::WeChat, _) => Decision::Page(Page::OpenInWeCom),
        (_, Browsers::Deny) => Decision::Refuse { failure: Failure::BrowserDenied, page: true },
        (Caller::Browser { mobile: true }, _) => Decision::Page(Page::OpenInWeCom),
        (_, Browsers::WebLogin) => {
            let first = (!policy.entries.is_empty()).then_some(0);
            policy.auto_entry.or(first).map_or(sign_in, |entry| login(LoginKind::Web, entry))
        }
        (_, Browsers::SignInPage) => sign_in,
    }
}

/// Refuses on a path that is not NocoBase's, where the path does not show whether it is a page.
fn refuse(request: &Request<'_>, failure: Failure) -> Decision {
    Decision::Refuse { failure, page: is_for_a_person(request) }
}

/// Does a person look at the response to this request for one of the gate's own paths?
pub fn is_for_a_person(request: &Request<'_>) -> bool {
    is_navigation(request) && is_browser(request)
}

#[cfg(test)]
mod tests;
