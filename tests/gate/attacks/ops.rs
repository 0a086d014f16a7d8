//! R5: the operator's paths exist on the operator's listener only, by exact path.

use crate::support::raw::{WECOM, gate, get, request, send_raw};

const PATHS: [&str; 5] = ["/livez", "/readyz", "/servez", "/metrics", "/version"];

#[tokio::test(flavor = "multi_thread")]
async fn r05_on_the_public_listener_the_operators_paths_are_nocobases() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for path in PATHS.iter().chain(&["/healthz", "/debug/pprof/", "/ping", "/-/healthy"]) {
        let response = send_raw(gate.http, get(path, "User-Agent: kube-probe/1.30\r\nAccept: */*\r\n")).await;
        assert_eq!(response.status(), 401, "{path}: {}", response.text());
        let response =
            send_raw(gate.http, get(path, &format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\n"))).await;
        assert_eq!(response.status(), 302, "{path}: {}", response.text());
        assert!(upstream.take().is_empty());
        let response = send_raw(gate.http, get(path, &member.lines())).await;
        assert_eq!(
            (response.status(), upstream.take().len()),
            (200, 1),
            "{path} is NocoBase's: {}",
            response.text()
        );
        assert!(!response.text().contains("wecom_gate_"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_the_operators_listener_serves_five_paths_and_forwards_nothing() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for path in PATHS {
        // The stand-in has no health check, so the gate may not be ready; it responds anyway.
        let status = send_raw(gate.ops, get(path, "")).await.status();
        assert!(matches!(status, 200 | 503), "{path}: {status}");
    }
    for path in [
        "/",
        "/admin",
        "/api/users:list",
        "/wecom-gate/me",
        "/wecom-gate/login",
        "/metrics/",
        "//metrics",
        "/metrics/x",
        "/%6detrics%2f",
        "/METRICS",
        "/livez/../admin",
        "/metrics;x",
    ] {
        let status = send_raw(gate.ops, get(path, &member.lines())).await.status();
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    let status = send_raw(gate.ops, request("POST", "/livez", "Content-Length: 0\r\n")).await.status();
    assert_eq!(status, 405);
    assert!(upstream.take().is_empty());
}
