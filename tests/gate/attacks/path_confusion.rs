//! R1, R2, R6: the request that is decided on is the one that is forwarded, and only method and path make a request public.

use crate::support::raw::{gate, gate_with, get, request, send_raw};

/// Paths that two parsers could read differently.
const CONFUSING: &[&str] = &[
    "/api/public/..%2fsecret",
    "/api/public/%2e%2e/secret",
    "/api/public/../secret",
    "/api/./public",
    "/api/public/%2e/x",
    "//api/public",
    "/api//public",
    "/api%2fpublic",
    "/api%2Fpublic",
    "/api%5cpublic",
    "/api\\public",
    "/api/public%23x",
    "/api/public%00",
    "/api/public%0d%0aX-User:%20root",
    "/api/public%09",
    "/api/public%7f",
    "/api/public/%252e%252e/x",
    "/api/%252e%252e/secret",
    "/api/%25252e%25252e/secret",
    "/api%252fpublic",
    "/api/public%ff",
    "/api/public%c0%ae%c0%ae/x",
    "/api/public%e0%80%af",
    "/api/public%",
    "/api/public%2",
    "/api/public%zz",
    "/api/public%u002e",
    "/api/public%c2%85",
    "/files/..%5c..%5csecret",
    "/api/orders/..%2f..%2fsecret/items:list",
    "/api/orders/a%2f..%2fb/items:list",
    "/api/orders/a%2f%00/items:list",
    "/api/orders/a%252f..%252fb/items:list",
    "/api/public/a%2fb/items/x:list",
    "/static/..;/api/secret",
    "/static/..%3bx/api/secret",
    "/static/.;x/a",
];

#[tokio::test(flavor = "multi_thread")]
async fn r01_what_parsers_read_differently_never_reaches_nocobase() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for path in CONFUSING {
        for headers in [String::new(), member.lines()] {
            let response = send_raw(gate.http, get(path, &headers)).await;
            assert_eq!(response.status(), 400, "{path}: {}", response.text());
        }
    }
    // Bytes that are invalid in a URL: refused, or at most not let through.
    for path in
        [&b"/api/public\x80"[..], b"/api/\xff\xfe", b"/api/public\x01", b"/api/\xc0\xae\xc0\xae/secret"]
    {
        let bytes =
            [b"GET ", path, b" HTTP/1.1\r\nHost: gate.test\r\n", member.lines().as_bytes(), b"\r\n"].concat();
        let response = send_raw(gate.http, bytes).await;
        assert!(matches!(response.status(), 0 | 400), "{path:?}: {}", response.text());
    }
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_one_spelling_reaches_nocobase() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (sent, headers, forwarded) in [
        ("/api/public", String::new(), "/api/public"),
        ("/%61pi/publi%63", String::new(), "/api/public"),
        ("/api/%70ublic?a=%61&b=/../x", String::new(), "/api/public?a=%61&b=/../x"),
        ("/api/users%3alist", member.lines(), "/api/users%3Alist"),
        ("/api/users:list?filter=%7B%22a%22:1%7D", member.lines(), "/api/users:list?filter=%7B%22a%22:1%7D"),
        ("/api/caf%c3%a9", member.lines(), "/api/caf%C3%A9"),
        ("/api/orders/A%2f001/items:list", member.lines(), "/api/orders/A%2F001/items:list"),
        ("/api/orders/%5c%23%3f%25%3b/items:list", member.lines(), "/api/orders/%5C%23%3F%25%3B/items:list"),
        ("/api/orders/A%252F001/items?a=%2F", member.lines(), "/api/orders/A%252F001/items?a=%2F"),
    ] {
        let response = send_raw(gate.http, get(sent, &headers)).await;
        assert_eq!(response.status(), 200, "{sent}: {}", response.text());
        let seen = upstream.take();
        assert_eq!(seen.len(), 1, "{sent}");
        assert_eq!(seen[0].target(), forwarded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_a_key_with_encoded_delimiters_passes_no_rule_and_no_stranger() {
    let (upstream, setup, gate) = gate_with(|s| s.set("access.public", vec!["* /**"])).await;
    for key in ["A%2F001", "%5C", "%23", "A%252F"] {
        let path = format!("/api/orders/{key}/items:list");
        let response = send_raw(gate.http, get(&path, "")).await;
        assert_eq!(response.status(), 401, "{path}: {}", response.text());
        assert!(upstream.take().is_empty(), "{path}");
        let response = send_raw(gate.http, get(&path, &setup.visitor().lines())).await;
        assert_eq!((response.status(), upstream.take().len()), (200, 1), "{path}: {}", response.text());
    }
    let response = send_raw(gate.http, get("/api/orders/A%20001/items:list", "")).await;
    assert_eq!((response.status(), upstream.take().len()), (200, 1), "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_nothing_but_method_and_path_makes_a_request_public() {
    let (upstream, _setup, gate) = gate().await;
    for (method, target, headers) in [
        ("GET", "/api/secret?/api/public", ""),
        ("GET", "/api/secret?x=/api/public", ""),
        ("GET", "/api/secret;/api/public", ""),
        ("GET", "/api/publi", ""),
        ("GET", "/api/publicx", ""),
        ("GET", "/api/public/", ""),
        ("GET", "/api/public/x", ""),
        ("GET", "/x/api/public", ""),
        ("GET", "/API/PUBLIC", ""),
        ("DELETE", "/api/public", ""),
        ("HEAD", "/api/public", ""),
        ("get", "/api/public", ""),
        ("GET", "/api/secret", "User-Agent: GoogleHC/1.0\r\n"),
        ("GET", "/api/secret", "User-Agent: kube-probe/1.27\r\n"),
        ("GET", "/api/secret", "X-Original-URI: /api/public\r\nX-Original-URL: /api/public\r\n"),
        ("GET", "/api/secret", "X-Forwarded-Uri: /api/public\r\nX-Rewrite-URL: /api/public\r\n"),
        ("DELETE", "/api/public", "X-HTTP-Method-Override: GET\r\nX-Forwarded-Method: GET\r\n"),
        ("GET", "/api/secret", "Referer: http://gate.test/api/public\r\n"),
        ("GET", "/api/secret", "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n"),
        ("GET", "/api/secret?token=x", ""),
    ] {
        let response = send_raw(gate.http, request(method, target, headers)).await;
        assert!((400..500).contains(&response.status()), "{method} {target} {headers}: {}", response.text());
    }
    // `#` is not part of a request target.
    let response = send_raw(gate.http, get("/api/secret#/api/public", "")).await;
    assert!((400..500).contains(&response.status()), "{}", response.text());
    assert!(upstream.take().is_empty());
    // The public path itself is open, whatever else the request contains.
    for headers in ["", "User-Agent: GoogleHC/1.0\r\nX-Original-URI: /api/secret\r\n"] {
        let response = send_raw(gate.http, get("/api/public?x=/api/secret", headers)).await;
        assert_eq!((response.status(), upstream.take().len()), (200, 1), "{}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_requests_without_a_path_are_refused() {
    let (upstream, setup, mut gate) = gate_with(|s| s.https()).await;
    let cookie = setup.visitor().lines();
    let h = format!("Host: gate.test\r\n{cookie}\r\n");
    let lines = [
        format!("CONNECT gate.test:443 HTTP/1.1\r\n{h}"),
        format!("CONNECT / HTTP/1.1\r\n{h}"),
        format!("OPTIONS * HTTP/1.1\r\n{h}"),
        format!("GET * HTTP/1.1\r\n{h}"),
        format!("GET  HTTP/1.1\r\n{h}"),
        format!("GET HTTP/1.1\r\n{h}"),
        format!("GET ? HTTP/1.1\r\n{h}"),
        format!("GET api/public HTTP/1.1\r\n{h}"),
        format!("GET http://evil.test/api/public HTTP/1.1\r\n{h}"),
        format!("GET http://gate.test:1/api/public HTTP/1.1\r\n{h}"),
        format!("GET http://user@gate.test/api/public HTTP/1.1\r\n{h}"),
        format!("GET gate.test:80 HTTP/1.1\r\n{h}"),
        format!("TRACE /api/public HTTP/1.1\r\n{h}"),
        format!("GET file:///etc/passwd HTTP/1.1\r\n{h}"),
        "POST /wecom-gate/logout HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n"
            .replace("/wecom-gate/logout", "*"),
    ];
    for (tls, line) in [false, true].into_iter().flat_map(|tls| lines.iter().map(move |line| (tls, line))) {
        let response =
            setup.send_raw_over(&gate, tls, format!("{line}{}", get("/api/public?second", ""))).await;
        assert!(matches!(response.status(), 0 | 400 | 404 | 405 | 421), "{line}: {}", response.text());
        let seen = upstream.take();
        assert!(seen.iter().all(|r| r.target() == "/api/public?second"), "{line}: {seen:?}");
        assert!(upstream.recorded().garbage.is_empty(), "{line}: {:?}", upstream.recorded().garbage);
    }
    gate.is_unharmed("after all of these").await;
    // The absolute form of our own address is the same request, and is forwarded in origin form.
    for (tls, scheme) in [(false, "http"), (true, "https")] {
        let absolute = get(&format!("{scheme}://gate.test/api/public?x"), "");
        let response = setup.send_raw_over(&gate, tls, absolute).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(upstream.take()[0].target(), "/api/public?x");
    }
}
