//! The headers that the gate sets.

use super::*;

#[test]
fn r09_what_the_gate_says_replaces_what_was_there() {
    let of = HeaderValue::from_static;
    let mut headers = HeaderMap::new();
    for name in ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-app", "x-request-id"]
    {
        headers.append(HeaderName::from_static(name), of("forged"));
        headers.append(HeaderName::from_static(name), of("forged"));
    }
    let origin = Origin { authority: of("nb.test"), scheme: of("https"), app: of("crm") };
    set_forwarding(&mut headers, &origin, of("192.0.2.1"), of("id-1"));
    let mut all: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("host", "nb.test"),
            ("x-app", "crm"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "nb.test"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "id-1"),
        ]
    );
}

#[test]
fn r09_the_member_is_named_by_the_gate_alone() {
    let mut headers = HeaderMap::new();
    headers.append("x-wecom-user", HeaderValue::from_static("forged"));
    let who = Identity { userid: "zhangsan", corp_id: "ww1", entry: "wecom", name: "Zhang San", user_id: 7 };
    set_identity(&mut headers, &who);
    let mut all: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("x-forwarded-user", "7"),
            ("x-wecom-corp", "ww1"),
            ("x-wecom-entry", "wecom"),
            ("x-wecom-name", "Zhang San"),
            ("x-wecom-user", "zhangsan"),
        ]
    );
}

#[test]
fn r08_each_protected_name_is_so_by_itself() {
    for name in PROTECTED {
        assert!(is_protected(name) && is_protected(&name.to_uppercase().replace('-', "_")), "{name}");
    }
    // A prefix protects every name that begins with it; a single name protects only itself.
    for prefix in PROTECTED_PREFIXES {
        assert!(is_protected(prefix) && is_protected(&format!("{prefix}-anything")), "{prefix}");
    }
    for other in
        ["forwarded-by", "remote-users", "proxys", "xx-forwarded", "true-client", "f", "p", "t", "r", ""]
    {
        assert!(!is_protected(other), "{other}");
    }
}

#[test]
fn text_is_ascii() {
    let mut request = pingora::http::RequestHeader::build("GET", b"/", None).unwrap();
    request.append_header("x-a", "one").unwrap();
    request.append_header("x-a", "two").unwrap();
    request.append_header("x-b", HeaderValue::from_bytes(b"\xe5\x90").unwrap()).unwrap();
    let name = HeaderName::from_static;
    assert_eq!(text(&request, &name("x-a")), Some("one"));
    assert_eq!(text(&request, &name("x-b")), None);
    assert_eq!(text(&request, &name("x-c")), None);
    assert_eq!(ascii(&HeaderValue::from_static("~ ")), Some("~ "));
}
