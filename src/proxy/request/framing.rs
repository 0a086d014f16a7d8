//! What a request must comply with before anything is decided about it. Where Pingora is lenient, the gate refuses: a message
//! that two servers could read differently never reaches NocoBase (R6, R10, R17, R28).

use http::{Method, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session as HttpSession;

use crate::error::Failure;
use crate::proxy::headers;

/// The checks. A refusal closes the connection: nothing that follows on it can be trusted.
pub(crate) fn check(
    request: &RequestHeader,
    header_bytes: usize,
    body_bytes: Option<u64>,
) -> Result<(), Failure> {
    let (mut lengths, mut codings, mut odd, mut nominates) = (0_usize, 0_usize, false, false);
    let mut size = request.raw_path().len();
    for (name, value) in &request.headers {
        size += name.as_str().len() + value.len() + 4;
        match *name {
            header::CONTENT_LENGTH => {
                lengths += 1;
                // Servers read a list, a sign or a blank in different ways.
                odd |= value.is_empty() || !value.as_bytes().iter().all(u8::is_ascii_digit);
            }
            header::TRANSFER_ENCODING => {
                codings += 1;
                // The same for anything but plain `chunked`.
                odd |= !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            header::CONNECTION => nominates |= headers::nominates_protected(value),
            _ => {}
        }
    }
    let chunked = codings > 0;
    if odd || lengths > 1 || codings > 1 || (lengths == 1 && chunked) {
        return Err(Failure::BadRequest);
    }
    if chunked && request.version != Version::HTTP_11 && request.version != Version::HTTP_2 {
        return Err(Failure::BadRequest);
    }
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Err(Failure::MethodNotAllowed);
    }
    if nominates {
        return Err(Failure::BadRequest);
    }
    if size > header_bytes {
        return Err(Failure::HeadersTooLarge);
    }
    if let (Some(limit), Some(length)) = (body_bytes, content_length(request))
        && length > limit
    {
        return Err(Failure::TooLarge);
    }
    Ok(())
}

/// If a request is also chunked, Pingora removes `Content-Length` before any hook runs (its issue 945). The raw bytes still
/// contain it.
pub(crate) fn check_removed_length(downstream: &HttpSession) -> Result<(), Failure> {
    let chunked = downstream.req_header().headers.contains_key(header::TRANSFER_ENCODING);
    match downstream.as_http1() {
        Some(h1) if chunked && has_length(&h1.get_headers_raw_bytes()) => Err(Failure::BadRequest),
        _ => Ok(()),
    }
}

/// Does this raw head have a `Content-Length`? Folded lines have been refused before.
pub(crate) fn has_length(head: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    head.split(|b| *b == b'\n')
        .skip(1)
        .any(|line| line.get(..NAME.len()).is_some_and(|n| n.eq_ignore_ascii_case(NAME)))
}

/// The declared length of the body.
pub(crate) fn content_length(request: &RequestHeader) -> Option<u64> {
    request.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The only value of `Host`, or HTTP/2's `:authority`.
pub(crate) fn host(request: &RequestHeader) -> Option<&str> {
    let mut values = request.headers.get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, None) => request.uri.authority().map(http::uri::Authority::as_str),
        _ => None,
    }
}

/// Removes an invalid `Upgrade`: not to WebSocket, or not named in `Connection`. Pingora treats any request with this header as
/// an upgrade, so one that stays must be one that is decided on as an upgrade. Without it, the request is an ordinary one, as RFC
/// 9110 (7.8) allows.
pub(crate) fn drop_idle_upgrade(request: &mut RequestHeader) {
    if request.headers.contains_key(header::UPGRADE) && !is_upgrade(request) {
        request.remove_header(&header::UPGRADE);
    }
}

/// Is this an HTTP/1.1 upgrade to WebSocket? `Connection` is a list: browsers send `keep-alive, Upgrade`.
pub(crate) fn is_upgrade(request: &RequestHeader) -> bool {
    let mut protocols = request.headers.get_all(header::UPGRADE).iter();
    request.version == Version::HTTP_11
        && protocols.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none()
        && request.headers.get_all(header::CONNECTION).iter().any(|v| {
            v.as_bytes().split(|b| *b == b',').any(|t| t.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut r = RequestHeader::build("POST", b"/x", None).unwrap();
        for (n, v) in headers {
            r.append_header(*n, *v).unwrap();
        }
        r
    }

    #[test]
    fn r28_ambiguous_framing_is_refused() {
        for (headers, verdict) in [
            (&[("content-length", "3"), ("transfer-encoding", "chunked")][..], Err(Failure::BadRequest)),
            (&[("content-length", "3"), ("content-length", "3")], Err(Failure::BadRequest)),
            (&[("content-length", "3, 3")], Err(Failure::BadRequest)),
            (&[("content-length", "+3")], Err(Failure::BadRequest)),
            (&[("content-length", "")], Err(Failure::BadRequest)),
            (&[("transfer-encoding", "gzip, chunked")], Err(Failure::BadRequest)),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(Failure::BadRequest)),
            (&[("transfer-encoding", "\u{b}chunked")], Err(Failure::BadRequest)),
            (&[("transfer-encoding", "Chunked")], Ok(())),
            (&[("content-length", "3")], Ok(())),
            (&[], Ok(())),
        ] {
            // A vertical tab cannot even be built into a header value: skip what the parser refuses already.
            if headers.iter().any(|(_, v)| http::HeaderValue::from_str(v).is_err()) {
                continue;
            }
            assert_eq!(check(&request(headers), 32 << 10, None), verdict, "{headers:?}");
        }
    }

    #[test]
    fn r28_a_length_is_found_in_the_raw_head() {
        for (head, found) in [
            (&b"POST /x HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 3\r\n\r\n"[..], true),
            (b"POST /x HTTP/1.1\nContent-Length:3\n\n", true),
            (b"POST /Content-Length:3 HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n", false),
            (b"", false),
        ] {
            assert_eq!(has_length(head), found, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn r17_heads_and_bodies_are_bounded() {
        let big: &'static str = "x".repeat(4000).leak();
        assert_eq!(check(&request(&[("x-a", big)]), 4000, None), Err(Failure::HeadersTooLarge));
        assert_eq!(check(&request(&[("content-length", "11")]), 4000, Some(10)), Err(Failure::TooLarge));
        assert_eq!(check(&request(&[("content-length", "10")]), 4000, Some(10)), Ok(()));
    }

    #[test]
    fn upgrades_are_read_from_a_list() {
        assert!(is_upgrade(&request(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
        assert!(!is_upgrade(&request(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
        assert!(!is_upgrade(&request(&[("connection", "upgrade")])));
    }

    #[test]
    fn r31_an_upgrade_that_is_none_is_no_upgrade_to_pingora_either() {
        for (headers, stays) in [
            (&[("connection", "Upgrade"), ("upgrade", "WebSocket")][..], true),
            (&[("connection", "close"), ("upgrade", "websocket")], false),
            (&[("upgrade", "websocket")], false),
            (&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")], false),
            (&[("connection", "Upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")], false),
            (&[("connection", "Upgrade"), ("upgrade", "h2c, websocket")], false),
        ] {
            let mut r = request(headers);
            drop_idle_upgrade(&mut r);
            assert_eq!(r.headers.contains_key("upgrade"), stays, "{headers:?}");
            assert_eq!(is_upgrade(&r), stays, "{headers:?}");
        }
    }
}

#[cfg(test)]
mod heads;
