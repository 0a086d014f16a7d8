//! A request as plain facts for `decide`.

use std::net::IpAddr;

use http::header;
use pingora::http::RequestHeader;

use super::framing;
use crate::decide::application::{AppHeader, Named};
use crate::decide::{Credential, Request, SessionState};
use crate::proxy::headers::ascii;

/// Does the browser announce that the response opens in a window? For requests that cannot be read completely.
pub(crate) fn is_window(request: &RequestHeader) -> bool {
    let has = |name: &str, value: &str| request.headers.get(name).is_some_and(|v| v == value);
    matches!(request.method, http::Method::GET | http::Method::HEAD)
        && has("sec-fetch-mode", "navigate")
        && has("sec-fetch-dest", "document")
}

/// The facts in the head; the caller adds session and credential once it has checked them.
pub(crate) fn facts<'a>(request: &'a RequestHeader, client_ip: IpAddr, signed_out: bool) -> Request<'a> {
    // One pass over all headers instead of a lookup for each name. If a name occurs several times, the first value counts.
    let (mut user_agent, mut accept, mut origin, mut x_requested_with) = (None, None, None, None);
    let (mut sec_fetch_mode, mut sec_fetch_dest, mut sec_fetch_site) = (None, None, None);
    let (mut app, mut hostname) = (Named::Nothing, Named::Nothing);
    let mut cors_method = None;
    for (name, value) in &request.headers {
        let fact = match *name {
            header::USER_AGENT => &mut user_agent,
            header::ACCEPT => &mut accept,
            header::ORIGIN => &mut origin,
            header::ACCESS_CONTROL_REQUEST_METHOD => &mut cors_method,
            _ => match name.as_str() {
                "sec-fetch-mode" => &mut sec_fetch_mode,
                "sec-fetch-dest" => &mut sec_fetch_dest,
                "sec-fetch-site" => &mut sec_fetch_site,
                "x-requested-with" => &mut x_requested_with,
                name => {
                    match AppHeader::find(name) {
                        Some(AppHeader::App) => app = app.and(ascii(value)),
                        Some(AppHeader::Hostname) => hostname = hostname.and(ascii(value)),
                        None => {}
                    }
                    continue;
                }
            },
        };
        fact.get_or_insert(ascii(value));
    }
    Request {
        method: request.method.as_str(),
        path: request.uri.path(),
        query: request.uri.query(),
        host: framing::host(request),
        user_agent: user_agent.flatten(),
        accept: accept.flatten(),
        sec_fetch_mode: sec_fetch_mode.flatten(),
        sec_fetch_dest: sec_fetch_dest.flatten(),
        sec_fetch_site: sec_fetch_site.flatten(),
        x_requested_with: x_requested_with.flatten(),
        origin: origin.flatten(),
        app,
        hostname,
        names_cors_method: cors_method.is_some(),
        upgrade: framing::is_upgrade(request),
        client_ip,
        credential: Credential::None,
        session: SessionState::None,
        signed_out,
        own_cookie: false,
        other_app_session: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::forget_spelling;
    use super::*;

    #[test]
    fn facts_are_the_first_of_each_name() {
        let mut r = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in [
            ("Host", &b"gate.test"[..]),
            ("User-Agent", b"one"),
            ("User-Agent", b"two"),
            ("Accept", b"\xe5"),
            ("Accept", b"text/html"),
            ("Sec-Fetch-Mode", b"navigate"),
            ("Sec-Fetch-Dest", b"document"),
            ("Sec-Fetch-Site", b"none"),
            ("X-Requested-With", b"XMLHttpRequest"),
            ("Origin", b"http://gate.test"),
            ("Sec-Fetch-User", b"?1"),
            ("X-App", b"main"),
            ("x_app", b"sub1"),
            ("X-Hostname", b"gate.test"),
        ] {
            r.append_header(name, value).unwrap();
        }
        for spelled in [true, false] {
            if !spelled {
                forget_spelling(&mut r);
            }
            let f = facts(&r, IpAddr::from([127, 0, 0, 1]), false);
            assert_eq!(f.host, Some("gate.test"));
            assert_eq!((f.user_agent, f.accept), (Some("one"), None));
            assert_eq!((f.sec_fetch_mode, f.sec_fetch_dest), (Some("navigate"), Some("document")));
            assert_eq!((f.sec_fetch_site, f.x_requested_with), (Some("none"), Some("XMLHttpRequest")));
            assert_eq!(f.origin, Some("http://gate.test"));
            assert_eq!((f.app, f.hostname), (Named::Ambiguous, Named::One("gate.test")));
        }
    }
}
