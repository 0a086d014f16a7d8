//! A finished response: status, headers and body. The security headers of all pages are set here, once.

use std::sync::LazyLock;

use base64::Engine;
use serde_json::json;

use crate::error::Failure;

/// Header with the sign-in address, for NocoBase's page (through `gate.js`) and for programs.
pub(crate) const LOGIN_HEADER: &str = "X-WeCom-Gate-Login";

/// Ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: String,
    /// All headers except `Content-Length`, `Date`, `Set-Cookie` and HSTS.
    pub headers: Vec<(&'static str, String)>,
}

impl Rendered {
    #[cfg(test)]
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// The only style sheet; inline, so that a page is one response.
pub(super) const STYLE: &str = include_str!("style.css");

/// The only script, for pages with an address to copy and for those that try again; inline for the same reason.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// The style sheet of the console.
pub(super) const CONSOLE_STYLE: &str = include_str!("console.css");

/// The script of the console.
pub(super) const CONSOLE_SCRIPT: &str = include_str!("console.js");

/// For the console: its own script alone, which connects to nothing, and no frame.
static CONSOLE_CSP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
        hash(CONSOLE_SCRIPT),
        hash(CONSOLE_STYLE)
    )
});

fn hash(text: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash.as_ref())
}

/// Only what the page itself needs may be loaded, run or sent. The style and the script are allowed by their hashes, so injected
/// markup could not even restyle the page.
///
/// `frame_ancestors`: `*` for a page that other sites may show in a frame. It contains only links that open in a new window.
pub(super) fn csp(style: &str, frame_ancestors: &str) -> String {
    let (script, style) = (hash(SCRIPT), hash(style));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; \
         frame-ancestors {frame_ancestors}; base-uri 'none'"
    )
}

/// A page of the gate.
pub(super) fn html(
    status: u16,
    body: String,
    language: String,
    retry_after: Option<u32>,
    (csp, framed): (&str, bool),
) -> Rendered {
    let mut headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Security-Policy", csp.to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
        ("Content-Language", language),
    ];
    if !framed {
        headers.push(("X-Frame-Options", "SAMEORIGIN".to_owned()));
    }
    headers.extend(retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
    Rendered { status, body, headers }
}

/// A page of the console.
pub(super) fn console(body: String, language: String) -> Rendered {
    let headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Security-Policy", CONSOLE_CSP.to_string()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("X-Frame-Options", "DENY".to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
        ("Cross-Origin-Opener-Policy", "same-origin".to_owned()),
        ("Content-Language", language),
    ];
    Rendered { status: 200, body, headers }
}

/// For everything that is not a page load: in NocoBase's error format, so that its page and its client libraries understand it.
/// `login` is the sign-in address, if signing in would help; `retry_after` is in place of the failure's own.
pub(crate) fn json_error(
    failure: Failure,
    message: &str,
    login: Option<&str>,
    retry_after: Option<u32>,
) -> Rendered {
    let response = failure.response();
    let mut headers = vec![
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    let retry_after = retry_after.or(response.retry_after);
    headers.extend(retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
    headers.extend(login.map(|address| (LOGIN_HEADER, address.to_owned())));
    let body = json!({ "errors": [{ "message": message, "code": response.code }] }).to_string();
    Rendered { status: response.status, body, headers }
}
