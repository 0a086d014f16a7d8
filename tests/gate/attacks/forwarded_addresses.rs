//! R33: no `X-Forwarded-For` of a client makes it count as the proxy.

use crate::support::raw::{Process, Response, WECOM, gate_with, send_raw};

/// A request with each of these values as an `X-Forwarded-For` header.
async fn ask(gate: &Process, target: &str, forwarded_for: &[&[u8]]) -> Response {
    let page = format!("User-Agent: {WECOM}\r\nAccept: text/html\r\n");
    let head = format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n{page}");
    let mut bytes = head.into_bytes();
    for value in forwarded_for {
        bytes.extend_from_slice(&[b"X-Forwarded-For: ", *value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    send_raw(gate.http, bytes).await
}

/// Programs on the proxy's own machine pass without a session, and the proxy forwards what clients send.
#[tokio::test(flavor = "multi_thread")]
async fn r33_an_address_that_cannot_be_read_opens_no_bypass() {
    let networks = vec!["127.0.0.0/8", "::1/128"];
    let (upstream, _setup, gate) = gate_with(|s| {
        s.set("access.trusted_proxies", networks.clone()).set("access.bypass_networks", networks)
    })
    .await;
    for inside in [&[][..], &[&b"127.0.0.1"[..]]] {
        assert_eq!(ask(&gate, "/api/users:list", inside).await.status(), 200, "{inside:?}");
    }
    assert_eq!(upstream.take().len(), 2);
    for lie in [
        &[&b"\xff"[..]][..],
        &[b"\xff, 127.0.0.1"],
        &[b"127.0.0.1, \xff"],
        &[b"127.0.0.1\xff"],
        &[b"127.0.0.1", b"\xff"],
        &[b"\xff", b"127.0.0.1"],
        &[b"\xe2\x80\x8b127.0.0.1"],
        &[b"unknown"],
        &[b""],
        &[b"127.0.0.1,"],
        &[b"127.0.0.1, , 127.0.0.1"],
        &[b"0.0.0.0"],
        &[b"::"],
        &[b"localhost"],
        &[b"127.1"],
        &[b"for=127.0.0.1"],
    ] {
        let response = ask(&gate, "/api/users:list", lie).await;
        assert_eq!(response.status(), 401, "{lie:?}: {}", response.text());
        // And with the client's real address appended, as nginx does.
        let appended = lie.iter().map(|l| [*l, b", 198.51.100.7"].concat()).next_back().unwrap();
        let mut all = lie[..lie.len() - 1].to_vec();
        all.push(&appended);
        assert_eq!(ask(&gate, "/api/users:list", &all).await.status(), 401, "{all:?}");
    }
    assert!(upstream.take().is_empty());
}

/// They share one limit, which is neither the proxy's nor that of `::1`.
#[tokio::test(flavor = "multi_thread")]
async fn r33_clients_of_unknown_address_have_a_share_of_their_own() {
    let (_upstream, _setup, gate) = gate_with(|s| {
        s.set("access.trusted_proxies", vec!["127.0.0.0/8"]).set("limits.sign_ins_per_minute", 3)
    })
    .await;
    for i in 0..10 {
        let lie = [b"\xff", format!("{i}").as_bytes()].concat();
        let status = ask(&gate, "/admin", &[&lie]).await.status();
        assert_eq!(status, if i < 3 { 302 } else { 429 }, "{i}");
    }
    for known in [&b"127.0.0.1"[..], b"::1", b"198.51.100.7", b"\xff, 198.51.100.8"] {
        assert_eq!(ask(&gate, "/admin", &[known]).await.status(), 302, "{}", known.escape_ascii());
    }
    gate.output().line(&[r#""client":"::""#]).await;
}
