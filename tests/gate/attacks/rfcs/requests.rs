//! Requests: their scheme, their target, and pipelining.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn r03_only_a_trusted_proxy_may_report_tls() {
    for (trusted, forwarded, expected) in
        [(true, "https", true), (true, "http", false), (true, "", false), (false, "https", false)]
    {
        let (_upstream, setup, gate) = gate_with(|s| {
            let networks = if trusted { vec!["127.0.0.1/32"] } else { Vec::new() };
            s.https().set("access.trusted_proxies", networks)
        })
        .await;
        let headers =
            if forwarded.is_empty() { String::new() } else { format!("X-Forwarded-Proto: {forwarded}\r\n") };
        for target in ["/api/public", "/api/x", "/wecom-gate/sign-in"] {
            let got = setup.send_raw_over(&gate, false, get(target, &headers)).await;
            assert_eq!(
                got.header("strict-transport-security").is_some(),
                expected,
                "{target} {trusted} {forwarded}"
            );
        }
    }
}

/// Node.js accepts these in a query, and so do programs written for it.
#[tokio::test(flavor = "multi_thread")]
async fn r01_characters_that_node_takes_in_a_query_are_encoded_on_the_way() {
    let (upstream, setup, gate) =
        gate_with(|s| s.https().set("access.public", vec!["GET /api/public"])).await;
    for (query, sent) in [
        (r#"filter={"id":1}"#, "filter=%7B%22id%22:1%7D"),
        ("a=<b>", "a=%3Cb%3E"),
        ("a=b|c^d`e", "a=b%7Cc%5Ed%60e"),
        ("name=张三", "name=%E5%BC%A0%E4%B8%89"),
        (
            r#"filter={"$and":[{"name.$includes":"é"}]}&sort[]=-id"#,
            "filter=%7B%22$and%22:[%7B%22name.$includes%22:%22%C3%A9%22%7D]%7D&sort[]=-id",
        ),
        ("a=%7B{", "a=%7B%7B"),
        ("?{?", "?%7B?"),
    ] {
        for tls in [false, true] {
            for target in [format!("/api/public?{query}"), format!("http://{HOST}/api/public?{query}")] {
                // Whole, and byte by byte.
                let whole = setup.send_raw_over(&gate, tls, get(&target, "")).await;
                assert_eq!(whole.status(), 200, "{target}: {}", whole.text());
                let mut line = setup.line(&gate, tls).await;
                for byte in get(&target, "").as_bytes() {
                    line.write_all(&[*byte]).await.unwrap();
                    line.flush().await.unwrap();
                }
                let slow = read_response(&mut line).await;
                assert_eq!(slow.status(), 200, "{target}: {}", slow.text());
                for seen in upstream.take() {
                    assert_eq!(seen.target(), format!("/api/public?{sent}"), "{target}");
                }
            }
        }
    }
    let invalid = [&b"GET /api/public?a=\xff\xfe HTTP/1.1\r\nHost: gate.test\r\n\r\n"[..]].concat();
    assert_eq!(send_raw(gate.http, &invalid).await.status(), 200);
    assert_eq!(upstream.take()[0].target(), "/api/public?a=%FF%FE");
    // A token in such a query is still found, and a long one is still read.
    let token = format!("/api/x?filter={{}}&token={}", "x".repeat(20));
    assert_eq!(send_raw(gate.http, get(&token, "")).await.status(), 401);
    let long = format!("/api/public?{}", "{".repeat(6000));
    assert_eq!(send_raw(gate.http, get(&long, "")).await.status(), 200);
    assert_eq!(upstream.take()[0].target().len(), "/api/public?".len() + 3 * 6000);
    // None of this creates a path or a second request.
    for target in [
        "/api/{public",
        "/api/public\"",
        "/api/public#?{",
        "/api\\public?{",
        "/api/public?a HTTP/1.1\r\nX: {",
        "/api/%7bpublic",
        "/api/public/..?{",
        "/api//public?\"",
    ] {
        let got = send_raw(gate.http, get(target, "")).await;
        assert!(got.count() <= 1, "{target}: {}", got.text());
        for seen in upstream.take() {
            assert_eq!(seen.target().split('?').next(), Some("/api/public"), "{target}: {}", seen.head);
        }
    }
    let refused = setup
        .send_raw_over(&gate, false, "GET /some/\u{1}where?token=secret HTTP/1.1\r\nHost: gate.test\r\n\r\n")
        .await;
    assert_eq!(refused.status(), 400, "{}", refused.text());
    let id = refused.header("x-request-id").unwrap();
    let lines = gate.wait_for_lines("request_id", &id, 1).await;
    assert!(lines[0]["path"].as_str().unwrap().starts_with("/some/"), "{}", lines[0]);
    let written = gate.written_until_now().await;
    assert!(!written.contains("secret"), "{written}");
}

fn chunked(target: &str, chunks: &str) -> String {
    chunked_with(target, "", chunks)
}

fn chunked_with(target: &str, headers: &str, chunks: &str) -> String {
    request("POST", target, &format!("Transfer-Encoding: chunked\r\n{headers}")) + chunks
}

/// RFC 9112, 9.3.2 and 9.6: the second request is not served, and the first response announces the close.
#[tokio::test(flavor = "multi_thread")]
async fn r28_pipelining_is_refused_explicitly() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let second = get("/api/public?second", "");
    let member = setup.visitor().lines();
    for (what, first) in [
        ("GET", get("/api/public", "")),
        ("own page", get("/wecom-gate/sign-in", "")),
        ("refused", get("/api/x", "")),
        ("signed in", get("/api/x", &member)),
        ("POST", request("POST", "/api/public", "Content-Length: 5\r\n") + "hello"),
        ("HEAD", request("HEAD", "/wecom-gate/sign-in", "")),
        ("an odd query", get("/api/public?{\"", "")),
        ("chunked", chunked("/api/public", "5\r\nhello\r\n0\r\n\r\n")),
        ("chunked, nothing in it", chunked("/api/public", "0\r\n\r\n")),
        (
            "chunked, with extensions",
            chunked("/api/public", "5;a=b\r\nhello\r\n3\r\n\r\n0\r\n00;c=d\r\n\r\n"),
        ),
        ("chunked, with trailers", chunked("/api/public", "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")),
        ("chunked, signed in", chunked_with("/api/x", &member, "5\r\nhello\r\n0\r\n\r\n")),
        (
            "chunked, larger than a buffer",
            chunked("/api/public", &format!("2000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x2000))),
        ),
    ] {
        for tls in [false, true] {
            for behind in [second.clone(), second[..1].to_owned(), second.repeat(3)] {
                upstream.take();
                let got = setup.send_raw_over(&gate, tls, format!("{first}{behind}")).await;
                assert_eq!(got.count(), 1, "{what}: {}", got.text());
                assert_eq!(got.header("connection").as_deref(), Some("close"), "{what}: {}", got.text());
                assert!(got.closed, "{what}");
                assert!(upstream.take().iter().all(|r| !r.target().contains("second")), "{what}");
            }
        }
    }
    // One request after the other is not pipelining.
    let mut line = setup.line(&gate, true).await;
    for _ in 0..3 {
        for bytes in [
            get("/api/public", ""),
            request("POST", "/api/public", "Content-Length: 5\r\n") + "hello",
            get("/api/public?{", ""),
            chunked("/api/public", "5\r\nhello\r\n0\r\n\r\n"),
            chunked("/api/public", "0\r\nX-Sum: 1\r\n\r\n"),
        ] {
            line.write_all(bytes.as_bytes()).await.unwrap();
            line.flush().await.unwrap();
            let got = read_response(&mut line).await;
            assert_eq!(got.header("connection").as_deref(), Some("keep-alive"), "{}", got.text());
        }
    }
}

/// What the gate neither sets nor removes is forwarded unchanged: method, target, other headers and the body.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_gates_arrives_as_it_was_sent() {
    const SENT: [(&str, &str); 11] = [
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "zh-CN,zh;q=0.9"),
        ("content-type", "application/json"),
        ("referer", "http://gate.test/admin/x?y=1"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0.0.0"),
        ("x-authenticator", "basic"),
        ("x-locale", "zh-CN"),
        ("x-odd", "a  b\tc, \"d\""),
        ("x-role", "member"),
        ("x-timezone", "+08:00"),
        ("x-with-acl-meta", "true"),
    ];
    const OWN: [&str; 8] = [
        "host",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-for",
        "x-request-id",
        "x-app",
        "authorization",
        "connection",
    ];
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (method, target, body) in [
        ("POST", "/api/x:create?filter=%7B%22a%22%3A1%7D&b=%20+c&b=&d", "{\"a\":\"张\"}"),
        ("PUT", "/api/%E4%B8%AD/1", "{}"),
        ("PATCH", "/api/x/1:update", ""),
        ("DELETE", "/api/x/1?a[]=1&a[]=2", ""),
    ] {
        let headers: String = SENT.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len().to_string();
        let lines = format!("{}{headers}Content-Length: {length}\r\n", member.lines());
        let response = send_raw(gate.http, request(method, target, &lines) + body).await;
        assert_eq!(response.status(), 200, "{method} {target}: {}", response.text());
        let seen = upstream.take().remove(0);
        assert_eq!(seen.line(), format!("{method} {target} HTTP/1.1"));
        assert_eq!(String::from_utf8_lossy(&seen.body), body);
        let mut others: Vec<(String, &str)> = seen
            .headers()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .collect();
        others.sort_unstable();
        let mut sent: Vec<(String, &str)> =
            SENT.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        sent.push(("content-length".to_owned(), &length));
        sent.sort_unstable();
        assert_eq!(others, sent, "{method} {target}");
    }
}

/// The gate could not find a token in compressed frames (RFC 7692): compression is never negotiated.
#[tokio::test(flavor = "multi_thread")]
async fn r41_no_websocket_is_compressed() {
    let (upstream, setup, gate) = gate().await;
    let own = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    for (path, who) in [("/ws", own.as_str()), ("/ws-public", "")] {
        let response = send_raw(gate.http, upgrade(path, &format!("{who}{offer}"))).await;
        assert_eq!(response.status(), 101, "{path}: {}", response.text());
        assert!(response.all("sec-websocket-extensions").is_empty(), "{path}: {}", response.text());
        let seen = upstream.take().remove(0);
        assert!(seen.all("sec-websocket-extensions").is_empty(), "{path}: {}", seen.head);
    }
}
