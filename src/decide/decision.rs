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
    // Before everything else, even before the host is checked: WeCom requests this file by the domain, whatever the origin's
    // port, and its content says no more than its name.
    if let Some(index) = verify_file(policy, request.path) {
        return if is_get(request) {
            Decision::VerifyFile(index)
        } else {
            refuse(request, Failure::MethodNotAllowed)
        };
    }
    match request.host {
        Some(host) if same_host(host, &policy.authority, policy.https) => {}
        // Missing, or not valid as a host (RFC 9112, 3.2).
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
    // Another site could sign this browser in as a user of its choice (R40).
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

/// Must the session be known before this (canonical) path is decided on? The gate's own pages look up the session themselves if
/// they need it.
pub fn needs_session(policy: &Policy, path: &str) -> bool {
    !is_own(path) && !is_verify_file(policy, path)
}

/// Is a request for this (canonical) path refused while the app is closed for maintenance? Everything that NocoBase would respond
/// to is, and so is signing in. Signing out, the console and WeCom's own requests still work.
pub fn stops_for_maintenance(policy: &Policy, path: &str) -> bool {
    if is_own(path) {
        let own = own::own_path(policy, path);
        return matches!(
            own,
            Some(OwnPath::Login | OwnPath::Callback | OwnPath::SignIn | OwnPath::Link | OwnPath::Auth)
        );
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

/// Must this request come from one of our pages, or from a program with a token? Another site knows no token, and cannot send a
/// header whose value it does not know. Without proof the result is `false`: old browsers, plain HTTP.
fn is_from_own_script(request: &Request<'_>) -> bool {
    matches!(request.credential, Credential::Phantom | Credential::ApiToken | Credential::OwnToken)
        && request.sec_fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"))
        || request.sec_fetch_site == Some("same-origin")
}

/// The same address without `code` and `state`, if WeCom may have sent the browser there (R39): with a crafted link, anyone can
/// make WeCom send a member's code to any of our pages, and anyone who sees a live code can use it in a sign-in of their own.
///
/// An address with only one of the two is left as it is, and so are links inside the app: WeCom sends both, from another site. An
/// API path in a public rule is the callback of another OAuth client, which needs both.
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

/// The gate's own paths. A session cookie that does not count has no effect here either.
fn own(policy: &Policy, request: &Request<'_>) -> Decision {
    match OwnPath::find(request.path, request.method, policy) {
        // The proxy that sends the subrequest forwards the request's headers to NocoBase.
        Ok(OwnPath::Auth) if application::is_other_by_header(policy, request) => {
            refuse(request, Failure::OtherApplication)
        }
        Ok(OwnPath::Me | OwnPath::Auth) if !cookie_counts(policy, request) => {
            refuse(request, Failure::NoSession)
        }
        // As if it did not exist; the same for forms submitted by another site.
        Ok(OwnPath::Console(_))
            if !cookie_counts(policy, request)
                || !matches!(request.method, "GET" | "HEAD") && from_another_site(policy, request) =>
        {
            refuse(request, Failure::NotFound)
        }
        Ok(OwnPath::Logout) if request.method == "POST" && from_another_site(policy, request) => {
            refuse(request, Failure::CrossSite)
        }
        // Another site would let this browser's member link an account of its choice (R40).
        Ok(OwnPath::Link) if from_another_site(policy, request) => refuse(request, Failure::CrossSite),
        Ok(own) => Decision::Own(own),
        Err(failure) => refuse(request, failure),
    }
}

/// Was this form submitted by another site? Old browsers send `Origin: null` for our own forms too (`Referrer-Policy:
/// no-referrer`); for those, `SameSite` of the cookie is the protection.
fn from_another_site(policy: &Policy, request: &Request<'_>) -> bool {
    match request.sec_fetch_site {
        Some(site) => site != "same-origin",
        None => request.origin.is_some_and(|origin| origin != "null" && !is_our_origin(policy, origin)),
    }
}

fn verify_file(policy: &Policy, path: &str) -> Option<usize> {
    let name = path.strip_prefix('/')?;
    policy.verify_files.iter().position(|file| file == name)
}

/// Was the request made by the member whose session it carries? If the request would pass without a session (`access.public`), a
/// cookie that another site made the browser send must not attribute it to the member.
fn session_counts(policy: &Policy, request: &Request<'_>) -> bool {
    // Browsers send cookies with WebSockets opened by any site, and always name that site: without `Origin`, no member.
    let own_tunnel = || request.origin.is_some_and(|origin| is_our_origin(policy, origin));
    request.session == SessionState::Valid
        && cookie_counts(policy, request)
        && (!request.upgrade || own_tunnel())
}

/// A request with a live session whose cookie counts; `None` if there is no session, or if the request carries a credential that
/// is not the session's.
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
        // Without the phantom it may be a page, or an API call that did not come from the page: anonymous.
        Credential::None => Identity::Anonymous,
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

/// A CORS preflight (Fetch standard, 3.2.2): a browser asks whether a script of another origin may call the API. It carries no
/// credentials, and NocoBase responds to it without looking at the path.
fn is_preflight(policy: &Policy, request: &Request<'_>) -> bool {
    request.method == "OPTIONS"
        && !request.upgrade
        && request.origin.is_some()
        && request.names_cors_method
        && request.credential == Credential::None
        && is_api(policy, request)
}

/// A link to a file that NocoBase has created for an external viewer (Office): NocoBase itself checks the token in it.
fn is_temporary_file_link(policy: &Policy, request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && request.credential == Credential::None
        && is_file(policy, request.path)
        && request.query.is_some_and(|query| query::has(query, "temporaryAccessToken"))
}

/// A file of NocoBase's client, which all applications share. The texts belong to one application.
fn is_shared_file(policy: &Policy, request: &Request<'_>) -> bool {
    let file = client_file(policy, request.method, request.path, request.query);
    !request.upgrade && file.is_some_and(|file| file.kind != FileKind::Texts)
}

/// A path where NocoBase accepts its cookie instead of a token, as long as the request changes nothing.
fn is_file(policy: &Policy, path: &str) -> bool {
    path.strip_prefix(policy.public_path.as_str())
        .is_some_and(|rest| rest.starts_with("files/") || rest.starts_with("storage/"))
}

/// Does the address hold a `token` that NocoBase's page would store? A link with another user's token would sign the member in as
/// that user.
fn brings_token(policy: &Policy, request: &Request<'_>) -> bool {
    let Some(query) = request.query else { return false };
    let is_page_less = |name| is_below(&policy.public_path, name, request.path);
    !["api", "files"].into_iter().any(is_page_less) && is_navigation(request) && query::has(query, "token")
}

fn without_session(policy: &Policy, request: &Request<'_>) -> Decision {
    const UNCHANGED: ForwardOptions = ForwardOptions::plain(Identity::Anonymous);
    // NocoBase reads a key with encoded delimiters in one way; the server that a rule was written for may read it differently
    // (R1).
    let public = match path::holds_encoded_key(request.path) {
        true => Match::None,
        false if address::contains(&policy.bypass, request.client_ip) => Match::Unchanged,
        false => policy.public.find(request.method, request.path),
    };
    // The token may belong to another application (R44); in a WebSocket it is sent later.
    let public = match public {
        Match::Unchanged | Match::Anonymous if policy.several && request.upgrade => Match::None,
        Match::Unchanged if policy.several => Match::Anonymous,
        public => public,
    };
    if public == Match::Unchanged {
        return Decision::Forward(UNCHANGED);
    }
    if token_passes(policy, request) {
        return Decision::Forward(ForwardOptions::plain(Identity::Token));
    }
    let page = is_page_load(policy, request);
    if policy.password && password_passes(policy, request) {
        // A link that contains another user's token would sign this person in as that user.
        if brings_token(policy, request) {
            let query = request.query.and_then(|q| query::without(q, &SIGN_IN_PARAMETERS));
            return Decision::Redirect(of_request(request.path, query.as_deref()));
        }
        return Decision::Forward(ForwardOptions {
            put_script: takes_script(policy, request),
            own_tokens: request.upgrade,
            ..UNCHANGED
        });
    }
    if public == Match::Anonymous
        || policy.preflights && is_preflight(policy, request)
        || policy.temporary_file_links && is_temporary_file_link(policy, request)
        || request.other_app_session && is_shared_file(policy, request)
    {
        return Decision::Forward(ForwardOptions { strip_token: true, strip_credentials: true, ..UNCHANGED });
    }
    let failure = match (request.credential, request.session) {
        // The phantom of an ended session is an invalid token too: report that the session has ended.
        (Credential::Invalid, SessionState::Ended) if !page => Failure::SessionEnded,
        (Credential::ApiToken | Credential::OwnToken | Credential::Invalid, _) => Failure::InvalidToken,
        _ if page => return start_sign_in(policy, request),
        (_, SessionState::Valid) if request.upgrade => Failure::CrossSite,
        (_, SessionState::Ended) => Failure::SessionEnded,
        _ => Failure::NoSession,
    };
    Decision::Refuse { failure, page: page || is_framed_page(request) && !is_api(policy, request) }
}

/// NocoBase's form itself, or a person who has signed in there and whose browser sends NocoBase's cookie.
fn password_passes(policy: &Policy, request: &Request<'_>) -> bool {
    is_form(policy, request)
        || request.own_cookie && request.credential == Credential::None && rests_on_cookie(policy, request)
}

/// A page load without a session.
fn start_sign_in(policy: &Policy, request: &Request<'_>) -> Decision {
    let login = |via, entry| Decision::Login { via, entry };
    let sign_in = match policy.browsers {
        // Never redirects from one sign-in page to another: that could be an endless loop.
        Browsers::NocoBase if !looks_like_form_page(request.path) => {
            Decision::Form(form_address(policy, &of_request(request.path, request.query)))
        }
        _ => Decision::Page(Page::SignIn),
    };
    if request.signed_out {
        // NocoBase's form never starts a sign-in by itself.
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

/// Refuses a request for a path that is not NocoBase's; the path does not tell whether the response is shown to a person.
fn refuse(request: &Request<'_>, failure: Failure) -> Decision {
    Decision::Refuse { failure, page: is_for_a_person(request) }
}

/// Is the response to this request, for one of the gate's own paths, shown to a person?
pub fn is_for_a_person(request: &Request<'_>) -> bool {
    is_navigation(request) && is_browser(request)
}

#[cfg(test)]
mod tests;
