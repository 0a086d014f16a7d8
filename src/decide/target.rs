//! Where to return after signing in (R20): a path, query and fragment on our own origin, rebuilt from what was parsed, so that a
//! browser reads exactly what was checked.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::own::is_own;
use super::path::canonical;
use super::query;

/// Longest target, in bytes: it is stored in a cookie.
pub const MAX_LEN: usize = 2048;

/// Parameters that would sign a user in by themselves: NocoBase's page stores a `token` that it finds in its address. They never
/// survive a sign-in or a redirect.
pub(super) const SIGN_IN_PARAMETERS: [&str; 2] = ["token", "authenticator"];

/// Parameters that WeCom appends to the address to which it redirects a browser; `state` even if none was given.
pub(super) const CALLBACK_PARAMETERS: [&str; 2] = ["code", "state"];

/// Characters that are always encoded in a query or fragment. `%` stays: what is encoded stays encoded.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'^');

/// The target that a client asked for (`rd`), made safe, or `None` (then the target is home).
///
/// `None` for everything but an absolute path on our own origin: schemes, hosts, userinfo, relative paths, `//`, `/\`, anything
/// that [`canonical`] refuses, white space and control characters anywhere, the gate's own paths, and anything longer than
/// [`MAX_LEN`].
pub fn sanitize(rd: &str) -> Option<String> {
    if rd.len() > MAX_LEN || rd.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let (rest, fragment) = split(rd, '#');
    let (path, query) = split(rest, '?');
    // Form encoding has been decoded already; Chinese names are raw.
    let path = utf8_percent_encode(path, CONTROLS).to_string();
    build(&path, query, fragment).filter(|target| target.len() <= MAX_LEN)
}

/// The target that returns to this request. A query that would make it too long is left out.
pub fn of_request(canonical_path: &str, query: Option<&str>) -> String {
    [query, None]
        .into_iter()
        .find_map(|query| build(canonical_path, query, None).filter(|target| target.len() <= MAX_LEN))
        .unwrap_or_else(|| "/".to_owned())
}

/// Where a member arrives: a target that names no page (`/`, or NocoBase's public path) means the entry's home page.
pub fn landing<'a>(
    target: &'a str,
    home: &'a str,
    home_mobile: &'a str,
    mobile: bool,
    public_path: &str,
) -> &'a str {
    let (rest, fragment) = split(target, '#');
    let (path, _) = split(rest, '?');
    let root = path == "/" || path == public_path || public_path.strip_suffix('/') == Some(path);
    match (root && fragment.is_none(), mobile) {
        (false, _) => target,
        (true, false) => home,
        (true, true) => home_mobile,
    }
}

fn build(path: &str, query: Option<&str>, fragment: Option<&str>) -> Option<String> {
    let mut target = canonical(path).ok()?.into_owned();
    if is_own(&target) {
        return None;
    }
    if let Some(query) = query.and_then(|q| query::without(q, &SIGN_IN_PARAMETERS)) {
        target.push('?');
        target.extend(utf8_percent_encode(&query, UNSAFE));
    }
    if let Some(fragment) = fragment.filter(|f| !f.is_empty()) {
        target.push('#');
        target.extend(utf8_percent_encode(fragment, UNSAFE));
    }
    Some(target)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

#[cfg(test)]
mod tests;
