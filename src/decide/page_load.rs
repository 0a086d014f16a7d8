//! What kind of request is this: a page load, or something that a script or a program asked for? And does its session cookie
//! count?

use super::client::{Caller, caller};
use super::host::same_origin;
use super::policy::{Policy, Request};

/// Extensions of files that a page loads.
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

/// Will the response be shown as a page? Only then is a redirect or a page of the gate of any use: a script that is redirected to
/// WeCom ends in a CORS error.
pub fn is_page_load(policy: &Policy, request: &Request<'_>) -> bool {
    is_navigation(request) && is_browser(request) && {
        let below = |name: &str| {
            is_below(&policy.public_path, name, request.path) || is_below("/", name, request.path)
        };
        match request.sec_fetch_dest {
            // What the browser reports is more reliable than an extension: a record's key may end in `.json`, and a link in a
            // chat may open a file in a window.
            Some(_) => !["api", "ws"].into_iter().any(below),
            // For an older browser `Accept` shows it: scripts, styles and images are not requested as `text/html`.
            None => {
                let no_file = !has_asset_extension(request.path) || names_html(request);
                !NO_PAGES.into_iter().any(below) && no_file || is_file_link(&below, request)
            }
        }
    }
}

/// May the response be a NocoBase page, so that it needs the gate's script? Files are not: an HTML file that a member has
/// uploaded must not get the member's phantom.
pub(super) fn takes_script(policy: &Policy, request: &Request<'_>) -> bool {
    let below =
        |name: &str| is_below(&policy.public_path, name, request.path) || is_below("/", name, request.path);
    is_page_load(policy, request) && !NO_PAGES.into_iter().any(below)
}

/// A link to a file, opened by a browser without Fetch metadata: only a page load asks for `text/html` by name.
fn is_file_link(below: &impl Fn(&str) -> bool, request: &Request<'_>) -> bool {
    (below("files") || below("storage")) && names_html(request)
}

/// Does `Accept` name `text/html`, and not just `*/*`?
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

/// The same for any path: NocoBase responds with its page under nearly every path.
pub(super) fn is_navigation(request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && request.sec_fetch_dest.is_none_or(|dest| dest == "document")
        && takes_page(request.x_requested_with, request.sec_fetch_mode, request.accept)
}

/// Does a browser navigate to this address, in a window or a frame, whatever type of response it expects? Wider than
/// [`is_page_load`], for what no server must see.
pub(super) fn is_visit(request: &Request<'_>) -> bool {
    is_get(request)
        && !request.upgrade
        && match request.sec_fetch_mode {
            Some(mode) => mode == "navigate",
            None => takes_page(request.x_requested_with, None, request.accept) && is_browser(request),
        }
}

/// Can this client show a page? A script cannot, nor can a program that lists the types it accepts.
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

/// May the session cookie authenticate this request? Not if another site made the browser send it, unless by a plain link.
/// Browsers too old for `Sec-Fetch-Site` still send `Origin` with requests that change something.
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
