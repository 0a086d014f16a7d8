//! The examples in `conf/` for operators who keep their own proxy, run unchanged except for addresses by the real nginx, Caddy
//! and HAProxy, and by Traefik where there is one (`make traefik`).

use std::net::SocketAddr;
use std::time::SystemTime;

use nocobase_standin::free;
use wecom_gate::nocobase::{Minter, UserId};

use crate::support::raw::{self, Process, Request, SECRET as NOCOBASE_SECRET, Setup, Upstream, send_raw};

mod in_the_way;
mod proxies;

use proxies::Proxy;

/// The placeholder for the secret in the examples.
const SECRET: &str = "change-this-secret";

/// Traefik is in no Debian package: `make traefik` builds it and names it here.
fn proxies() -> Vec<&'static str> {
    let mut all = vec!["nginx", "caddy", "haproxy"];
    if std::env::var_os("WECOM_GATE_TRAEFIK").is_some() {
        all.push("traefik");
    }
    all
}

async fn stage(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Setup, Process) {
    raw::gate_with(|setup| {
        change(
            setup
                .set("access.trusted_proxies", vec!["127.0.0.1"])
                .set("access.forward_auth_secret", SECRET)
                .set("wecom.verify_files", vec!["WW_verify_7rG3kjVbXHngiald.txt"]),
        )
    })
    .await
}

fn api_key() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    Minter::new(NOCOBASE_SECRET.as_bytes()).service(UserId::new(3).unwrap(), now).unwrap().as_str().to_owned()
}

/// The upstream distinguishes client requests from the gate's own calls by their id.
fn request(method: &str, target: &str, headers: &str) -> String {
    raw::request(method, target, &format!("X-Request-Id: of-a-test\r\n{headers}"))
}

fn get(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// The only request that arrived.
fn only(upstream: &Upstream, what: &str) -> Request {
    let mut all = upstream.take();
    assert_eq!(all.len(), 1, "{what}: {all:?}");
    all.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_work_through_other_proxies() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let others = format!("Cookie: theme=dark; {}; a=1\r\n", member.cookie);
    for name in proxies() {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        let call = format!("{others}Authorization: Bearer {}\r\n", member.phantom);

        let response = send_raw(proxy.at, get("/api/users:list?page=2", &call)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert!(!response.text().contains("eyJ0eXAi"), "{name}: a token was sent: {}", response.text());
        let seen = only(&upstream, name);
        assert_eq!(seen.target(), "/api/users:list?page=2", "{name}");
        assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{name}: {}", seen.head);
        // Traefik cannot send NocoBase the cookies that the gate leaves of the client's.
        let cookies = if name == "traefik" { vec![] } else { vec!["theme=dark; a=1"] };
        assert_eq!(seen.all("cookie"), cookies, "{name}: {}", seen.head);
        assert_eq!(seen.all("x-wecom-user"), ["zhangsan"], "{name}: {}", seen.head);
        assert_eq!(seen.all("x-wecom-gate-secret"), Vec::<&str>::new(), "{name}: {}", seen.head);
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{name}: {}", seen.head);
        assert!(!seen.head.contains(&member.phantom), "{name}: {}", seen.head);

        let body = "x".repeat(100_000);
        let head = format!("{call}Origin: http://gate.test\r\nContent-Length: {}\r\n", body.len());
        let response = send_raw(proxy.at, request("POST", "/api/orders:create", &head) + &body).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        let seen = only(&upstream, name);
        assert_eq!(
            (seen.line(), seen.body.len()),
            ("POST /api/orders:create HTTP/1.1", body.len()),
            "{name}"
        );
        assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{name}: {}", seen.head);

        // The cookie alone is not a credential for NocoBase, here as with the gate in front (CSRF).
        let response = send_raw(proxy.at, get("/api/users:list", &others)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        let seen = only(&upstream, name);
        assert!(seen.header("authorization").unwrap_or_default().is_empty(), "{name}: {}", seen.head);

        // Programs.
        let key = api_key();
        let response = send_raw(proxy.at, get("/api/x", &format!("Authorization: Bearer {key}\r\n"))).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert_eq!(
            only(&upstream, name).header("authorization"),
            Some(format!("Bearer {key}").as_str()),
            "{name}"
        );

        // What NocoBase sends about tokens is removed by the proxy.
        upstream.set_response(
            "/api/renews",
            "200 OK",
            "Set-Cookie: nb_auth_token_main=eyReal\r\nX-New-Token: eyReal\r\n",
            "{}",
        );
        let response = send_raw(proxy.at, get("/api/renews", &call)).await;
        assert_eq!(response.status(), 200, "{name}: {}", response.text());
        assert!(!response.text().contains("eyReal"), "{name}: {}", response.text());
        assert_eq!(only(&upstream, name).target(), "/api/renews");

        // Through the gate: the WebSocket, sign-in, WeCom's verification file.
        let tunnel = format!("{others}Origin: http://gate.test\r\n");
        let response = send_raw(proxy.at, raw::upgrade("/ws", &tunnel)).await;
        assert_eq!(response.status(), 101, "{name}: {}", response.text());
        assert!(!only(&upstream, name).head.contains("wecom_gate="), "{name}");
        let page = format!("Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
        let response = send_raw(proxy.at, get("/admin", &page)).await;
        assert!(
            response.header("location").unwrap().contains("oauth2/authorize"),
            "{name}: {}",
            response.text()
        );
        let response = send_raw(proxy.at, get("/WW_verify_7rG3kjVbXHngiald.txt", "")).await;
        assert_eq!((response.status(), response.body().as_str()), (200, "7rG3kjVbXHngiald"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_whatever_they_send() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    // R3: neither the client's claims about the path nor what the proxy forwards of them change anything.
    let lies = "X-Original-URI: /api/public\r\nX-Forwarded-Uri: /api/public\r\nX-Original-URL: /api/public\r\n\
                X-Forwarded-Method: OPTIONS\r\nX-Original-Method: OPTIONS\r\n";
    for name in proxies() {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        for headers in [
            String::new(),
            lies.to_owned(),
            format!("X-WeCom-Gate-Secret: {SECRET}\r\nX-WeCom-User: boss\r\nX-Forwarded-User: 1\r\n"),
            format!("Authorization: Bearer {}\r\n", member.phantom),
            format!("Authorization: Bearer {}x\r\n", api_key()),
            format!("{}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", member.lines()),
        ] {
            let response = send_raw(proxy.at, get("/api/secret", &headers)).await;
            assert_eq!(response.status(), 401, "{name}, {headers}: {}", response.text());
            assert_eq!(response.header("x-wecom-gate-login").as_deref(), Some("/wecom-gate/login"), "{name}");
            assert!(upstream.take().is_empty(), "{name}, {headers}");
        }
        // The response intended for the proxy only.
        for path in ["/wecom-gate/auth", "/wecom-gate/auth?x=1", "/.wecom-gate-auth", "/%77ecom-gate/auth"] {
            let headers = format!("{}X-WeCom-Gate-Secret: {SECRET}\r\n", member.lines());
            let response = send_raw(proxy.at, get(path, &headers)).await;
            assert!(!response.text().contains("Bearer"), "{name}, {path}: {}", response.text());
            assert!(response.header("authorization").is_none(), "{name}, {path}: {}", response.text());
        }
        upstream.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_preflights_pass_through_other_proxies_anonymously() {
    for (preflights, status) in [(true, 200), (false, 401)] {
        let (upstream, setup, gate) = stage(|s| s.set("access.preflights", preflights)).await;
        for name in proxies() {
            let proxy = Proxy::start(name, &gate, upstream.address).await;
            let headers = "Origin: https://other.test\r\nAccess-Control-Request-Method: POST\r\n\
                           Access-Control-Request-Headers: authorization\r\n";
            let response = send_raw(proxy.at, request("OPTIONS", "/api/orders:list", headers)).await;
            assert_eq!(response.status(), status, "{name}: {}", response.text());
            let seen = upstream.take();
            assert_eq!(seen.len(), usize::from(preflights), "{name}");
            for seen in seen {
                assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None), "{name}");
            }
            // A method that is only named in a header changes nothing, and a program is not a browser.
            for (method, headers) in [
                ("POST", headers.to_owned() + "X-Forwarded-Method: OPTIONS\r\n"),
                ("GET", headers.to_owned() + "X-HTTP-Method-Override: OPTIONS\r\n"),
                ("OPTIONS", "Origin: https://other.test\r\n".to_owned()),
                ("OPTIONS", "Access-Control-Request-Method: POST\r\n".to_owned()),
            ] {
                let response = send_raw(proxy.at, request(method, "/api/orders:list", &headers)).await;
                assert_eq!(response.status(), 401, "{name} {method} {headers}: {}", response.text());
                assert!(upstream.take().is_empty(), "{name} {method} {headers}");
            }
        }
        let _ = setup;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_clients_are_stripped_by_other_proxies() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let lies: String = [
        "X-WeCom-User",
        "x-wecom-user",
        "X_WeCom_User",
        "x.wecom.user",
        "X-WeCom-Corp",
        "X-WeCom-Entry",
        "X-WeCom-Name",
        "X-Forwarded-User",
        "X_Forwarded_User",
        "Forwarded",
        "X-Real-IP",
        "X-WeCom-Gate-Secret",
        "X-WeCom-Gate-Cookie",
        "X-Forwarded-For",
    ]
    .map(|header| format!("{header}: spoofed\r\n{header}: spoofed\r\n"))
    .concat();
    for name in proxies() {
        let proxy = Proxy::start(name, &gate, upstream.address).await;
        for (credentials, users) in [
            (member.lines(), vec!["zhangsan"]),
            (member.cookie_line(), vec!["zhangsan"]),
            (format!("Authorization: Bearer {}\r\n", api_key()), vec![]),
        ] {
            let response = send_raw(proxy.at, get("/api/x", &format!("{lies}{credentials}"))).await;
            assert_eq!(response.status(), 200, "{name}: {}", response.text());
            let seen = only(&upstream, name);
            assert!(!seen.head.contains("spoofed"), "{name}: {}", seen.head);
            let said: Vec<&str> = seen.all("x-wecom-user").into_iter().filter(|v| !v.is_empty()).collect();
            assert_eq!(said, users, "{name}: {}", seen.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_proxy_gets_the_token() {
    let ask = |setup: &Setup, secret: &str| {
        get("/wecom-gate/auth", &format!("{}{secret}", setup.visitor().lines()))
    };
    let right = format!("X-WeCom-Gate-Secret: {SECRET}\r\n");
    let (_upstream, setup, gate) = stage(|s| s).await;
    let response = send_raw(gate.http, ask(&setup, &right)).await;
    assert!(response.header("authorization").unwrap().starts_with("Bearer ey"), "{}", response.text());
    for wrong in [
        String::new(),
        "X-WeCom-Gate-Secret: \r\n".to_owned(),
        format!("X-WeCom-Gate-Secret: {SECRET}x\r\n"),
        format!("{right}{right}"),
        format!("X_WeCom_Gate_Secret: {SECRET}\r\n"),
    ] {
        let response = send_raw(gate.http, ask(&setup, &wrong)).await;
        assert_eq!(response.status(), 204, "{wrong}: {}", response.text());
        assert!(response.header("authorization").is_none(), "{wrong}: {}", response.text());
        assert_eq!(response.header("x-wecom-user").as_deref(), Some("zhangsan"), "{wrong}");
    }
    // A peer that is not a trusted proxy, even with the secret; and a gate without a secret.
    let (_upstream, setup, gate) = stage(|s| s.set("access.trusted_proxies", vec!["10.0.0.1"])).await;
    let response = send_raw(gate.http, ask(&setup, &right)).await;
    assert!(response.header("authorization").is_none(), "{}", response.text());
    let (_upstream, setup, gate) =
        raw::gate_with(|s| s.set("access.trusted_proxies", vec!["127.0.0.1"])).await;
    let response = send_raw(gate.http, ask(&setup, "X-WeCom-Gate-Secret: \r\n")).await;
    assert!(response.header("authorization").is_none(), "{}", response.text());
}
