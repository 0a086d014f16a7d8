//! One application (R44): does a request name a NocoBase application other than the gate's own? And if the gate serves several,
//! which one is the request for?
//!
//! NocoBase's multi-app manager lets a request choose its application by a header (`X-App`; `X-Hostname`, which it compares
//! with the domain of each application), by `__appName` in the query, and by its path (`/api/__app/<name>/`,
//! `/files/<name>/`; the page of an application is below `/apps/<name>/`). An application accepts another's token, and the
//! user with the same id there may be an administrator.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::host::without_port;
pub use super::policy::Named;
use super::policy::{Policy, Request};

/// Query parameter that chooses the application.
const PARAMETER: &str = "__appName";
/// Path segment before an application's name, in an API path.
const SEGMENT: &str = "__app";

/// A header that chooses the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppHeader {
    /// `X-App`
    App,
    /// `X-Hostname`
    Hostname,
}

impl AppHeader {
    /// Which of the two a header is, in any spelling: intermediaries may turn `_` and `.` into `-`.
    pub fn find(name: &str) -> Option<AppHeader> {
        match name.len() {
            5 if is_folded(name, "x-app") => Some(AppHeader::App),
            10 if is_folded(name, "x-hostname") => Some(AppHeader::Hostname),
            _ => None,
        }
    }
}

/// Ignores case, and treats every byte that is neither a letter nor a digit as `-`.
fn is_folded(name: &str, folded: &str) -> bool {
    name.bytes().zip(folded.bytes()).all(|(n, f)| {
        let n = if n.is_ascii_alphanumeric() { n.to_ascii_lowercase() } else { b'-' };
        n == f
    })
}

/// Does this request name another application, in any way?
pub(super) fn is_other(policy: &Policy, request: &Request<'_>) -> bool {
    is_other_than(policy, &policy.app, request)
}

/// The same, by its headers alone.
pub(super) fn is_other_by_header(policy: &Policy, request: &Request<'_>) -> bool {
    is_other_than_by_header(policy, &policy.app, request)
}

/// Which of these applications a request is for: the one that it names, if it names no other anywhere. `None`: it names none of
/// them, or more than one. It then goes to the main application's policy, which refuses a request that names another.
pub fn find(policy: &Policy, apps: &[String], request: &Request<'_>) -> Option<usize> {
    apps.iter().position(|app| {
        let named = request.app == Named::One(app)
            || request.query.is_some_and(|query| is_named_by_query(app, query))
            || path_names(policy, request.path).any(|name| name == **app);
        named && !is_other_than(policy, app, request)
    })
}

/// The same by headers alone, for requests whose path and query are those of a forward-auth check.
pub fn of_headers(policy: &Policy, apps: &[String], request: &Request<'_>) -> Option<usize> {
    let named = |app: &&String| request.app == Named::One(app);
    let index = apps.iter().position(|app| named(&app))?;
    apps.get(index).filter(|app| !is_other_than_by_header(policy, app, request)).map(|_| index)
}

/// Which of these applications a page belongs to: `target`, as returned by [`super::target::sanitize`].
pub fn of_target(policy: &Policy, apps: &[String], target: &str) -> Option<usize> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    apps.iter().position(|app| {
        path_names(policy, path).any(|name| name == **app) && !is_other_by_path(policy, app, path)
    })
}

fn is_other_than(policy: &Policy, app: &str, request: &Request<'_>) -> bool {
    is_other_than_by_header(policy, app, request)
        || request.query.is_some_and(|query| is_other_by_query(app, query))
        || is_other_by_path(policy, app, request.path)
}

fn is_other_than_by_header(policy: &Policy, app: &str, request: &Request<'_>) -> bool {
    let host = without_port(&policy.authority);
    request.app.is_other(|name| name == app)
        || request.hostname.is_other(|name| without_port(name).eq_ignore_ascii_case(host))
}

/// NocoBase parses its query with `qs`: `__appName[]=x`, `__appName[a]=x` and `[__appName]=x` name an application too, and two
/// values become one name. So any parameter whose name contains the word counts, and only the plain name, once, with our own
/// application is accepted.
fn is_other_by_query(app: &str, query: &str) -> bool {
    // Nearly every query returns here.
    if !query.contains(['_', '%']) {
        return false;
    }
    let mut seen = false;
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        if !contains_folded(&name, PARAMETER) {
            return false;
        }
        let value = decoded(value);
        let ours = name == PARAMETER && (value.is_empty() || value == app);
        !ours || std::mem::replace(&mut seen, true)
    })
}

fn is_named_by_query(app: &str, query: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| value.len() >= app.len() && decoded(value) == app && decoded(name) == PARAMETER)
}

fn is_other_by_path(policy: &Policy, app: &str, path: &str) -> bool {
    // Even with our own name: a path has only one spelling (R1).
    path.split('/').any(|segment| segment == SEGMENT) || path_names(policy, path).any(|name| name != app)
}

/// The applications named by a path.
fn path_names<'p>(policy: &'p Policy, path: &'p str) -> impl Iterator<Item = Cow<'p, str>> {
    let below = |root: &str, name: &str| path.strip_prefix(root)?.strip_prefix(name)?.strip_prefix('/');
    let root = policy.public_path.as_str();
    // A name with nothing after it is an older file URL (`/files/x.png`).
    let file = below(root, "files").or_else(|| below("/", "files")).and_then(|rest| rest.split_once('/'));
    // The page, in the classic and in the modern client.
    let in_modern = |modern: &str| below(root, modern).and_then(|rest| rest.strip_prefix("apps/"));
    let pages = [below(root, "apps"), in_modern("v"), in_modern(&policy.client.modern)];
    let pages = pages.into_iter().flatten().map(|rest| rest.split('/').next().unwrap_or_default());
    let names = file.map(|(name, _)| name).into_iter().chain(pages);
    names.filter(|name| !name.is_empty()).map(decoded)
}

/// Decoded like form data; invalid UTF-8 becomes U+FFFD, which occurs in no name.
fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

fn contains_folded(text: &str, what: &str) -> bool {
    text.as_bytes().windows(what.len()).any(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

#[cfg(test)]
mod tests;
