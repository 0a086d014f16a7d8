//! A request for one of the gate's own addresses.

use http::Method;
use pingora::http::RequestHeader;

use crate::decide::{self, OwnPath};
use crate::login::OtherApplication;
use crate::proxy::response::language;
use crate::session::OwnCookies;

/// The address, and the client.
pub(crate) struct RouteRequest<'a> {
    /// The address.
    pub path: OwnPath,
    /// The gate's cookies.
    pub cookies: OwnCookies<'a>,
    /// The kind of client.
    pub caller: decide::Caller,
    /// The gate's other applications, with this browser's cookies for them.
    pub others: Vec<OtherApplication<'a>>,
}

/// The parts of the request head that a route needs, copied so that the body can be read.
pub(crate) struct Head {
    /// As sent.
    pub method: Method,
    /// What follows `?`, raw.
    pub query: Option<String>,
    /// Language of WeCom's pages: `zh` or `en`.
    pub lang: &'static str,
}

impl Head {
    /// Copies them.
    pub(crate) fn of(request: &RequestHeader) -> Head {
        Head {
            method: request.method.clone(),
            query: request.uri.query().map(str::to_owned),
            lang: language::wecom_lang(request),
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_deref()?.as_bytes())
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned())
    }
}

#[cfg(test)]
mod tests;
