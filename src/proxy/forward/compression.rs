//! Which NocoBase responses are compressed when forwarded: NocoBase's API sends everything uncompressed.
//!
//! Must never: compress a response that another site may have requested (`ForwardOptions::may_compress`). Its size would reveal
//! whether a text chosen by that site is in the response (BREACH).

use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora::proxy::Session as HttpSession;

use crate::proxy::coding::{Accepted, Coding};
use crate::proxy::context::Context;
use crate::proxy::rewrite::body_coder::BodyCoder;

/// A smaller body fits into one or two packets.
const MIN_BYTES: u64 = 1024;
/// Fastest first.
const PREFERRED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// Has the body of this response compressed, if that is worthwhile, allowed and accepted.
pub(super) fn prepare(downstream: &HttpSession, response: &mut Parts, ctx: &mut Context) {
    let request = downstream.req_header();
    let whole = ctx.injector.is_none() && request.method != Method::HEAD && !downstream.is_upgrade_req();
    if !whole
        || !ctx.forward.is_some_and(|f| f.may_compress)
        || !is_worth_it(response.status, &response.headers)
    {
        return;
    }
    append_vary(&mut response.headers);
    let coding = Accepted::of(&request.headers).best(PREFERRED);
    let Some(name) = coding.name() else { return };
    let streamed = !response.headers.contains_key(header::CONTENT_LENGTH);
    let Ok(coder) = BodyCoder::new(coding, streamed) else { return };
    ctx.body_coder = Some(Box::new(coder));
    let headers = &mut response.headers;
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    for gone in [header::CONTENT_LENGTH, header::ACCEPT_RANGES, HeaderName::from_static("content-md5")] {
        headers.remove(gone);
    }
    // The bytes differ, the content is the same (RFC 9110, 8.8.3.3).
    let weak = headers
        .get(header::ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""))
        .and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
    if request.version == Version::HTTP_11 {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Text of some length, complete, uncompressed. A page contains a secret of its session, and an event stream must not be delayed.
fn is_worth_it(status: StatusCode, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).map(|length| length.trim().parse::<u64>().unwrap_or(0));
    let fixed = headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
        value.to_str().map_or(true, |value| value.to_ascii_lowercase().contains("no-transform"))
    });
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    status == StatusCode::OK
        && length.is_none_or(|length| length >= MIN_BYTES)
        && !fixed
        && !coded
        && !headers.contains_key(header::CONTENT_RANGE)
        && match kind.as_str() {
            "text/event-stream" | "text/html" => false,
            "application/json" | "application/javascript" | "application/xml" | "image/svg+xml" => true,
            kind => kind.starts_with("text/") || kind.starts_with("application/") && kind.ends_with("+json"),
        }
}

/// Adds `Accept-Encoding` to `Vary`.
fn append_vary(headers: &mut HeaderMap) {
    let named = headers.get_all(header::VARY).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .map(str::trim)
                .any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding"))
        })
    });
    if !named {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressible(status: u16, lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        is_worth_it(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn only_whole_text_of_some_length_is_compressed() {
        let json = ("content-type", "application/json; charset=utf-8");
        for good in [
            &[json][..],
            &[json, ("content-length", "1024")],
            &[json, ("content-encoding", "identity")],
            &[json, ("cache-control", "private, no-store")],
            &[("content-type", "Text/CSV")],
            &[("content-type", "application/vnd.api+json")],
        ] {
            assert!(compressible(200, good), "{good:?}");
        }
        for bad in [
            &[][..],
            &[json, ("content-length", "1023")],
            &[json, ("content-encoding", "gzip")],
            &[json, ("cache-control", "no-cache"), ("cache-control", "No-Transform")],
            &[json, ("content-range", "bytes 0-1/2")],
            &[("content-type", "text/event-stream")],
            &[("content-type", "text/html; charset=utf-8")],
            &[("content-type", "image/png")],
            &[("content-type", "application/octet-stream")],
        ] {
            assert!(!compressible(200, bad), "{bad:?}");
        }
        for status in [201, 204, 206, 304, 401, 500] {
            assert!(!compressible(status, &[json]), "{status}");
        }
    }

    #[test]
    fn caches_get_the_vary_header() {
        for (before, after) in
            [(&[][..], 1), (&["Origin"], 2), (&["origin, ACCEPT-encoding"], 1), (&["*"], 1)]
        {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(header::VARY, HeaderValue::from_static(value));
            }
            append_vary(&mut headers);
            assert_eq!(headers.get_all(header::VARY).iter().count(), after, "{before:?}");
        }
    }
}
