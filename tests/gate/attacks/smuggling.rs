//! R28, R31: whatever the framing, NocoBase sees one request or none, and no bytes are left for the next one.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::raw::{Upstream, gate, gate_with, get, read_all, send_raw, upgrade};

const H: &str = "Host: gate.test\r\n";
const SMUGGLED: &str = "GET /api/public?smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n";

/// Name, the request up to what is smuggled, and whether it must be refused.
fn attempts() -> Vec<(&'static str, String, bool)> {
    let post = |headers: &str, body: &str| format!("POST /api/public HTTP/1.1\r\n{H}{headers}\r\n{body}");
    let n = SMUGGLED.len();
    vec![
        ("CL and TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), true),
        (
            "TE and CL",
            post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", 5 + n), "0\r\n\r\n"),
            true,
        ),
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 60\r\n", ""), true),
        ("two lengths, equal", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), true),
        ("lengths in a list", post("Content-Length: 2, 2\r\n", "ab"), true),
        ("signed length", post("Content-Length: +2\r\n", "ab"), true),
        ("negative length", post("Content-Length: -1\r\n", ""), true),
        ("hexadecimal length", post("Content-Length: 0x2\r\n", "ab"), true),
        ("huge length", post("Content-Length: 18446744073709551618\r\n", "ab"), true),
        ("length with a tail", post("Content-Length: 2 2\r\n", "ab"), true),
        (
            "two codings",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            true,
        ),
        (
            "coding and identity",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
            true,
        ),
        ("chunked not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), true),
        ("gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), true),
        ("unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), true),
        ("coding in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), true),
        ("coding after a tab", post("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"), true),
        ("blank before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), true),
        ("folded header", post("X-A: 1\r\n Transfer-Encoding: chunked\r\n", ""), true),
        ("folded coding", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), true),
        (
            "HTTP/1.0 with coding",
            format!("POST /api/public HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            true,
        ),
        (
            "HTTP/1.0 with both",
            format!(
                "POST /api/public HTTP/1.0\r\n{H}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
            ),
            true,
        ),
        ("bad chunk size", post("Transfer-Encoding: chunked\r\n", "zz\r\n\r\n"), false),
        ("negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\n\r\n"), false),
        ("huge chunk size", post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF0\r\n\r\n"), false),
        (
            "chunk extension with LF",
            post("Transfer-Encoding: chunked\r\n", "1;a\nb\r\nx\r\n0\r\n\r\n"),
            false,
        ),
        ("chunk without its end", post("Transfer-Encoding: chunked\r\n", "1\r\nxx0\r\n\r\n"), false),
        ("chunk ended by LF", post("Transfer-Encoding: chunked\r\n", "1\nx\n0\n\n"), false),
        (
            "trailers",
            post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 60\r\nX-WeCom-User: boss\r\n\r\n"),
            false,
        ),
        ("bare LF", "GET /api/public HTTP/1.1\nHost: gate.test\nX-A: b\n\n".into(), false),
        ("bare CR", format!("GET /api/public HTTP/1.1\r\n{H}X-A: b\rContent-Length: 60\r\n\r\n"), false),
        ("NUL in a header", format!("GET /api/public HTTP/1.1\r\n{H}X-A: a\0b\r\n\r\n"), true),
        ("GET with a length", format!("GET /api/public HTTP/1.1\r\n{H}Content-Length: 60\r\n\r\n"), false),
        ("expect", post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"), false),
        (
            "upgrade to h2c",
            format!(
                "GET /api/public HTTP/1.1\r\n{H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
            ),
            false,
        ),
        ("HTTP/1.2", format!("GET /api/public HTTP/1.2\r\n{H}\r\n"), false),
        ("HTTP/0.9", "GET /api/public\r\n\r\n".into(), false),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), false),
    ]
}

/// At most one request arrived, complete; the next client gets the response to its own request.
async fn nothing_is_left_over(upstream: &Upstream, gate: &crate::support::raw::Process, what: &str) {
    for _ in 0..3 {
        let response = send_raw(gate.http, get("/api/public?stranger", "")).await;
        assert_eq!((response.status(), response.count()), (200, 1), "{what}: {}", response.text());
    }
    let mut recorded = upstream.recorded();
    let strangers = recorded.requests.iter().filter(|r| r.target() == "/api/public?stranger").count();
    assert_eq!(strangers, 3, "{what}");
    let garbage: Vec<String> =
        recorded.garbage.iter().map(|g| String::from_utf8_lossy(g).into_owned()).collect();
    // An incomplete request is not a request; bytes where one should begin are a successful attack.
    assert!(
        garbage
            .iter()
            .all(|g| ["POST", "GET"].iter().any(|m| g.starts_with(&format!("{m} /api/public HTTP/1.1\r\n")))),
        "{what}: {garbage:?}"
    );
    recorded.requests.clear();
    recorded.garbage.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_ambiguous_messages_are_one_request_or_none() {
    let (upstream, setup, mut gate) = gate_with(|s| s.https()).await;
    for (tls, (what, bytes, refused)) in
        [false, true].into_iter().flat_map(|tls| attempts().into_iter().map(move |a| (tls, a)))
    {
        let response = setup.send_raw_over(&gate, tls, format!("{bytes}{SMUGGLED}")).await;
        let seen = upstream.take();
        assert!(seen.len() <= 1, "{what}: {:?}", seen.iter().map(|r| r.line()).collect::<Vec<_>>());
        assert!(
            seen.iter().all(|r| !r.target().contains("smuggled") && !r.head.contains(": boss")),
            "{what}"
        );
        if refused {
            assert!(matches!(response.status(), 0 | 400), "{what}: {}", response.text());
            assert!(response.closed, "{what} leaves the connection open");
            assert!(seen.is_empty(), "{what}: {}", seen[0].head);
        }
        nothing_is_left_over(&upstream, &gate, what).await;
    }
    gate.is_unharmed("after all of these").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_an_empty_last_frame_is_no_second_end_of_the_body() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    let h2 = setup.h2(&gate).await;
    for frames in [
        &[&b"hello"[..]][..],
        &[&b"hello"[..], &b""[..]],
        &[&b"hel"[..], &b""[..], &b"lo"[..], &b""[..]],
        &[&b""[..]],
        &[&b""[..], &b""[..]],
    ] {
        let (status, _) = h2.ask("POST", "/api/public", &[], frames).await;
        assert_eq!(status, 200, "{frames:?}");
        let sent = frames.concat();
        let seen = upstream.take();
        assert_eq!(seen.len(), 1, "{frames:?}");
        assert_eq!(seen[0].body, sent, "{frames:?}");
        // On the same connection to NocoBase.
        for _ in 0..3 {
            let (status, _) = h2.ask("GET", "/api/public?next", &[], &[]).await;
            assert_eq!(status, 200, "{frames:?}");
        }
        assert_eq!(upstream.take().len(), 3, "{frames:?}");
        assert!(upstream.recorded().garbage.is_empty(), "{frames:?}: {:?}", upstream.recorded().garbage);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_lengths_that_lie_in_http_2_are_refused() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    for length in ["3", "50"] {
        let h2 = setup.h2(&gate).await;
        let headers = [("content-length".to_owned(), length.to_owned())];
        let (status, _) = h2.ask("POST", "/api/public", &headers, &[b"hello GET /api/public?smuggled"]).await;
        assert_ne!(status, 200, "{length}");
        let whole = upstream.take();
        assert!(whole.is_empty(), "{length}: {whole:?}");
    }
    let h2 = setup.h2(&gate).await;
    assert_eq!(h2.ask("GET", "/api/public", &[], &[]).await.0, 200);
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn r28_pingora_is_new_enough() {
    let lock: toml::Table =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap().parse().unwrap();
    let mut found = 0;
    for package in lock["package"].as_array().unwrap() {
        if package["name"].as_str().unwrap().starts_with("pingora") {
            let version = package["version"].as_str().unwrap();
            let parts: Vec<u32> = version.split('.').map(|p| p.parse().unwrap()).collect();
            assert!(parts.as_slice() >= [0, 9, 1].as_slice(), "{} {version}", package["name"]);
            found += 1;
        }
    }
    assert!(found >= 3);
    let deny = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    for name in ["pingora", "pingora-core", "pingora-proxy"] {
        assert!(deny.contains(&format!("\"{name}:<0.9.1\"")), "deny.toml does not hold {name} back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_upgrades_that_are_not_made_close_the_connection() {
    let (upstream, setup, gate) = gate_with(|s| {
        s.https()
            .set("limits.sign_ins_per_minute", 2)
            .set("wecom.event_token", "EventToken")
            .set("wecom.event_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
    })
    .await;
    upstream.set_response("/ws-refused", "200 OK", "", "no");
    let member = setup.visitor();
    let cookie = member.cookie_line();
    let page = "Accept: text/html\r\nUser-Agent: wxwork/4.1.28 MicroMessenger/7\r\n";
    let attempts = [
        ("without session", upgrade("/ws", "")),
        ("foreign origin", upgrade("/ws", &format!("{cookie}Origin: https://evil.test\r\n"))),
        ("a page", upgrade("/admin", page)),
        ("sign-in begins", upgrade("/wecom-gate/login", page)),
        ("sign-in begins again", upgrade("/wecom-gate/login", page)),
        ("too many sign-ins", upgrade("/wecom-gate/login", page)),
        ("callback", upgrade("/wecom-gate/callback?code=a&state=b", page)),
        ("sign-in page", upgrade("/wecom-gate/sign-in", page)),
        ("script", upgrade("/wecom-gate/gate.js", page)),
        ("forward auth", upgrade("/wecom-gate/auth", &cookie)),
        ("event", upgrade("/wecom-gate/events/wecom?msg_signature=x&timestamp=1&nonce=n", "")),
        ("nothing there", upgrade("/wecom-gate/none", "")),
        ("nominates ours", upgrade("/ws", &format!("{cookie}Connection: x-wecom-user\r\n"))),
        ("cookie bomb", upgrade("/ws", &format!("Cookie: {}\r\n", "wecom_gate=x; ".repeat(500)))),
        ("own page", upgrade("/wecom-gate/me", &cookie)),
        ("own logout", upgrade("/wecom-gate/logout", &cookie)),
        ("bad path", upgrade("//ws", &cookie)),
        ("unknown host", upgrade("/ws", "").replace("Host: gate.test", "Host: evil.test")),
        ("bad framing", upgrade("/ws", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
        ("refused by NocoBase", upgrade("/ws-refused", "")),
    ];
    let both = [false, true].into_iter();
    for (tls, (what, bytes)) in both.flat_map(|tls| attempts.iter().map(move |a| (tls, a))) {
        // Alone too: Pingora closes a connection that already has more input, whatever the gate does.
        for behind in ["", SMUGGLED] {
            let response = setup.send_raw_over(&gate, tls, format!("{bytes}{behind}")).await;
            assert!(response.closed, "{what} leaves the connection open: {}", response.text());
            assert_eq!(response.count(), 1, "{what}: {}", response.text());
            let seen = upstream.take();
            assert!(seen.iter().all(|r| r.target() == "/ws-refused"), "{what}: {seen:?}");
            assert!(seen.len() <= 1, "{what}");
        }
        assert!(upstream.recorded().garbage.is_empty(), "{what}: {:?}", upstream.recorded().garbage);
    }
    nothing_is_left_over(&upstream, &gate, "after upgrades").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r31_bytes_behind_an_upgrade_are_no_request() {
    let (upstream, _setup, gate) = gate().await;
    // CVE-2026-2833: sent before the 101, and the upstream does not switch protocols.
    upstream.set_response("/ws-refused", "200 OK", "", "no");
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    stream.write_all(upgrade("/ws-refused", "").as_bytes()).await.unwrap();
    stream.write_all(SMUGGLED.as_bytes()).await.unwrap();
    let response = read_all(&mut stream).await;
    // NocoBase's response, or a refusal when the bytes arrived before it.
    assert!(
        matches!(response.status(), 200 | 400) && response.count() == 1 && response.closed,
        "{}",
        response.text()
    );
    let seen = upstream.take();
    assert!(seen.len() <= 1 && seen.iter().all(|r| r.target() == "/ws-refused"), "{seen:?}");
    assert!(upstream.recorded().garbage.is_empty(), "{:?}", upstream.recorded().garbage);
}
