//! WeCom's pages: the client, the consent page, the QR page.
//!
//! They work without scripts and load only their own style sheet.

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
use request::PageRequest;

const STYLE: &str = include_str!("../../templates/style.css");

/// Responds to the request for a page; `None`: there is no such page.
pub(super) fn serve(sim: &Shared, parts: &Parts, body: &[u8]) -> Option<Response> {
    let request = PageRequest::new(parts, body);
    let response = match (&parts.method, parts.uri.path()) {
        (&Method::GET | &Method::HEAD, path) => match path {
            "/" => client::workbench(sim, &request),
            "/client/members" => client::members(sim, &request, "/"),
            "/client/open" => client::open(sim, &request),
            "/style.css" => ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response(),
            "/connect/oauth2/authorize" => oauth::authorize(sim, &request),
            "/wwlogin/sso/login" | "/wwopen/sso/qrConnect" => web_login::login(sim, &request),
            _ => return None,
        },
        (&Method::POST, path) => match path {
            "/client/member" => client::pick(sim, &request),
            "/client/sign-out" => client::sign_out(),
            "/connect/oauth2/consent" => oauth::decide(sim, &request),
            "/wwlogin/sso/scan" => web_login::scan(sim, &request),
            _ => return None,
        },
        _ => return None,
    };
    Some(response)
}
