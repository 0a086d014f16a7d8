//! The responses that replace Pingora's.

use super::*;
use crate::metrics::Metrics;

const THEIRS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";

fn refusals() -> Refusals {
    let metrics = Metrics::new(&["wecom"]).unwrap();
    Refusals::new(metrics.connections.clone(), Arc::new(RequestIds::new()))
}

/// Head and body of the response to this request.
fn respond(theirs: &[u8], method: &[u8]) -> (String, String) {
    let bytes = refusals().respond(theirs, &RequestName::new(method, b"/x"), None);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn what_pingora_refuses_gets_a_response_that_says_why() {
    let (head, body) = respond(THEIRS, b"GET");
    assert!(head.starts_with("http/1.1 400 bad request\r\n"), "{head}");
    assert!(head.contains("\r\ndate: sun, 06 nov 1994 08:49:37 gmt\r\n"), "{head}");
    assert!(head.contains("\r\nx-request-id: ") && head.ends_with("\r\nconnection: close"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
    assert!(!head.contains("allow:"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(body["errors"][0]["message"].is_string(), "{body}");
}

#[test]
fn a_method_that_is_not_allowed_names_those_that_are() {
    let (head, _) = respond(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n", b"GET");
    assert!(head.starts_with("http/1.1 405 method not allowed\r\n"), "{head}");
    assert!(head.contains("\r\nallow: ") && !head.contains("\r\ndate: "), "{head}");
    let (head, _) = respond(b"", b"GET");
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[test]
fn the_response_to_head_has_the_length_and_no_body() {
    let (head, body) = respond(THEIRS, b"HEAD");
    let (_, of_get) = respond(THEIRS, b"GET");
    assert_eq!(body, "");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", of_get.len())), "{head}");
}

#[test]
fn a_date_is_found_whatever_its_case() {
    assert_eq!(date(b"HTTP/1.1 400 X\r\nA: b\r\ndAtE: now\r\n\r\n"), Some("now"));
    assert_eq!(date(b"HTTP/1.1 400 X\r\nA: Date: no\r\n\r\n"), None);
    assert_eq!(date(b"\xff\r\nDate: now\r\n"), None);
}

#[test]
fn r27_of_an_absolute_target_the_host_and_path_are_left() {
    for (target, left) in [
        (&b"http://gate.test/x"[..], &b"gate.test/x"[..]),
        (b"https://a@b@gate.test/x@y", b"gate.test/x@y"),
        (b"ws://g", b"g"),
        (b"", b""),
    ] {
        assert_eq!(path(target), left, "{}", String::from_utf8_lossy(target));
    }
}
