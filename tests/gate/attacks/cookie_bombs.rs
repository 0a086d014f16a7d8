//! R17: what a client may send is bounded, and requests beyond the bounds are cheap to refuse.

use crate::support::raw::{gate, gate_with, get, send_raw};

#[tokio::test(flavor = "multi_thread")]
async fn r17_cookie_bombs_are_refused() {
    let (upstream, setup, mut gate) = gate().await;
    let member = setup.visitor();
    let many = |n: usize, name: &str| (0..n).map(|i| format!("{name}{i}=x")).collect::<Vec<_>>().join("; ");
    let lines = |n: usize| (0..n).map(|i| format!("Cookie: c{i}=x\r\n")).collect::<String>();
    let flows = |n: usize| (0..n).map(|i| format!("wecom_gate_flow_{i:08}=x")).collect::<Vec<_>>().join("; ");
    for (what, headers) in [
        ("201 cookies", format!("Cookie: {}\r\n", many(201, "c"))),
        ("201 lines", lines(201)),
        ("17 KiB", format!("Cookie: a={}\r\n", "x".repeat(17 << 10))),
        ("17 KiB in lines", format!("Cookie: a={}\r\n", "x".repeat(1 << 10)).repeat(17)),
        ("201 sessions", format!("Cookie: {}\r\n", many(201, "wecom_gate_"))),
        ("201 flows", format!("Cookie: {}\r\n", flows(201))),
        ("40 KiB header", format!("X-A: {}\r\n", "x".repeat(40 << 10))),
        ("1000 headers", (0..1000).map(|i| format!("X-{i}: y\r\n")).collect()),
    ] {
        for target in [
            "/api/public",
            "/api/users:list",
            "/admin",
            "/wecom-gate/login",
            "/wecom-gate/callback?code=x&state=y",
        ] {
            let response = send_raw(gate.http, get(target, &format!("{headers}{}", member.lines()))).await;
            // Pingora itself takes at most 256 headers.
            let expected = if what == "1000 headers" { 400 } else { 431 };
            assert_eq!(response.status(), expected, "{what} {target}: {}", response.text());
        }
    }
    let response = send_raw(gate.http, get(&format!("/api/public?{}", "x".repeat(40 << 10)), "")).await;
    assert!(matches!(response.status(), 400 | 413 | 414 | 431), "{}", response.text());
    assert!(upstream.take().is_empty());
    assert!(gate.is_alive().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_invalid_cookies_with_our_names_within_the_bounds_are_ignored() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let flows: Vec<String> = (0..60).map(|i| format!("wecom_gate_flow_{i:08}={}", "x".repeat(100))).collect();
    let headers = format!(
        "Cookie: {}; {}\r\nAuthorization: Bearer {}\r\n",
        flows.join("; "),
        member.cookie,
        member.phantom
    );
    let response = send_raw(gate.http, get("/api/users:list", &headers)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert!(!upstream.take()[0].head.contains("wecom_gate"));
    // The response to a sign-in with them neither deletes that many cookies nor adds to them.
    let response =
        send_raw(gate.http, get("/wecom-gate/login?via=wecom", &format!("Cookie: {}\r\n", flows.join("; "))))
            .await;
    assert!(response.all("set-cookie").len() <= 25, "{}", response.text());
}

/// Browsers keep 180 cookies for a domain, and any neighbouring site can set them.
#[tokio::test(flavor = "multi_thread")]
async fn r17_as_many_cookies_as_browsers_keep_are_accepted() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (count, size) in [(100, 1), (101, 1), (150, 60), (180, 70), (199, 1)] {
        let others: Vec<String> = (0..count).map(|i| format!("c{i}={}", "x".repeat(size))).collect();
        let others = others.join("; ");
        for cookies in [format!("{others}; {}", member.cookie), format!("{}; {others}", member.cookie)] {
            let headers = format!("Cookie: {cookies}\r\nAuthorization: Bearer {}\r\n", member.phantom);
            let response = send_raw(gate.http, get("/api/users:list", &headers)).await;
            assert_eq!(response.status(), 200, "{count} x {size}: {}", response.text());
            assert_eq!(upstream.take()[0].all("cookie"), [others.as_str()], "{count} x {size}");
        }
    }
    // Beyond the bound a person gets the page about cookies, and a program the same as JSON.
    let many = format!("Cookie: {}\r\n", (0..201).map(|i| format!("c{i}=x; ")).collect::<String>());
    let page = "Accept: text/html\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let response = send_raw(gate.http, get("/admin", &format!("{many}{page}"))).await;
    assert_eq!(response.status(), 431, "{}", response.text());
    let json = send_raw(gate.http, get("/api/x", &many)).await;
    assert!(json.body().contains("HEADERS_TOO_LARGE"), "{}", json.text());
    gate.wait_for_lines("label", "headers_too_large", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_cookie_crumbs_of_http_2_are_counted_together() {
    let (upstream, setup, mut gate) = gate_with(|s| s.https()).await;
    let h2 = setup.h2(&gate).await;
    for (count, size) in [(201, 1), (40, 1000), (2000, 1)] {
        let crumbs: Vec<(String, String)> =
            (0..count).map(|i| ("cookie".to_owned(), format!("c{i}={}", "x".repeat(size)))).collect();
        let (status, _) = h2.ask("GET", "/api/public", &crumbs, &[]).await;
        assert!(matches!(status, 0 | 431), "{count} x {size}: {status}");
    }
    assert!(upstream.take().is_empty());
    assert!(gate.is_alive().await);
    // A few of them are one cookie header.
    let member = setup.visitor();
    let crumbs = [
        ("cookie".to_owned(), "a=1".to_owned()),
        ("cookie".to_owned(), member.cookie.clone()),
        ("cookie".to_owned(), "b=2".to_owned()),
        ("authorization".to_owned(), format!("Bearer {}", member.phantom)),
    ];
    let h2 = setup.h2(&gate).await;
    assert_eq!(h2.ask("GET", "/api/users:list", &crumbs, &[]).await.0, 200);
    let seen = upstream.take();
    let cookies = seen[0].all("cookie");
    assert_eq!(cookies.len(), 1, "{}", seen[0].head);
    assert!(cookies[0].contains("a=1") && cookies[0].contains("b=2") && !cookies[0].contains("wecom_gate"));
}
