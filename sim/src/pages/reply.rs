//! The kinds of response: a page, a redirect, a message.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::request::Lang;

/// A page; browsers and proxies must not cache it.
pub(super) fn page(template: &impl Template) -> Response {
    let Ok(html) = template.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, html).into_response()
}

/// 302, or 303 after a form.
pub(super) fn redirect(status: StatusCode, to: &str) -> Response {
    (status, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// A page with one message; its status is 200, as with WeCom.
///
/// `code` is WeCom's error code (0: none); tests find it in the header `x-sim-error`.
pub(super) fn message(
    l: Lang,
    code: i64,
    title: (&'static str, &'static str),
    text: (&'static str, &'static str),
) -> Response {
    #[derive(Template)]
    #[template(path = "message.html")]
    struct Message {
        l: Lang,
        title: &'static str,
        text: &'static str,
        code: i64,
    }
    let mut response = page(&Message { l, title: l.of(title), text: l.of(text), code });
    response.headers_mut().insert("x-sim-error", code.into());
    response
}
