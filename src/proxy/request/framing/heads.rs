//! Limits of a request head, exactly.

use super::*;

fn request(method: &str, target: &[u8], headers: &[(&'static str, &'static str)]) -> RequestHeader {
    let mut request = RequestHeader::build(method, target, None).unwrap();
    for (name, value) in headers {
        request.append_header(*name, *value).unwrap();
    }
    request
}

#[test]
fn r17_a_head_is_measured_with_its_target_and_what_stands_around_each_header() {
    // "/x", and "x-a: 12345\r\n" with the four bytes that are neither name nor value.
    let one = request("GET", b"/x", &[("x-a", "12345")]);
    assert_eq!(check(&one, 14, None), Ok(()));
    assert_eq!(check(&one, 13, None), Err(Failure::HeadersTooLarge));
    let two = request("GET", b"/x", &[("x-a", "12345"), ("x-bc", "")]);
    assert_eq!(check(&two, 22, None), Ok(()));
    assert_eq!(check(&two, 21, None), Err(Failure::HeadersTooLarge));
    assert_eq!(check(&request("GET", b"/xyz", &[]), 3, None), Err(Failure::HeadersTooLarge));
}

#[test]
fn r28_chunks_are_for_versions_that_have_them() {
    for (version, verdict) in [
        (Version::HTTP_09, Err(Failure::BadRequest)),
        (Version::HTTP_10, Err(Failure::BadRequest)),
        (Version::HTTP_11, Ok(())),
        (Version::HTTP_2, Ok(())),
    ] {
        let mut chunked = request("POST", b"/x", &[("transfer-encoding", "chunked")]);
        chunked.set_version(version);
        assert_eq!(check(&chunked, 1000, None), verdict, "{version:?}");
        let mut plain = request("POST", b"/x", &[("content-length", "3")]);
        plain.set_version(version);
        assert_eq!(check(&plain, 1000, None), Ok(()), "{version:?}");
    }
}

#[test]
fn methods_for_proxies_and_nominations_are_refused() {
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(
            check(&request(method, b"/x", &[]), 1000, None),
            Err(Failure::MethodNotAllowed),
            "{method}"
        );
    }
    for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE", "PROPFIND"] {
        assert_eq!(check(&request(method, b"/x", &[]), 1000, None), Ok(()), "{method}");
    }
    for (value, verdict) in [("close, X-Forwarded-For", Err(Failure::BadRequest)), ("close", Ok(()))] {
        assert_eq!(check(&request("GET", b"/x", &[("connection", value)]), 1000, None), verdict, "{value}");
    }
}

#[test]
fn r17_a_body_may_be_as_long_as_the_limit_and_any_length_without_one() {
    for (length, limit, verdict) in [
        ("10", Some(10), Ok(())),
        ("11", Some(10), Err(Failure::TooLarge)),
        ("11", None, Ok(())),
        ("0", Some(0), Ok(())),
    ] {
        let body = request("POST", b"/x", &[("content-length", length)]);
        assert_eq!(check(&body, 1000, limit), verdict, "{length} {limit:?}");
    }
    assert_eq!(content_length(&request("POST", b"/x", &[("content-length", "7")])), Some(7));
    assert_eq!(content_length(&request("POST", b"/x", &[])), None);
}

#[test]
fn a_request_has_one_host_or_an_authority() {
    for (target, hosts, host_is) in [
        (&b"/x"[..], &["a.test"][..], Some("a.test")),
        (b"/x", &["a.test", "a.test"], None),
        (b"/x", &["a.test", "b.test", "c.test"], None),
        (b"/x", &[], None),
        (b"http://b.test:8080/x", &[], Some("b.test:8080")),
        (b"http://b.test/x", &["a.test"], Some("a.test")),
    ] {
        let mut headers = Vec::new();
        headers.extend(hosts.iter().map(|host| ("host", *host)));
        let mut request = request("GET", b"/x", &headers);
        request.set_uri(std::str::from_utf8(target).unwrap().parse().unwrap());
        assert_eq!(host(&request), host_is, "{hosts:?}");
    }
}

#[test]
fn an_upgrade_is_one_of_http_1_1() {
    for (version, is) in [(Version::HTTP_10, false), (Version::HTTP_11, true), (Version::HTTP_2, false)] {
        let mut upgrade = request("GET", b"/ws", &[("connection", "upgrade"), ("upgrade", "websocket")]);
        upgrade.set_version(version);
        assert_eq!(is_upgrade(&upgrade), is, "{version:?}");
    }
}
