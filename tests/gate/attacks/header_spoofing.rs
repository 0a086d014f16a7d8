//! R3, R4, R8 to R11: identity headers of a client never reach NocoBase, on no path through the gate.

use std::time::SystemTime;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_gate::nocobase::{Minter, UserId};

use crate::support::raw::{
    self, Request, SECRET, Setup, Upstream, Visitor, WECOM, frame, gate, gate_with, get, read_response,
    request, send_raw, upgrade,
};

/// Names that applications and proxies trust, in spellings that have passed other filters.
const BELIEVED: &[&str] = &[
    "X-WeCom-User",
    "x-wecom-user",
    "X-WECOM-USER",
    "X_WeCom_User",
    "x.wecom.user",
    "X-WeCom_User",
    "X-WeCom-Corp",
    "X_WeCom_Corp",
    "X-WeCom-Name",
    "X.WeCom.Entry",
    "X-Forwarded-User",
    "X_Forwarded_User",
    "x.forwarded.user",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-User",
    "X_User",
    "x.user",
    "X-USER",
    "X-Remote-User",
    "Remote-User",
    "Remote_User",
    "X-Auth-Request-User",
    "X_Auth_Request_Email",
    "X-Authenticated-User",
    "X.Authenticated.User",
];
/// What proxies add about a request.
const FORWARDING: &[&str] = &[
    "X-Forwarded-For",
    "X_Forwarded_For",
    "x.forwarded.for",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
    "X_Forwarded_Proto",
    "Forwarded",
    "X-Real-IP",
    "X_Real_IP",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-Client-IP",
    "True-Client-IP",
    "X-Cluster-Client-IP",
    "Proxy",
    "X-Request-Id",
];

/// Every name twice.
fn lies() -> String {
    let names = BELIEVED.iter().chain(FORWARDING);
    names.map(|n| format!("{n}: spoofed-a\r\n{n}: spoofed-b\r\n")).collect()
}

fn api_token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let token = Minter::new(SECRET.as_bytes()).service(UserId::new(3).unwrap(), now).unwrap();
    token.as_str().to_owned()
}

/// Every kind of request to NocoBase: its name, its bytes, and whether it is sent as the member.
fn ways(member: &Visitor, headers: &str) -> Vec<(&'static str, String, bool)> {
    let session = format!("{}{headers}", member.lines());
    let page = format!("{}Accept: text/html\r\nUser-Agent: {WECOM}\r\n{headers}", member.cookie_line());
    let tunnel = format!("{}Origin: http://gate.test\r\n{headers}", member.cookie_line());
    vec![
        ("public", get("/api/public", headers), false),
        (
            "public POST",
            request("POST", "/api/public", &format!("Content-Length: 2\r\n{headers}")) + "ab",
            false,
        ),
        ("OPTIONS", request("OPTIONS", "/api/public", headers), false),
        ("public tunnel", upgrade("/ws-public", headers), false),
        ("API key", get("/api/x", &format!("Authorization: Bearer {}\r\n{headers}", api_token())), false),
        ("member's call", get("/api/users:list", &session), true),
        ("member's OPTIONS", request("OPTIONS", "/api/users:list", &session), true),
        ("member's page", get("/admin", &page), true),
        ("member's tunnel", upgrade("/ws", &tunnel), true),
        ("member's file", get("/files/1.png", &format!("{}{headers}", member.cookie_line())), true),
    ]
}

/// Sends it and returns the one request that NocoBase received.
async fn through(gate: &raw::Process, upstream: &Upstream, what: &str, bytes: &str) -> Request {
    let response = send_raw(gate.http, bytes).await;
    assert!(matches!(response.status(), 200 | 101), "{what}: {}", response.text());
    let mut seen = upstream.take();
    assert_eq!(seen.len(), 1, "{what}");
    seen.remove(0)
}

/// Header names that some servers treat as equal, folded.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_identity_headers_of_clients_are_stripped_on_every_way() {
    // With identity headers and without; with an unreachable node, so that requests are retried.
    for (identity, dead_node) in [(false, false), (true, false), (true, true)] {
        let (upstream, setup, gate) = gate_with(|s| set_up(s, identity, dead_node)).await;
        let member = setup.visitor();
        for (what, bytes, as_member) in ways(&member, &lies()) {
            let seen = through(&gate, &upstream, what, &bytes).await;
            assert!(!seen.head.contains("spoofed"), "{what}: {}", seen.head);
            let users = seen
                .headers()
                .filter(|(n, _)| folded(n) == "x-wecom-user")
                .map(|(_, v)| v)
                .collect::<Vec<_>>();
            let expected = if identity && as_member { vec!["zhangsan"] } else { vec![] };
            assert_eq!(users, expected, "{what}: {}", seen.head);
        }
    }
}

fn set_up(setup: Setup, identity: bool, dead_node: bool) -> Setup {
    let setup = setup.set("nocobase.identity_headers", identity);
    if !dead_node {
        return setup;
    }
    let node = setup.get("upstream.nodes").as_array().unwrap()[0].clone();
    // Nothing listens on the discard port of this address.
    setup.set("upstream.nodes", vec!["127.0.0.2:9".into(), node])
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_identity_headers_are_stripped_in_http_2() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    let h2 = setup.h2(&gate).await;
    let mut headers: Vec<(String, String)> =
        BELIEVED.iter().chain(FORWARDING).map(|n| (n.to_ascii_lowercase(), "spoofed".to_owned())).collect();
    headers.extend(headers.clone());
    let (status, _) = h2.ask("GET", "/api/public", &headers, &[]).await;
    assert_eq!(status, 200);
    headers.push(("cookie".into(), member.cookie.clone()));
    headers.push(("authorization".into(), format!("Bearer {}", member.phantom)));
    let (status, _) = h2.ask("GET", "/api/users:list", &headers, &[]).await;
    assert_eq!(status, 200);
    let seen = upstream.take();
    assert_eq!(seen.len(), 2);
    for (seen, users) in seen.iter().zip([vec![], vec!["zhangsan"]]) {
        assert!(!seen.head.contains("spoofed"), "{}", seen.head);
        assert_eq!(seen.all("x-wecom-user"), users, "{}", seen.head);
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.all("host"), ["gate.test"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_identity_headers_are_removed_even_if_none_is_set() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (what, bytes, _) in
        ways(&member, "X-WeCom-User: boss\r\nX_WeCom_Corp: corp\r\nX-Forwarded-User: boss\r\n")
    {
        let seen = through(&gate, &upstream, what, &bytes).await;
        let names: Vec<String> = seen.headers().map(|(n, _)| folded(n)).collect();
        let left = names.iter().filter(|n| n.starts_with("x-wecom") || *n == "x-forwarded-user").count();
        assert_eq!(left, 0, "{what}: {}", seen.head);
    }
}

/// Clients from networks that need no session pass anonymously.
#[tokio::test(flavor = "multi_thread")]
async fn r09_clients_that_pass_by_address_have_no_identity() {
    let (upstream, setup, gate) = gate_with(|s| {
        s.https().set("nocobase.identity_headers", true).set("access.bypass_networks", vec!["127.0.0.0/8"])
    })
    .await;
    let lies = lies();
    let tunnel = upgrade("/ws-other", &format!("{lies}Origin: https://gate.test\r\n"));
    for (what, bytes) in [
        ("call", get("/api/users:list", &lies)),
        ("page", get("/admin", &format!("{lies}Accept: text/html\r\n"))),
        ("OPTIONS", request("OPTIONS", "/api/users:list", &lies)),
        ("POST", request("POST", "/api/x", &format!("Content-Length: 2\r\n{lies}")) + "ab"),
        ("tunnel", tunnel),
    ] {
        for tls in [false, true] {
            let response = setup.send_raw_over(&gate, tls, &bytes).await;
            assert!(matches!(response.status(), 200 | 101), "{what}: {}", response.text());
            let seen = upstream.take();
            assert_eq!(seen.len(), 1, "{what}");
            let head = &seen[0].head;
            assert!(!head.contains("spoofed"), "{what}: {head}");
            let names: Vec<String> = seen[0].headers().map(|(n, _)| folded(n)).collect();
            assert!(
                !names.iter().any(|n| n.starts_with("x-wecom") || n == "x-forwarded-user"),
                "{what}: {head}"
            );
        }
    }
    let headers: Vec<(String, String)> =
        BELIEVED.iter().map(|n| (n.to_ascii_lowercase(), "spoofed".to_owned())).collect();
    assert_eq!(setup.h2(&gate).await.ask("GET", "/api/users:list", &headers, &[]).await.0, 200);
    let head = &upstream.take()[0].head;
    assert!(!head.contains("spoofed") && !head.contains("x-wecom"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_what_the_gate_sets_cannot_be_nominated_away() {
    let (upstream, setup, gate) = gate_with(|s| s.set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    for nominated in [
        "close, X-WeCom-User",
        "x-wecom-user",
        "X_WeCom_User",
        "x.wecom.user",
        "X-Forwarded-For",
        "x-forwarded-user",
        "X-Real-IP",
        "keep-alive, X-Request-Id",
        "Authorization",
        "Cookie",
        "Host",
        "forwarded",
    ] {
        for (what, bytes, _) in ways(&member, &format!("Connection: {nominated}\r\n")) {
            let response = send_raw(gate.http, bytes).await;
            assert_eq!(response.status(), 400, "{what}, {nominated}: {}", response.text());
        }
    }
    assert!(upstream.take().is_empty());
    // Other headers may be nominated; ours are not removed with them.
    let headers = format!("{}Connection: close, X-Role\r\nX-Role: admin\r\n", member.lines());
    let seen = through(&gate, &upstream, "X-Role", &get("/api/users:list", &headers)).await;
    assert_eq!(seen.all("x-wecom-user"), ["zhangsan"]);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert!(seen.all("x-role").is_empty());
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_forwarding_headers_are_replaced() {
    let (upstream, setup, gate) = gate_with(|s| s.set("access.bypass_networks", vec!["10.0.0.0/8"])).await;
    let member = setup.visitor();
    let claims = "X-Forwarded-For: 10.1.2.3\r\nX-Real-IP: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nTrue-Client-IP: 10.1.2.3\r\n";
    assert_eq!(send_raw(gate.http, get("/api/secret", claims)).await.status(), 401);
    assert!(upstream.take().is_empty());
    for (what, bytes, _) in
        ways(&member, &format!("{claims}X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n"))
    {
        let seen = through(&gate, &upstream, what, &bytes).await;
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{what}");
        assert_eq!(seen.all("x-forwarded-host"), ["gate.test"], "{what}");
        assert_eq!(seen.all("x-forwarded-proto"), ["http"], "{what}");
        assert_eq!(seen.all("host"), ["gate.test"], "{what}");
        assert!(!seen.head.contains("10.1.2.3"), "{what}: {}", seen.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_a_trusted_proxy_is_believed_about_the_last_hop_only() {
    let (upstream, _setup, gate) = gate_with(|s| {
        s.set("access.bypass_networks", vec!["10.0.0.0/8"]).set("access.trusted_proxies", vec!["127.0.0.0/8"])
    })
    .await;
    // What the client sent stands to the left of what the proxy appended.
    let response = send_raw(gate.http, get("/api/secret", "X-Forwarded-For: 10.1.2.3, 192.0.2.7\r\n")).await;
    assert_eq!(response.status(), 401, "{}", response.text());
    let response = send_raw(
        gate.http,
        get("/api/secret", "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 192.0.2.7\r\n"),
    )
    .await;
    assert_eq!(response.status(), 401, "{}", response.text());
    // Not even a trusted proxy changes the path or method that the decision uses.
    for header in
        ["X-Forwarded-Uri: /api/public", "X-Original-URI: /api/public", "X-Forwarded-Method: OPTIONS"]
    {
        let headers = format!("X-Forwarded-For: 192.0.2.7\r\n{header}\r\n");
        assert_eq!(send_raw(gate.http, get("/api/secret", &headers)).await.status(), 401, "{header}");
    }
    assert!(upstream.take().is_empty());
    let response = send_raw(gate.http, get("/api/secret", "X-Forwarded-For: 192.0.2.7, 10.1.2.3\r\n")).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(upstream.take()[0].all("x-forwarded-for"), ["10.1.2.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_only_the_configured_host_is_served() {
    let (upstream, setup, gate) = gate().await;
    let lines = setup.visitor().lines();
    for host in ["gate.test", "GATE.TEST", "Gate.Test:80"] {
        let response =
            send_raw(gate.http, format!("GET /api/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await;
        assert_eq!(response.status(), 200, "{host}: {}", response.text());
        assert_eq!(upstream.take()[0].all("host"), ["gate.test"]);
    }
    for hosts in [
        "Host: evil.test\r\n",
        "Host: gate.test.evil.test\r\n",
        "Host: evilgate.test\r\n",
        "Host: gate.test:81\r\n",
        "Host: gate.test@evil.test\r\n",
        "Host: \r\n",
        "",
        "Host: gate.test, evil.test\r\n",
        "Host: gate.test/\r\n",
        "Host: gate.test\r\nHost: evil.test\r\n",
        "Host: evil.test\r\nHost: gate.test\r\n",
        "Host: gate.test:\r\nHost: gate.test\r\n",
        "Host: 127.0.0.1\r\n",
        "Host: gate.test evil.test\r\n",
    ] {
        let response = send_raw(gate.http, format!("GET /api/x HTTP/1.1\r\n{hosts}{lines}\r\n")).await;
        assert!((400..500).contains(&response.status()), "{hosts}: {}", response.text());
    }
    assert!(upstream.take().is_empty());
    // Nor do headers change the `redirect_uri` sent to WeCom.
    let lies = "X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: javascript\r\nX-Forwarded-Port: 666\r\nForwarded: host=evil.test\r\n";
    let page = format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\n{lies}");
    let location = send_raw(gate.http, get("/admin", &page)).await.header("location").unwrap();
    assert!(location.contains("redirect_uri=http%3A%2F%2Fgate.test%2Fwecom-gate%2Fcallback"), "{location}");
    assert!(!location.contains("evil.test"), "{location}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_other_cookies_arrive_byte_for_byte_and_ours_never() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let others = [
        "a=1",
        "b=\"x y\"",
        "c=%20%0d%0a",
        "odd",
        "=nameless",
        "eq=a=b==",
        "wecom_gatekeeper=mine",
        "Wecom_Gate=mine",
        "caf\u{e9}=\u{4e2d}",
    ];
    let ours = [
        member.cookie.as_str(),
        "wecom_gate_out=1",
        "wecom_gate_tries=2",
        "wecom_gate_flow_AbCd1234=sealed",
        "__Host-wecom_gate=x",
        " wecom_gate = x",
    ];
    let all: Vec<&str> = others.iter().zip(ours.iter().cycle()).flat_map(|(o, u)| [*o, *u]).collect();
    let headers = format!("Cookie: {}\r\nAuthorization: Bearer {}\r\n", all.join("; "), member.phantom);
    let seen = through(&gate, &upstream, "cookies", &get("/api/x", &headers)).await;
    let cookie = seen.all("cookie").join("; ");
    let left: Vec<&str> = cookie.split(';').map(str::trim).filter(|c| !c.starts_with("nb_")).collect();
    assert_eq!(left, others);
    assert!(!seen.head.contains(&member.phantom), "{}", seen.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn r08_headers_after_the_upgrade_are_only_bytes() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
    stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    let text = "X-WeCom-User: boss\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    stream.write_all(&frame(text)).await.unwrap();
    assert_eq!(upstream.frame().await, text);
    assert_eq!(upstream.take().len(), 1);
}
