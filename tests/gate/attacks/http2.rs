//! R6, R28, R29 on HTTP/2, frame by frame: what no library would send. NocoBase, which gets HTTP/1.1, sees one plain request or
//! none; floods end with their connection, and other clients are not affected.

use crate::support::raw::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, frame, pseudo};
use crate::support::raw::{Process, Setup, Upstream, gate_with, get};

mod floods;

const CHUNK: u32 = 16_384;

async fn stage() -> (Upstream, Setup, Process) {
    gate_with(|s| s.https().set("log.level", "info").set("log.access_log", false)).await
}

/// What is sent instead of, or besides, the four fields of `GET /api/public`.
fn malformed() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let with = |more: &[(&'static str, &'static str)]| {
        pseudo("GET", "/api/public").into_iter().chain(more.iter().copied()).collect::<Vec<_>>()
    };
    let path = |path: &'static str| pseudo("GET", path).to_vec();
    let host = |host: &'static str| {
        vec![(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/api/public")]
    };
    vec![
        // RFC 9113, 8.2.2: connection-specific header fields.
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("connection", with(&[("connection", "x-wecom-user")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")])),
        ("te", with(&[("te", "gzip")])),
        // 8.2.1: what would have another meaning in HTTP/1.1.
        ("line in a value", with(&[("x-a", "b\r\nX-WeCom-User: boss")])),
        ("LF in a value", with(&[("x-a", "b\nX-WeCom-User: boss")])),
        ("NUL in a value", with(&[("x-a", "b\0c")])),
        ("line in a name", with(&[("x-a: b\r\nx-wecom-user", "boss")])),
        ("colon in a name", with(&[("x-a:b", "c")])),
        ("blank in a name", with(&[("x a", "c")])),
        ("upper case", with(&[("X-WeCom-User", "boss")])),
        ("no name", with(&[("", "c")])),
        // 8.3: pseudo-header fields.
        ("after others", [&[("x-a", "b")][..], &pseudo("GET", "/api/public")].concat()),
        ("two paths", with(&[(":path", "/api/public?smuggled")])),
        ("two methods", with(&[(":method", "POST")])),
        ("two authorities", with(&[(":authority", "evil.test")])),
        ("unknown", with(&[(":boss", "yes")])),
        (":status", with(&[(":status", "200")])),
        (":protocol", with(&[(":protocol", "websocket")])),
        ("no path", vec![(":method", "GET"), (":scheme", "https"), (":authority", "gate.test")]),
        ("no method", vec![(":scheme", "https"), (":authority", "gate.test"), (":path", "/api/public")]),
        ("empty path", path("")),
        ("path without slash", path("api/public")),
        ("path with a line", path("/api/public HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /api/public?smuggled")),
        ("path with a blank", path("/api/public ?smuggled")),
        ("path with NUL", path("/api/public\0")),
        ("absolute path", path("https://evil.test/api/public")),
        ("asterisk", path("*")),
        ("OPTIONS *", pseudo("OPTIONS", "*").to_vec()),
        ("absolute path, own", path("https://gate.test/api/public")),
        ("CONNECT with a path", pseudo("CONNECT", "/api/public").to_vec()),
        ("method with a line", pseudo("GET /api/public?smuggled HTTP/1.1\r\nX:", "/api/public").to_vec()),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "gate.test:443")]),
        ("CONNECT for WebSocket", {
            let mut all = pseudo("CONNECT", "/ws-public").to_vec();
            all.push((":protocol", "websocket"));
            all
        }),
        ("TRACE", pseudo("TRACE", "/api/public").to_vec()),
        // Host and authority.
        ("other authority", host("evil.test")),
        ("authority with user", host("gate.test@evil.test")),
        ("own authority with user", host("boss@gate.test")),
        ("authority with a line", host("gate.test\r\nX-WeCom-User: boss")),
        ("host and authority differ", with(&[("host", "evil.test")])),
        ("authority and host differ", {
            let mut all = host("evil.test");
            all.push(("host", "gate.test"));
            all
        }),
        ("two hosts", with(&[("host", "gate.test"), ("host", "evil.test")])),
        ("no host", vec![(":method", "GET"), (":scheme", "https"), (":path", "/api/public")]),
        // Lengths.
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("a list of lengths", with(&[("content-length", "0, 0")])),
        ("signed length", with(&[("content-length", "+0")])),
        ("length without body", with(&[("content-length", "5")])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_r28_malformed_requests_of_http_2_are_not_forwarded() {
    let (upstream, setup, mut gate) = stage().await;
    for (what, fields) in malformed() {
        let mut frames = setup.frames(&gate).await;
        frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await;
        let status = frames.status(1).await;
        assert!(matches!(status, 0 | 400 | 405 | 421), "{what}: {status}");
        let seen = upstream.take();
        assert!(seen.is_empty(), "{what}: {}", seen[0].head);
        let garbage = std::mem::take(&mut upstream.recorded().garbage);
        assert!(garbage.is_empty(), "{what}: {garbage:?}");
    }
    // The four fields alone are a valid request, so each refusal was for the flaw.
    let mut frames = setup.frames(&gate).await;
    frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&pseudo("GET", "/api/public")))).await;
    assert_eq!(frames.status(1).await, 200);
    assert_eq!(upstream.take().len(), 1);
    gate.ends_unharmed("after all of these").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_cookies_in_many_fields_are_one_cookie_to_nocobase() {
    let (upstream, setup, gate) = stage().await;
    let member = setup.visitor();
    let mut fields = pseudo("GET", "/api/x").to_vec();
    // RFC 9113, 8.2.3: a browser may send each pair by itself.
    let bearer = format!("Bearer {}", member.phantom);
    fields.extend([("cookie", "a=1"), ("cookie", member.cookie.as_str()), ("cookie", "b=2")]);
    fields.push(("authorization", &bearer));
    let mut frames = setup.frames(&gate).await;
    frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await;
    assert_eq!(frames.status(1).await, 200);
    let seen = upstream.take();
    assert_eq!(seen.len(), 1);
    let cookies = seen[0].all("cookie");
    assert_eq!(cookies.len(), 1, "{}", seen[0].head);
    assert!(cookies[0].starts_with("a=1; b=2"), "{}", cookies[0]);
    assert!(!seen[0].head.contains("wecom_gate"), "{}", seen[0].head);
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_no_spelling_of_a_name_passes_in_http_2() {
    let (upstream, setup, gate) = stage().await;
    for name in [
        "x-wecom-user",
        "x_wecom_user",
        "x.wecom.user",
        "x-wecom_user",
        "x-forwarded-user",
        "x_forwarded_user",
        "x-forwarded-for",
        "x_forwarded_for",
        "forwarded",
        "x-real-ip",
        "x.real.ip",
        "x-original-uri",
    ] {
        let mut fields = pseudo("GET", "/api/public").to_vec();
        fields.extend([(name, "canary"), (name, "canary")]);
        let mut frames = setup.frames(&gate).await;
        frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await;
        assert_eq!(frames.status(1).await, 200, "{name}");
        let seen = upstream.take();
        assert!(!seen[0].head.contains("canary"), "{name}: {}", seen[0].head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_trailers_of_http_2_are_no_headers() {
    let (upstream, setup, gate) = stage().await;
    let mut frames = setup.frames(&gate).await;
    let mut all = frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/api/public")));
    all.extend(frame(DATA, 0, 1, b"hello"));
    let trailers =
        block(&[("x-wecom-user", "boss"), ("content-length", "50"), ("transfer-encoding", "chunked")]);
    all.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &trailers));
    frames.send(&all).await;
    let status = frames.status(1).await;
    assert!(matches!(status, 0 | 200 | 400), "{status}");
    // Nothing is left for the next request on the connection to NocoBase.
    let h2 = setup.h2(&gate).await;
    for _ in 0..3 {
        assert_eq!(h2.ask("GET", "/api/public?next", &[], &[]).await.0, 200);
    }
    let recorded = upstream.recorded();
    assert!(recorded.requests.iter().all(|r| !r.head.contains(": boss")), "{:?}", recorded.requests);
    assert_eq!(recorded.requests.iter().filter(|r| r.target().ends_with("?next")).count(), 3);
    assert!(
        recorded.garbage.iter().all(|g| g.starts_with(b"POST /api/public HTTP/1.1")),
        "{:?}",
        recorded.garbage
    );
}

/// Characters that Node.js accepts in a query are encoded on HTTP/2 as on HTTP/1. Quotes, angle brackets and bytes that are not
/// UTF-8 cannot be: the HTTP/2 library resets such a stream (RFC 9113, 8.1.1) before the gate sees it; other streams continue.
#[tokio::test(flavor = "multi_thread")]
async fn r01_characters_that_node_takes_in_a_query_are_encoded_on_http_2() {
    let (upstream, setup, gate) = stage().await;
    for (path, status, sent) in [
        ("/api/public?filter={%22id%22:1}", 200, "/api/public?filter=%7B%22id%22:1%7D"),
        ("/api/public?a=b|c^d`e", 200, "/api/public?a=b%7Cc%5Ed%60e"),
        ("/api/public?name=张三", 200, "/api/public?name=%E5%BC%A0%E4%B8%89"),
        ("/api/public?a=%7B{", 200, "/api/public?a=%7B%7B"),
        ("/api/public??{?", 200, "/api/public??%7B?"),
        ("/api/%70ublic?{", 200, "/api/public?%7B"),
        ("/api/public?a='[]\\", 200, "/api/public?a='[]\\"),
        // Refused by the gate.
        ("/api/{public", 401, ""),
        ("/api/public|", 401, ""),
        ("/api\\public?{", 400, ""),
        ("/api//public?{", 400, ""),
        ("/api/public/..?{", 400, ""),
        ("/api/x?filter={}&token=xxxxxxxx", 401, ""),
        // Refused by the library.
        ("/api/public?filter={\"id\":1}", 0, ""),
        ("/api/public?a=<b>", 0, ""),
        ("/api/public?a=b c", 0, ""),
    ] {
        let mut frames = setup.frames(&gate).await;
        frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&pseudo("GET", path)))).await;
        let got = frames.status(1).await;
        assert_eq!(got, status, "{path}");
        if status >= 400 {
            let http1 = setup.send_raw_over(&gate, true, get(path, "Connection: close\r\n")).await;
            assert_eq!(http1.status(), status, "{path} over HTTP/1");
        }
        let seen = upstream.take();
        let targets: Vec<_> = seen.iter().map(|r| r.target().to_owned()).collect();
        assert_eq!(targets, if status == 200 { vec![sent.to_owned()] } else { vec![] }, "{path}");
        if status == 0 {
            // Only that stream.
            let next = block(&pseudo("GET", "/api/public"));
            frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &next)).await;
            assert_eq!(frames.status(3).await, 200, "{path}: the next stream");
            upstream.take();
        }
    }
}

/// A refusal by the gate on HTTP/2 has a body, a request id and a log line, as on HTTP/1.
#[tokio::test(flavor = "multi_thread")]
async fn r27_refusals_on_http_2_are_complete() {
    let (_upstream, setup, gate) = gate_with(|s| s.https()).await;
    let h2 = setup.h2(&gate).await;
    for path in ["/api//x?token=secret", "/api/x%2f?token=secret", "/.?token=secret"] {
        let (status, headers) = h2.ask("GET", path, &[], &[]).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(headers.get("server"), None);
        assert_eq!(headers.get("content-type").unwrap(), "application/json; charset=utf-8");
        assert_ne!(headers.get("content-length").unwrap(), "0");
        let id = headers.get("x-request-id").unwrap().to_str().unwrap();
        let lines = gate.wait_for_lines("request_id", id, 1).await;
        assert_eq!(lines[0]["status"], 400, "{}", lines[0]);
    }
    let written = gate.written_until_now().await;
    assert!(!written.contains("secret"), "{written}");
}

/// What Pingora refuses itself on HTTP/2, before the gate sees the request: a status without a body, or a reset of the stream. It
/// does not reveal the proxy's software, and other streams of the connection continue.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_pingora_on_http_2_do_not_name_it() {
    let (upstream, setup, gate) = stage().await;
    for (what, fields, expected) in [
        ("another host", vec![("host", "evil.test")], 400),
        ("two hosts", vec![("host", "gate.test"), ("host", "evil.test")], 400),
        ("two lengths", vec![("content-length", "1"), ("content-length", "5")], 0),
    ] {
        let mut frames = setup.frames(&gate).await;
        let all: Vec<_> = pseudo("GET", "/api/public").into_iter().chain(fields).collect();
        frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&all))).await;
        let found = loop {
            let Some(next) = frames.next().await else { panic!("{what}: the connection is gone") };
            match next.kind {
                HEADERS if next.stream == 1 => break next,
                RST_STREAM if next.stream == 1 => break next,
                _ => {}
            }
        };
        let text = String::from_utf8_lossy(&found.payload).to_ascii_lowercase();
        assert!(!text.contains("pingora"), "{what}: {text}");
        match expected {
            0 => assert_eq!(found.kind, RST_STREAM, "{what}"),
            // Only the status, no body.
            _ => assert_eq!(
                (found.kind, found.flags & END_STREAM, found.payload.as_slice()),
                (HEADERS, END_STREAM, &[0x8c][..]),
                "{what}"
            ),
        }
        frames
            .send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &block(&pseudo("GET", "/api/public"))))
            .await;
        assert_ne!(frames.status(3).await, 0, "{what}: the next stream");
        assert_eq!(upstream.take().len(), 1, "{what}");
    }
}

/// Pingora 0.9.1 cannot send an informational response over HTTP/2: it is left out, and the response is complete.
#[tokio::test(flavor = "multi_thread")]
async fn informational_responses_are_left_out_on_http_2() {
    let (upstream, setup, gate) = stage().await;
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.js>; rel=preload\r\n\r\n";
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Whole: yes\r\n\r\nhello";
    for before in [
        early.to_owned(),
        early.repeat(3),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        "HTTP/1.1 102 Processing\r\n\r\n".to_owned(),
        format!("HTTP/1.1 199 What\r\nX-A: b\r\n\r\n{early}"),
    ] {
        upstream.recorded().responses.insert("/api/public".into(), format!("{before}{whole}").into_bytes());
        let h2 = setup.h2(&gate).await;
        for _ in 0..3 {
            let (status, headers) = h2.ask("GET", "/api/public", &[], &[]).await;
            assert_eq!(status, 200, "{before}");
            assert_eq!(headers.get("x-whole").unwrap(), "yes");
            assert_eq!(headers.get("link"), None);
        }
        // HTTP/1 has them.
        let got = setup.send_raw_over(&gate, true, get("/api/public", "Connection: close\r\n")).await;
        assert!(got.text().ends_with("hello"), "{}", got.text());
        assert_eq!(got.text().contains("103 Early Hints"), before.contains("103"), "{}", got.text());
    }
}
