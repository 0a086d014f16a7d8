//! The language of the person who reads a response.

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;

use crate::decide::client;
use crate::pages::{self, Lang};
use crate::proxy::headers::text;
use crate::session;

const X_LOCALE: HeaderName = HeaderName::from_static("x-locale");

/// The language of the person or program that sent this request.
pub(crate) fn lang(request: &RequestHeader) -> Lang {
    let hint = text(request, &header::USER_AGENT).and_then(client::language);
    let cookies = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let locale = text(request, &X_LOCALE)
        .or_else(|| std::str::from_utf8(session::first_cookie(cookies, session::LANGUAGE.as_bytes())?).ok());
    pages::language(text(request, &header::ACCEPT_LANGUAGE), hint, locale)
}

/// The language of WeCom's own pages, which exist in two.
pub(crate) fn wecom_lang(request: &RequestHeader) -> &'static str {
    if lang(request).tag().starts_with("zh") { "zh" } else { "en" }
}
