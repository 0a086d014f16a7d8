//! NocoBase's own password form next to the gate (`access.browsers = "nocobase"`, `access.password_login`): what passes without a
//! session of the gate.
//!
//! Three things, nothing else: the form with its files and calls ([`is_form`]); requests with a NocoBase token in
//! `Authorization`, once the gate has checked it; and requests that a browser makes without that header, by NocoBase's own
//! cookie, once the gate has checked that ([`rests_on_cookie`]).

use super::page_load::{cookie_counts, is_below, is_get, is_our_origin, is_page_load};
use super::policy::{Credential, Policy, Request, SessionState};

/// NocoBase's sign-in page, in either client.
const PAGE: &str = "signin";
/// Files that every NocoBase page loads. They hold code and styles of NocoBase and its plugins, no data.
const FILES: [&str; 5] =
    ["global.css", "browser-checker.js", "favicon.ico", "favicon/favicon.ico", "favicon_no_exist.ico"];
/// Folders of such files, whose names change with every version.
const FOLDERS: [&str; 2] = ["assets/", "static/"];
/// Folder of the modern client's files, whatever the prefix of its pages.
const MODERN_FILES: &str = "v";

/// Calls that the page makes before a sign-in and never afterwards, and the sign-in itself. All are public in NocoBase. So is
/// `app:getInfo`, but the page makes that call again later; version and database must not be public.
const CALLS: [(&str, &str); 9] = [
    ("GET", "api/app:getLang"),
    ("GET", "api/pm:listEnabled"),
    ("GET", "api/pm:listEnabledV2"),
    ("GET", "api/uiLayouts:listEnabled"),
    ("GET", "api/systemSettings:get"),
    ("GET", "api/themeConfig:list"),
    ("GET", "api/authenticators:publicList"),
    ("POST", "api/authenticators:publicList"),
    ("POST", "api/auth:signIn"),
];

/// Calls that sign a browser in by what they contain: a password, or a token that NocoBase then stores in its cookie.
const SIGN_IN_CALLS: [&str; 6] = [
    "auth:signIn",
    "auth:signUp",
    "auth:lostPassword",
    "auth:resetPassword",
    "auth:changePassword",
    "auth:syncCookies",
];

/// Is this a call that signs a user in at NocoBase, or a related one? By any method: NocoBase runs actions by GET too, and
/// ignores what follows the action.
pub(super) fn is_sign_in_call(policy: &Policy, path: &str) -> bool {
    action(policy, path)
        .is_some_and(|action| SIGN_IN_CALLS.iter().any(|call| call.eq_ignore_ascii_case(action)))
}

/// The `resource:action` that NocoBase runs for an API path without an association, whatever follows it.
pub(super) fn action<'p>(policy: &Policy, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(policy.public_path.as_str())?.strip_prefix("api/")?.split('/').next()
}

/// Did one of our own pages send this (R40)? Missing headers are no proof: forms of other sites in old browsers send neither header.
pub(super) fn is_from_own_page(policy: &Policy, request: &Request<'_>) -> bool {
    let own_origin = request.origin.map(|origin| is_our_origin(policy, origin));
    match request.sec_fetch_site {
        Some(site) => site == "same-origin" && own_origin != Some(false),
        None => own_origin == Some(true),
    }
}

/// Is this the form, one of its files, or a call that it needs? Exact names: everything else stays closed.
pub(super) fn is_form(policy: &Policy, request: &Request<'_>) -> bool {
    if request.upgrade {
        // It may be outside the public path (`WS_PATH`).
        return is_form_socket(policy, request);
    }
    let Some(rest) = request.path.strip_prefix(policy.public_path.as_str()) else { return false };
    is_form_page(policy, request.path) && is_page_load(policy, request)
        || is_get(request) && is_client_file(policy, rest)
        || CALLS.contains(&(request.method, rest))
}

/// The form connects to the WebSocket before a sign-in, and gives up for good after 30 refusals. Anonymous: not with a session of
/// the gate, whose page would send its phantom there.
fn is_form_socket(policy: &Policy, request: &Request<'_>) -> bool {
    request.session == SessionState::None
        && request.credential == Credential::None
        && cookie_counts(policy, request)
        && request.origin.is_some_and(|origin| is_our_origin(policy, origin))
        && is_socket(policy, request.path)
}

/// Is this the path of NocoBase's WebSocket?
fn is_socket(policy: &Policy, path: &str) -> bool {
    let ws = policy.client.ws.as_str();
    path == ws || path.strip_prefix(policy.public_path.as_str()) == Some(ws)
}

/// What follows the modern client's folder in `rest` of a path.
fn in_modern<'a>(folder: &str, rest: &'a str) -> Option<&'a str> {
    rest.strip_prefix(folder)?.strip_prefix('/')
}

/// Is this, below the public path, a file of NocoBase's client?
pub(super) fn is_client_file(policy: &Policy, rest: &str) -> bool {
    let modern =
        || [policy.client.modern.as_str(), MODERN_FILES].into_iter().find_map(|f| in_modern(f, rest));
    let is_one = |rest: &str| FILES.contains(&rest) || FOLDERS.iter().any(|folder| rest.starts_with(folder));
    is_one(rest) || is_root_bundle(rest) || modern().is_some_and(is_one)
}

/// A script or style of NocoBase 1.x and 2.0, which keep them next to the pages: `umi.<hash>.js`, `<name>.<hash>.async.js`.
fn is_root_bundle(rest: &str) -> bool {
    let Some((name, extension)) = rest.rsplit_once('.') else { return false };
    let (name, kind) = match name.rsplit_once('.') {
        Some((name, kind @ ("async" | "chunk"))) => (name, kind),
        _ => (name, ""),
    };
    let Some((name, hash)) = name.rsplit_once('.') else { return false };
    let is_hash = hash.len() >= 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let is_name = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@'));
    is_hash
        && is_name
        && match extension {
            "js" => kind == "async" || kind.is_empty() && matches!(name, "umi" | "preload_helper"),
            "css" => kind == "chunk" || kind == "async" || name == "umi",
            _ => false,
        }
}

/// Is this the path of NocoBase's sign-in page?
pub(super) fn is_form_page(policy: &Policy, path: &str) -> bool {
    path.strip_prefix(policy.public_path.as_str())
        .is_some_and(|rest| rest == PAGE || in_modern(&policy.client.modern, rest) == Some(PAGE))
}

/// Does this look like a sign-in page, in any folder? One that the gate does not know must not be redirected to the form:
/// NocoBase may have redirected from there, and would redirect back.
pub(super) fn looks_like_form_page(path: &str) -> bool {
    path.rsplit('/').next() == Some(PAGE)
}

/// Is this a request without `Authorization`, in which only NocoBase's cookie identifies the user: NocoBase's page (whose text is
/// the same for everyone), a file, or the WebSocket, in which the page then authenticates itself? Never an API call: NocoBase
/// does not accept the cookie there either.
pub(super) fn rests_on_cookie(policy: &Policy, request: &Request<'_>) -> bool {
    let below = |name| is_below(&policy.public_path, name, request.path);
    if !cookie_counts(policy, request) {
        return false;
    }
    if request.upgrade {
        let own = request.origin.is_some_and(|origin| is_our_origin(policy, origin));
        return own && is_socket(policy, request.path);
    }
    is_page_load(policy, request) || is_get(request) && (below("files") || below("storage"))
}

/// Address of NocoBase's sign-in page, with this request's address as the target.
pub fn form_address(policy: &Policy, here: &str) -> String {
    let inside = here.strip_prefix(policy.public_path.as_str());
    let modern = policy.client.modern.as_str();
    let (client, back) = match inside {
        Some(rest) if rest == modern => (format!("{modern}/"), ""),
        Some(rest) => match in_modern(modern, rest) {
            Some(back) => (format!("{modern}/"), back),
            None => (String::new(), rest),
        },
        None => (String::new(), ""),
    };
    // NocoBase's page expects addresses without its public path.
    let back = format!("/{back}");
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("redirect", &back).finish();
    format!("{}{client}{PAGE}?{query}", policy.public_path)
}
