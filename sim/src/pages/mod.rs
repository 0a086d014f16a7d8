//! The pages that people see of WeCom: the client, the consent page, the QR page.
//!
//! They work without scripts and load nothing but their own style sheet.

mod client;
mod oauth;
mod people;
mod request;
mod web_login;

use askama::Template;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::state::Shared;
use request::{Ask, Lang};

const STYLE: &str = include_str!("../../templates/style.css");

/// Answers a page's request; `None`: there is no such page.
pub(super) fn serve(sim: &Shared, parts: &Parts, body: &[u8]) -> Option<Response> {
    let ask = Ask::new(parts, body);
    let answer = match (&parts.method, parts.uri.path()) {
        (&Method::GET | &Method::HEAD, path) => match path {
            "/" => client::workbench(sim, &ask),
            "/client/members" => client::members(sim, &ask, "/"),
            "/client/open" => client::open(sim, &ask),
            "/style.css" => ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response(),
            "/connect/oauth2/authorize" => oauth::authorize(sim, &ask),
            "/wwlogin/sso/login" | "/wwopen/sso/qrConnect" => web_login::login(sim, &ask),
            _ => return None,
        },
        (&Method::POST, path) => match path {
            "/client/member" => client::pick(sim, &ask),
            "/client/sign-out" => client::sign_out(),
            "/connect/oauth2/consent" => oauth::decide(sim, &ask),
            "/wwlogin/sso/scan" => web_login::scan(sim, &ask),
            _ => return None,
        },
        _ => return None,
    };
    Some(answer)
}

/// A page, which nobody may keep.
fn page(template: &impl Template) -> Response {
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
fn redirect(status: StatusCode, to: &str) -> Response {
    (status, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// A page with one message; WeCom answers these with status 200, too.
///
/// `code` is WeCom's number (0: none); tests find it in the header `x-sim-error`.
fn message(
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
    let mut answer = page(&Message { l, title: l.of(title), text: l.of(text), code });
    answer.headers_mut().insert("x-sim-error", code.into());
    answer
}
