//! Headers between the client and NocoBase: what no client may set, and what only the gate sets.
//!
//! Must never: leave a protected header of a client in place, whatever its spelling and whether or not the gate has a value of
//! its own (R3, R8, R9). Called only from the phase that runs after Pingora's removal of hop-by-hop headers, so that `Connection`
//! cannot remove anything that is set here (R10).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Identity headers for the application, and the headers in which proxies report a request's origin. Names are compared by
/// `folded`, so aliases such as `X_WeCom_User` and `x.wecom.user` are the same name.
const PROTECTED: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
    "x-user",
    "x-user-id",
    "x-remote-user",
    "remote-user",
    "x-request-id",
    "proxy",
];
/// Every name that begins with one of these.
const PROTECTED_PREFIXES: &[&str] =
    &["x-forwarded", "x-wecom", "x-auth-request", "x-authenticated", "x-original"];

/// Is this header one that only the gate may set?
pub(super) fn is_protected(name: &str) -> bool {
    let b = name.as_bytes();
    // Nearly every header of an ordinary request returns here.
    if !matches!(b.first().map(u8::to_ascii_lowercase), Some(b'x' | b'f' | b't' | b'r' | b'p')) {
        return false;
    }
    PROTECTED.iter().any(|p| p.len() == b.len() && folded_starts_with(b, p.as_bytes()))
        || PROTECTED_PREFIXES.iter().any(|p| folded_starts_with(b, p.as_bytes()))
}

/// Ignores case, and treats every byte that is neither a letter nor a digit as `-` (R8).
fn folded_starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len()
        && name.iter().zip(prefix).all(|(n, p)| {
            let n = if n.is_ascii_alphanumeric() { n.to_ascii_lowercase() } else { b'-' };
            n == *p
        })
}

/// Does this value of `Connection` name a header that the gate protects, or one that it relies on? Then the request is refused
/// (R10).
pub(super) fn nominates_protected(connection: &HeaderValue) -> bool {
    connection.as_bytes().split(|b| *b == b',').any(|token| {
        let token = token.trim_ascii();
        std::str::from_utf8(token).is_ok_and(|t| {
            is_protected(t) || ["authorization", "cookie", "host"].iter().any(|n| t.eq_ignore_ascii_case(n))
        })
    })
}

/// Removes every protected header.
pub(super) fn strip_protected(headers: &mut HeaderMap) {
    // Names are copied only if there is something to remove.
    let names: Vec<HeaderName> = headers.keys().filter(|n| is_protected(n.as_str())).cloned().collect();
    for name in &names {
        headers.remove(name);
    }
}

/// Names in `Connection` that make a request invalid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidConnection;

/// Most names in `Connection`.
const MAX_NOMINATED: usize = 9;

/// Removes the hop-by-hop headers of a request: the well-known ones, and those named in `Connection` (RFC 9110, 7.6.1), by the rules that
/// Pingora has for requests that it forwards. WebSockets are not among these requests.
///
/// # Errors
/// `Connection` has something that is no name, too many names, or one that decides where a request goes or comes from.
pub(super) fn strip_hop_by_hop_of_request(headers: &mut HeaderMap) -> Result<(), InvalidConnection> {
    const ALWAYS: [HeaderName; 10] = [
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("http2-settings"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ];
    let values = headers.get_all(header::CONNECTION).iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    let mut named = Vec::new();
    for token in tokens.filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case(b"keep-alive")) {
        let is_token = token.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
        let name = HeaderName::from_bytes(token).ok().filter(|_| is_token).ok_or(InvalidConnection)?;
        if name == header::HOST || is_protected(name.as_str()) || named.len() >= MAX_NOMINATED {
            return Err(InvalidConnection);
        }
        named.push(name);
    }
    for name in named.iter().chain(&ALWAYS) {
        headers.remove(name);
    }
    Ok(())
}

/// Removes the hop-by-hop headers of a response: the well-known ones, and those named in `Connection` (RFC 9110, 7.6.1). Framing
/// headers stay; Pingora sets `Connection` itself and does not forward trailers.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap, status: StatusCode) {
    const ALWAYS: [HeaderName; 5] = [
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        header::TE,
        header::TRAILER,
        header::CONNECTION,
    ];
    const KEPT: [HeaderName; 3] = [header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE];
    let values = headers.get_all(header::CONNECTION).iter();
    let named: Vec<HeaderName> = values
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !KEPT.contains(name))
        .collect();
    for name in named.iter().chain(&ALWAYS) {
        headers.remove(name);
    }
    // Only "use another protocol" needs it.
    if status != StatusCode::UPGRADE_REQUIRED {
        headers.remove(header::UPGRADE);
    }
}

/// Leaves only one possible length of a response: none if it has no body or is chunked, otherwise one number. Pingora has refused
/// differing values.
pub(super) fn mend_length(headers: &mut HeaderMap, status: StatusCode) {
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    } else if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    } else if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        let first = length.as_bytes().split(|b| *b == b',').next().unwrap_or_default().trim_ascii();
        if first.len() != length.len() || headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
            match HeaderValue::from_bytes(first) {
                Ok(first) => _ = headers.insert(header::CONTENT_LENGTH, first),
                Err(_) => _ = headers.remove(header::CONTENT_LENGTH),
            }
        }
    }
}

/// The forwarding headers, from which NocoBase learns the client's address. Built once; only the address changes.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// `Host` and `X-Forwarded-Host`.
    pub authority: HeaderValue,
    /// `X-Forwarded-Proto`.
    pub scheme: HeaderValue,
    /// `X-App`: NocoBase's application, so that no rule about hosts chooses another (R44).
    pub app: HeaderValue,
}

const APP: HeaderName = HeaderName::from_static("x-app");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Correlates the log lines of all servers that handle a request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Sets the forwarding headers; the client's own have been removed before.
pub(super) fn set_forwarding(
    headers: &mut HeaderMap,
    origin: &Origin,
    client: HeaderValue,
    request_id: HeaderValue,
) {
    headers.insert(header::HOST, origin.authority.clone());
    headers.insert(FORWARDED_FOR, client);
    headers.insert(FORWARDED_HOST, origin.authority.clone());
    headers.insert(FORWARDED_PROTO, origin.scheme.clone());
    headers.insert(APP, origin.app.clone());
    headers.insert(REQUEST_ID, request_id);
}

/// The member, for applications that read headers (`nocobase.identity_headers`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    /// WeCom's userid.
    pub userid: &'a str,
    /// Corp id.
    pub corp_id: &'a str,
    /// Name of the WeCom entry.
    pub entry: &'a str,
    /// Display name.
    pub name: &'a str,
    /// NocoBase's user id.
    pub user_id: u64,
}

/// Sets the identity headers. A name with non-ASCII characters is percent-encoded; if the userid cannot be a header value, none
/// of them is set.
pub(super) fn set_identity(headers: &mut HeaderMap, who: &Identity<'_>) {
    for (name, value) in identity_headers(who) {
        headers.insert(name, value);
    }
}

/// The identity headers and their values.
pub(super) fn identity_headers(who: &Identity<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let encoded = |s: &str| {
        let text = percent_encoding::utf8_percent_encode(s, percent_encoding::CONTROLS).to_string();
        HeaderValue::from_str(&text).ok()
    };
    let pairs = [
        (HeaderName::from_static("x-wecom-user"), encoded(who.userid)),
        (HeaderName::from_static("x-wecom-corp"), encoded(who.corp_id)),
        (HeaderName::from_static("x-wecom-entry"), encoded(who.entry)),
        (HeaderName::from_static("x-wecom-name"), encoded(who.name)),
        (HeaderName::from_static("x-forwarded-user"), encoded(&who.user_id.to_string())),
    ];
    pairs.into_iter().filter_map(|(n, v)| v.map(|v| (n, v))).collect()
}

/// The first header with this name, if it is ASCII text.
pub(super) fn text<'a>(request: &'a pingora::http::RequestHeader, name: &HeaderName) -> Option<&'a str> {
    ascii(request.headers.get(name)?)
}

/// A header's text, if it is ASCII. `HeaderValue::to_str` checks each byte separately.
pub(super) fn ascii(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r08_aliases_of_protected_names_are_the_same_name() {
        for name in [
            "X-WeCom-User",
            "x_wecom_user",
            "x.wecom.user",
            "X-WECOM-USER",
            "x-forwarded-for",
            "X_Forwarded_Proto",
            "x.forwarded.user",
            "X-Forwarded",
            "X-Real-IP",
            "x_real_ip",
            "Forwarded",
            "X-Original-URL",
            "x!forwarded!for",
            "X-Auth-Request-User",
        ] {
            assert!(is_protected(name), "{name}");
        }
        for name in
            ["x-role", "X-Locale", "x-authenticator", "x-csrf-token", "x-timezone", "accept", "x-app", "x"]
        {
            assert!(!is_protected(name), "{name}");
        }
    }

    #[test]
    fn r09_protected_headers_go_even_when_there_is_nothing_to_set() {
        let mut headers = HeaderMap::new();
        for n in ["x-wecom-user", "x_wecom_user", "x-forwarded-for", "x-role"] {
            headers.append(n, HeaderValue::from_static("a"));
            headers.append(n, HeaderValue::from_static("b"));
        }
        strip_protected(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-role"]);
    }

    #[test]
    fn r10_a_request_keeps_nothing_of_its_last_hop() {
        let with = |connection: &'static [&'static str]| {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("host", "a"),
                ("accept", "*/*"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "close"),
                ("proxy-authorization", "Basic YQ=="),
                ("te", "trailers"),
                ("trailer", "x-sum"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABkAAQAAP__"),
            ] {
                headers.append(name, HeaderValue::from_static(value));
            }
            for value in connection {
                headers.append(header::CONNECTION, HeaderValue::from_static(value));
            }
            let done = strip_hop_by_hop_of_request(&mut headers);
            let mut left: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            left.sort();
            done.map(|()| left.join(" "))
        };
        let whole = Ok("accept host x-hop".to_owned());
        assert_eq!(with(&[]), whole);
        assert_eq!(with(&["keep-alive"]), whole);
        assert_eq!(with(&["close, ,", "Keep-Alive , upgrade,HTTP2-Settings"]), whole);
        assert_eq!(with(&["X-Hop"]), Ok("accept host".to_owned()));
        assert_eq!(with(&["keep-alive", "x-a ,x-HOP,accept"]), Ok("host".to_owned()));
        for bad in [
            &["host"][..],
            &["close", "HOST"],
            &["X-Forwarded-For"],
            &["x_wecom_user"],
            &[":authority"],
            &["\"x-hop\""],
            &["x hop"],
            &["a,b,c,d,e", "f,g,h,i,j"],
        ] {
            assert_eq!(with(bad), Err(InvalidConnection), "{bad:?}");
        }
    }

    #[test]
    fn a_response_keeps_nothing_of_its_last_hop() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Hop"),
            ("connection", "content-length,Set-Cookie, a b"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("content-length", "5"),
            ("trailer", "x-sum"),
            ("proxy-connection", "close"),
            ("upgrade", "h2c"),
            ("x-end", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut other = headers.clone();
        strip_hop_by_hop(&mut headers, StatusCode::OK);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-length", "x-end"]);
        strip_hop_by_hop(&mut other, StatusCode::UPGRADE_REQUIRED);
        assert_eq!(other["upgrade"], "h2c");
    }

    #[test]
    fn r28_a_response_has_one_length() {
        for (status, lengths, coding, left) in [
            (200, &["5, 5"][..], None, Some("5")),
            (200, &["5", "5"], None, Some("5")),
            (200, &["5 ,5,5"], None, Some("5")),
            (200, &["5"], None, Some("5")),
            (200, &["5"], Some("chunked"), None),
            (204, &["0"], None, None),
            (204, &["5"], Some("chunked"), None),
            (304, &["5"], None, Some("5")),
            (200, &[], None, None),
        ] {
            let mut headers = HeaderMap::new();
            for length in lengths {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            headers.extend(coding.map(|c| (header::TRANSFER_ENCODING, HeaderValue::from_static(c))));
            mend_length(&mut headers, StatusCode::from_u16(status).unwrap());
            let all: Vec<_> =
                headers.get_all(header::CONTENT_LENGTH).iter().map(|v| v.to_str().unwrap()).collect();
            assert_eq!(all, left.into_iter().collect::<Vec<_>>(), "{status} {lengths:?}");
            assert_eq!(headers.contains_key(header::TRANSFER_ENCODING), coding.is_some() && status != 204);
        }
    }

    #[test]
    fn r10_nominations_of_protected_headers_are_seen() {
        for (value, refused) in [
            ("close, X-WeCom-User", true),
            ("x_forwarded_user", true),
            ("keep-alive, Authorization", true),
            ("cookie", true),
            ("keep-alive, Upgrade", false),
            ("close", false),
        ] {
            assert_eq!(nominates_protected(&HeaderValue::from_static(value)), refused, "{value}");
        }
    }

    #[test]
    fn names_outside_ascii_are_percent_encoded() {
        let who =
            Identity {
                userid: "ZhangSan", corp_id: "ww1", entry: "wecom", name: "张三\r\nX: y", user_id: 7
            };
        let headers = identity_headers(&who);
        assert_eq!(headers.len(), 5);
        assert_eq!(headers[3].1, "%E5%BC%A0%E4%B8%89%0D%0AX: y");
    }
}

#[cfg(test)]
mod forwarding;
