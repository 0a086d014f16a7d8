//! What the HTTP and WebSocket standards require of a proxy.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::raw::{
    HOST, Process, Upstream, Visitor, gate, gate_with, get, read_response, request, send_raw, upgrade,
};

mod requests;

fn set_raw_response(upstream: &Upstream, raw: &str) {
    upstream.recorded().responses.insert("/api/public".into(), raw.as_bytes().to_vec());
}

fn old(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.0\r\nHost: {HOST}\r\n{headers}\r\n")
}

/// RFC 9112, 6.1; RFC 9110, 15.2.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_http_1_0_get_no_chunks_and_nothing_in_between() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.js>\r\n\r\n";
    for (raw, body) in [
        (chunked.to_owned(), "hello world"),
        (format!("{early}{chunked}"), "hello world"),
        (format!("HTTP/1.1 100 Continue\r\n\r\n{chunked}"), "hello world"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".into(), "hi"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n".into(), "hi"),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n".into(), "no"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".into(), ""),
    ] {
        set_raw_response(&upstream, &raw);
        for tls in [false, true] {
            for headers in ["", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n"] {
                let got = setup.send_raw_over(&gate, tls, old("/api/public", headers)).await;
                assert_eq!(got.body(), body, "{raw:?} {headers:?}: {}", got.text());
                assert_eq!(got.header("transfer-encoding"), None, "{}", got.text());
                assert_eq!(got.count(), 1, "{}", got.text());
                if got.header("content-length").is_none() && got.status() != 204 {
                    assert!(got.closed, "{headers:?}: {}", got.text());
                    assert_eq!(got.header("connection").as_deref(), Some("close"), "{}", got.text());
                }
            }
        }
        let new = send_raw(gate.http, get("/api/public", "")).await;
        assert!(new.text().starts_with("HTTP/1.1"), "{}", new.text());
    }
    // Other requests of such clients, and the gate's own responses.
    set_raw_response(&upstream, chunked);
    for (what, line, status) in [
        ("HEAD", format!("HEAD /api/public HTTP/1.0\r\nHost: {HOST}\r\n\r\n"), 401),
        ("a body", format!("POST /api/public HTTP/1.0\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nhi"), 200),
        ("refused", old("/api/x", ""), 401),
        ("refused, and kept", old("/api/x", "Connection: keep-alive\r\n"), 401),
        ("own page", old("/wecom-gate/sign-in", "Connection: keep-alive\r\n"), 200),
        ("a member", old("/api/x", &setup.visitor().lines()), 200),
        ("no path", old("*", ""), 400),
        ("no host", "GET /api/public HTTP/1.0\r\n\r\n".to_owned(), 400),
        ("an odd query", old("/api/public?{", ""), 200),
    ] {
        let got = setup.send_raw_over(&gate, true, line).await;
        assert_eq!(got.status(), status, "{what}: {}", got.text());
        assert_eq!(got.header("transfer-encoding"), None, "{what}: {}", got.text());
        assert_eq!(got.count(), 1, "{what}: {}", got.text());
        assert!(got.closed || got.header("content-length").is_some(), "{what}: {}", got.text());
    }
    // The same for pages that the gate changes.
    set_raw_response(
        &upstream,
        &chunked.replace("OK\r\n", "OK\r\nContent-Type: text/html\r\n").replace("hello", "<head"),
    );
    let got = send_raw(gate.http, old("/api/public", "")).await;
    assert_eq!(got.body(), "<head world", "{}", got.text());
    upstream.set_response("/admin", "200 OK", "Content-Type: text/html\r\n", "<head></head>");
    let page = "Accept: text/html\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let headers = format!("Connection: keep-alive\r\n{}{page}", setup.visitor().cookie_line());
    let got = setup.send_raw_over(&gate, true, old("/admin", &headers)).await;
    assert!(got.body().starts_with("<head><script") && got.closed, "{}", got.text());
    assert_eq!(got.header("connection").as_deref(), Some("close"), "{}", got.text());
}

/// RFC 9110, 7.6.1.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_connection_to_nocobase_reaches_the_client() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    for headers in [
        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
        "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
        "Connection: x-hop\r\nConnection: X-Other\r\nx-HOP: 1\r\nX-Other: 2\r\n",
        "Proxy-Connection: keep-alive\r\n",
        "Trailer: X-Hop\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "TE: trailers\r\n",
        "KEEP-ALIVE: timeout=5, max=1000\r\nCONNECTION: KEEP-ALIVE\r\n",
        "Connection: close, x-hop\r\nX-Hop: 1\r\n",
        "Connection: ,, x-hop ,\tx-other,\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Hop: 3\r\n",
        "Keep-Alive: timeout=5\r\nKeep-Alive: max=3\r\n",
        "Connection: upgrade, te\r\nUpgrade: websocket\r\nTE: gzip\r\n",
        "Connection: keep-alive\r\nConnection: trailer\r\nTrailer: X-Sum\r\n",
    ] {
        set_raw_response(
            &upstream,
            &format!("HTTP/1.1 200 OK\r\n{headers}X-End: 1\r\nContent-Length: 2\r\n\r\nhi"),
        );
        for tls in [false, true] {
            let got = setup.send_raw_over(&gate, tls, get("/api/public", "")).await;
            assert_eq!((got.status(), got.body().as_str()), (200, "hi"), "{}", got.text());
            for gone in ["keep-alive", "x-hop", "x-other", "proxy-connection", "trailer", "upgrade", "te"] {
                assert_eq!(got.header(gone), None, "{headers:?}: {}", got.text());
            }
            assert_eq!(got.all("connection"), ["keep-alive"], "{headers:?}");
            assert_eq!(got.header("x-end").as_deref(), Some("1"));
        }
        let (status, got) = setup.h2(&gate).await.ask("GET", "/api/public", &[], &[]).await;
        assert_eq!(status, 200, "{headers:?}");
        assert!(["x-hop", "x-other", "trailer", "te"].iter().all(|n| !got.contains_key(*n)), "{got:?}");
    }
    // Fields that frame the body are not removed, whatever `Connection` names.
    set_raw_response(
        &upstream,
        "HTTP/1.1 200 OK\r\nConnection: content-length, close\r\nContent-Length: 2\r\n\r\nhi",
    );
    let got = send_raw(gate.http, get("/api/public", "")).await;
    assert_eq!((got.status(), got.body().as_str()), (200, "hi"), "{}", got.text());
    upstream.take();
    send_raw(gate.http, get("/api/public", "Trailer: X-A\r\nTE: trailers\r\nConnection: TE\r\n")).await;
    assert_eq!(upstream.take()[0].header("trailer"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_responses_have_one_length_or_none() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    for (raw, status, length, body) in [
        ("200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", 200, Some("5"), "hello"),
        ("200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, Some("5"), "hello"),
        ("200 OK\r\nContent-Length: 5,5 ,5\r\n\r\nhello", 200, Some("5"), "hello"),
        ("200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", 502, None, ""),
        ("200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 502, None, ""),
        ("200 OK\r\nContent-Length: 5, x\r\n\r\nhello", 502, None, ""),
        ("204 No Content\r\nContent-Length: 0\r\n\r\n", 204, None, ""),
        ("204 No Content\r\nContent-Length: 5\r\n\r\n", 204, None, ""),
        ("204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, None, ""),
        ("204 No Content\r\n\r\n", 204, None, ""),
        ("304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, Some("5"), ""),
    ] {
        set_raw_response(&upstream, &format!("HTTP/1.1 {raw}"));
        for tls in [false, true] {
            let mut line = setup.line(&gate, tls).await;
            line.write_all(get("/api/public", "").as_bytes()).await.unwrap();
            line.flush().await.unwrap();
            let got = read_response(&mut line).await;
            assert_eq!(got.status(), status, "{raw:?}: {}", got.text());
            if status == 502 {
                assert!(got.body().contains("errors"), "{raw:?}: {}", got.text());
                continue;
            }
            assert_eq!(got.all("content-length"), length.into_iter().collect::<Vec<_>>(), "{raw:?}");
            assert_eq!(got.body(), body, "{raw:?}: {}", got.text());
            if status == 204 {
                assert_eq!(got.header("transfer-encoding"), None, "{raw:?}");
            }
        }
    }
}

/// RFC 9110, 15.2.2 and 7.8.
#[tokio::test(flavor = "multi_thread")]
async fn r31_an_unrequested_101_is_502() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let switch = |headers: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{headers}\r\n");
    for headers in
        ["", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n"]
    {
        set_raw_response(&upstream, &switch(headers));
        for tls in [false, true] {
            for bytes in [
                get("/api/public", ""),
                request("POST", "/api/public", "Content-Length: 2\r\n") + "hi",
                old("/api/public", ""),
            ] {
                let got = setup.send_raw_over(&gate, tls, bytes).await;
                assert_eq!(got.status(), 502, "{headers:?}: {}", got.text());
                assert!(got.closed);
            }
        }
        assert_eq!(setup.h2(&gate).await.ask("GET", "/api/public", &[], &[]).await.0, 502, "{headers:?}");
    }
    // An upgrade was requested, but to another protocol.
    for headers in ["", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Upgrade: websocket\r\nUpgrade: h2c\r\n"] {
        upstream.recorded().responses.insert("/ws-public".into(), switch(headers).into_bytes());
        let got = send_raw(gate.http, upgrade("/ws-public", "")).await;
        assert_eq!(got.status(), 502, "{headers:?}: {}", got.text());
    }
    gate.wait_for_lines("label", "nocobase_bad_answer", 6).await;
}

/// RFC 9110, 15.5.2 and 15.5.6; RFC 9112, 3.2.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_complete() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let no_host = |h: &str| format!("GET /api/public HTTP/1.1\r\n{h}\r\n");
    for (what, bytes, status) in [
        ("no session", get("/api/x", ""), 401),
        ("no such token", get("/api/x", "Authorization: Bearer nobody\r\n"), 401),
        ("me", get("/wecom-gate/me", ""), 401),
        ("forward-auth", get("/wecom-gate/auth", ""), 401),
        ("a WebSocket", upgrade("/ws", ""), 401),
        ("login by POST", request("POST", "/wecom-gate/login", "Content-Length: 0\r\n"), 405),
        ("login by HEAD", request("HEAD", "/wecom-gate/login", ""), 405),
        ("logout by DELETE", request("DELETE", "/wecom-gate/logout", ""), 405),
        ("me by PUT", request("PUT", "/wecom-gate/me", "Content-Length: 0\r\n"), 405),
        ("TRACE", request("TRACE", "/api/public", ""), 405),
        ("CONNECT", format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"), 405),
        ("no host", no_host(""), 400),
        ("empty host", no_host("Host: \r\n"), 400),
        ("a host with a blank", no_host("Host: gate .test\r\n"), 400),
        ("a host with a path", no_host("Host: gate.test/x\r\n"), 400),
        ("a host with a user", no_host("Host: boss@gate.test\r\n"), 400),
        ("a host with a name for a port", no_host("Host: gate.test:https\r\n"), 400),
        ("two hosts", no_host("Host: gate.test\r\nHost: gate.test\r\n"), 400),
        ("another host", no_host("Host: evil.test\r\n"), 421),
        ("NUL in a header", no_host(&format!("Host: {HOST}\r\nX-A: a\0b\r\n")), 400),
        ("a blank before a colon", no_host(&format!("Host: {HOST}\r\nX-A : b\r\n")), 400),
        ("coding of HTTP/1.0", old("/api/public", "Transfer-Encoding: chunked\r\n"), 400),
        ("two lengths", no_host(&format!("Host: {HOST}\r\nContent-Length: 1\r\nContent-Length: 2\r\n")), 400),
        ("300 headers", no_host(&format!("Host: {HOST}\r\n{}", "X-A: b\r\n".repeat(300))), 400),
        ("no version", "GET /api/public SMTP\r\n\r\n".into(), 400),
        ("a path that is none", get("/a/../b", ""), 400),
    ] {
        for tls in [false, true] {
            let got = setup.send_raw_over(&gate, tls, &bytes).await;
            assert_eq!(got.status(), status, "{what}: {}", got.text());
            let challenge = got.header("www-authenticate").unwrap_or_default();
            assert_eq!(
                challenge.starts_with("Bearer realm=\"wecom-gate\""),
                status == 401,
                "{what}: {}",
                got.text()
            );
            let methods = got.header("allow").unwrap_or_default();
            assert_eq!(methods.contains("GET"), status == 405, "{what}: {}", got.text());
            let id = got.header("x-request-id").unwrap_or_default();
            assert!(!id.is_empty(), "{what}: {}", got.text());
            assert_eq!(got.header("server"), None, "{what}: {}", got.text());
            assert_eq!(got.all("date").len(), 1, "{what}: {}", got.text());
            let length: usize = got.header("content-length").unwrap().parse().unwrap();
            let no_body = what.ends_with("HEAD");
            assert_eq!(got.body().len(), if no_body { 0 } else { length }, "{what}: {}", got.text());
            let json = serde_json::from_str::<serde_json::Value>(&got.body())
                .is_ok_and(|v| v["errors"][0]["code"].is_string());
            assert!(json || no_body, "{what}: {}", got.text());
            gate.wait_for_lines("request_id", &id, 1).await;
        }
    }
    assert_eq!(
        send_raw(gate.http, request("OPTIONS", "/wecom-gate/login", "")).await.header("allow").as_deref(),
        Some("GET")
    );
    assert!(upstream.take().is_empty());
}

async fn tunnel(gate: &Process, member: &Visitor) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(gate.http).await.unwrap();
    let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
    stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    stream
}

/// RFC 6455, 7.1.7 and 7.4.1: a browser learns no reason from a closed connection alone.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_frames_are_answered_with_1002() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (what, bytes) in [
        ("a reserved bit", vec![0xc1, 0x80, 1, 2, 3, 4]),
        ("a reserved opcode", vec![0x83, 0x80, 1, 2, 3, 4]),
        ("a reserved control opcode", vec![0x8b, 0x80, 1, 2, 3, 4]),
        ("no mask", vec![0x81, 0x01, b'a']),
        ("a ping in fragments", vec![0x09, 0x80, 1, 2, 3, 4]),
        ("a long ping", vec![0x89, 0xfe, 0, 200, 1, 2, 3, 4]),
        ("a length that is too long", vec![0x81, 0xfe, 0, 5, 1, 2, 3, 4]),
        ("a length beyond all", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]),
        ("a continuation of nothing", vec![0x80, 0x80, 1, 2, 3, 4]),
        ("a message within another", vec![0x01, 0x80, 1, 2, 3, 4, 0x81, 0x80, 1, 2, 3, 4]),
    ] {
        for hello in [false, true] {
            let mut stream = tunnel(&gate, &member).await;
            if hello {
                // The stand-in echoes it: the bytes are whole frames without a mask too.
                let hello = [0x81, 0x80, 0, 0, 0, 0];
                stream.write_all(&hello).await.unwrap();
                let mut back = vec![0; hello.len()];
                stream.read_exact(&mut back).await.unwrap();
                assert_eq!(back, hello);
            }
            upstream.recorded().tunnelled.clear();
            stream.write_all(&bytes).await.unwrap();
            let mut rest = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
            assert!(matches!(end, Ok(Ok(_))), "{what}: {end:?}");
            assert_eq!(rest, [0x88, 2, 0x03, 0xea], "{what}: {}", gate.output());
            assert!(upstream.recorded().tunnelled.is_empty(), "{what}: it reached NocoBase");
        }
    }
}
