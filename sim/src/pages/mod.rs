//! The pages that people see of WeCom: the client, the consent page, the QR page.
//!
//! They work without scripts and load nothing but their own style sheet.

mod client;
mod oauth;
mod people;
mod reply;
mod request;
mod web_login;

use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::state::Shared;
use request::Ask;

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
