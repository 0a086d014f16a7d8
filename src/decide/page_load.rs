//! What kind of request is this, by its shape: a page load, or something that a script or a program asked for?
//! And does its session cookie count?

use super::client::{Caller, caller};
use super::host::same_origin;
use super::policy::{Policy, Request};

/// Endings of files that a page loads.
const ASSETS: [&str; 26] = [
    "js",
    "mjs",
    "cjs",
    "css",
    "map",
    "json",
    "webmanifest",
    "wasm",
    "xml",
    "txt",
    "ico",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "avif",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "mp3",
    "mp4",
    "webm",
];

/// Folders below which NocoBase serves no page.
const NO_PAGES: [&str; 7] = ["api", "ws", "files", "assets", "static", "storage", "dist"];

/// Is the response going to be looked at as a page? Only then is a redirect or a gate page of any use: a script
/// that is redirected to WeCom ends in a CORS error.
pub fn is_page_load(policy: &Policy, request: &Request<'_>) -> bool {
    is_navigation(request) && is_browser(request) && {
        let below = |name: &str| {
            is_below(&policy.public_path, name, request.path) || is_below("/", name, request.path)
        };
        match request.sec_fetch_dest {
            // What the browser reports is more reliable than an ending: a record's key may end in `.json`, and a file that a link
            // in a chat leads to is opened in a window.
            Some(_) => !["api", "ws"].into_iter().any(below),
            // For an older browser it follows from what it accepts: no script, style or picture is asked for as `text/html`.
            None => {
                let no_file = !has_asset_extension(request.path) || names_html(request);
                !NO_PAGES.into_iter().any(below) && no_file || is_file_link(&below, request)
            }
        }
    }
}

/// May the response be a NocoBase page, so that the gate's script belongs into it? Files are not: an HTML file that a member
/// has uploaded must not get the member's phantom.
pub(super) fn takes_script(policy: &Policy, request: &Request<'_>) -> bool {
    let below =
        |name: &str| is_below(&policy.public_path, name, request.path) || is_below("/", name, request.path);
    is_page_load(policy, request) && !NO_PAGES.into_iter().any(below)
}

/// A link to a file, opened by a browser that does not send Fetch metadata: only a window asks for `text/html` by name.
fn is_file_link(below: &impl Fn(&str) -> bool, request: &Request<'_>) -> bool {
    (below("files") || below("storage")) && names_html(request)
}

/// Is `text/html` accepted by name, not by `*/*` alone?
fn names_html(request: &Request<'_>) -> bool {
    request.accept.is_some_and(|accept| {
        accept
            .split(',')
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim_matches([' ', '\t']).eq_ignore_ascii_case("text/html"))
    })
}

/// Does this `Sec-Fetch-Dest` mean a frame within a page?
pub fn is_frame(dest: &str) -> bool {
    matches!(dest, "iframe" | "frame" | "embed" | "object" | "fencedframe")
}

/// A page in a frame: a redirect to WeCom would end in an error there, and JSON would be shown as text.
pub(super) fn is_framed_page(request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && request.sec_fetch_dest.is_some_and(is_frame)
        && takes_page(request.x_requested_with, request.sec_fetch_mode, request.accept)
        && is_browser(request)
}

/// The same, wherever it leads: NocoBase responds with its page under nearly any path.
pub(super) fn is_navigation(request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && request.sec_fetch_dest.is_none_or(|dest| dest == "document")
        && takes_page(request.x_requested_with, request.sec_fetch_mode, request.accept)
}

/// Does a browser go to this address: in a window or in a frame, whatever it takes the response for? Wider than
/// [`is_page_load`], for what must not be shown to any server.
pub(super) fn is_visit(request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && match request.sec_fetch_mode {
            Some(mode) => mode == "navigate",
            None => takes_page(request.x_requested_with, None, request.accept) && is_browser(request),
        }
}

/// Is a page of any use to this client? Not to a script, nor to a program that lists what it accepts.
pub fn takes_page(
    x_requested_with: Option<&str>,
    sec_fetch_mode: Option<&str>,
    accept: Option<&str>,
) -> bool {
    !is(x_requested_with, "XMLHttpRequest")
        && sec_fetch_mode.is_none_or(|mode| mode == "navigate")
        && accept.is_none_or(accepts_page)
}

pub(super) fn is_browser(request: &Request<'_>) -> bool {
    caller(request.user_agent) != Caller::Program
}

pub(super) fn is_get(request: &Request<'_>) -> bool {
    matches!(request.method, "GET" | "HEAD")
}

/// May the session cookie speak for this request? Not if another site made the browser send it, unless by a plain
/// link. Browsers too old for `Sec-Fetch-Site` still send `Origin` with whatever changes something.
pub(super) fn cookie_counts(policy: &Policy, request: &Request<'_>) -> bool {
    match request.sec_fetch_site {
        Some("same-origin" | "none") => true,
        Some(_) => {
            is_get(request)
                && !request.upgrade
                && request.sec_fetch_mode == Some("navigate")
                && request.sec_fetch_dest == Some("document")
        }
        None => request.origin.is_none_or(|origin| is_our_origin(policy, origin)),
    }
}

pub(super) fn is_our_origin(policy: &Policy, origin: &str) -> bool {
    same_origin(origin, &policy.authority, policy.https)
}

/// Is the path (canonical) `<public path><name>` or below?
pub(super) fn is_below(public_path: &str, name: &str, path: &str) -> bool {
    path.strip_prefix(public_path)
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn has_asset_extension(path: &str) -> bool {
    let extension =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    extension.is_some_and(|e| ASSETS.iter().any(|asset| asset.eq_ignore_ascii_case(e)))
}

fn accepts_page(accept: &str) -> bool {
    accept.split(',').filter_map(|range| range.split(';').next()).any(|range| {
        let range = range.trim_matches([' ', '\t']);
        ["text/html", "application/xhtml+xml", "*/*"].iter().any(|page| page.eq_ignore_ascii_case(range))
    })
}

fn is(value: Option<&str>, want: &str) -> bool {
    value.is_some_and(|value| value.trim_matches([' ', '\t']).eq_ignore_ascii_case(want))
}
