//! Proxies in front of the gate and behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn nginx_in_front_passes_everything_through_the_gate() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let proxy = Proxy::start("nginx in front", &gate, upstream.address).await;
    let lines = format!("{}X-Forwarded-For: 203.0.113.9\r\n", member.lines());
    let response = send_raw(proxy.at, raw::get("/api/users:list?page=2", &lines)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let seen = upstream.take();
    let seen = seen.iter().find(|r| r.target() == "/api/users:list?page=2").expect("it reaches NocoBase");
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{}", seen.head);
    assert_eq!(send_raw(proxy.at, raw::get("/api/users:list", "")).await.status(), 401);
    let page = format!("User-Agent: {}\r\nAccept: text/html\r\n", raw::WECOM);
    let login = send_raw(proxy.at, raw::get("/admin", &page)).await;
    assert_eq!(login.status(), 302, "{}", login.text());
    let file = send_raw(proxy.at, raw::get("/WW_verify_7rG3kjVbXHngiald.txt", "")).await;
    assert_eq!((file.status(), file.body().as_str()), (200, "7rG3kjVbXHngiald"));
    let tunnel = send_raw(proxy.at, raw::upgrade("/ws-public", "")).await;
    assert_eq!(tunnel.status(), 101, "{}", tunnel.text());
    // The client's claim about its address does not count; nginx's does.
    let lines = gate.wait_for_lines("event", "request", 4).await;
    assert!(lines.iter().all(|l| l["client"] == "127.0.0.1"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_behind_serves_files_and_passes_on_the_rest() {
    let at = free();
    let (upstream, setup, gate) =
        stage(|s| s.set("upstream.nodes", vec![at.to_string()]).set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    let proxy = Proxy::start_at(at, "nginx behind", gate.http, gate.ops, upstream.address).await;
    let lines = format!("{}X-Forwarded-For: 203.0.113.9\r\nX-WeCom-User: boss\r\n", member.lines());

    let response = send_raw(gate.http, get("/api/users:list?page=2", &lines)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    let seen = upstream.take();
    let seen = seen.iter().find(|r| r.target() == "/api/users:list?page=2").expect("it reaches NocoBase");
    assert!(seen.header("authorization").unwrap().starts_with("Bearer ey"), "{}", seen.head);
    assert_eq!(seen.all("x-wecom-user"), ["zhangsan"], "{}", seen.head);
    assert_eq!(seen.all("x-forwarded-for"), ["203.0.113.9"], "the gate trusts this test: {}", seen.head);
    assert_eq!(seen.all("host"), ["gate.test"], "{}", seen.head);

    let script = send_raw(gate.http, get("/assets/index-1.js", &lines)).await;
    assert_eq!((script.status(), script.body().as_str()), (200, "from the disk"), "{}", script.text());
    assert_eq!(script.header("content-type").as_deref(), Some("application/javascript"));
    assert!(
        upstream.take().iter().all(|r| !r.target().starts_with("/assets")),
        "it was not NocoBase's response"
    );

    let tunnel = send_raw(
        gate.http,
        raw::upgrade("/ws", &format!("{}Origin: http://gate.test\r\n", member.cookie_line())),
    );
    let tunnel = tunnel.await;
    assert_eq!(tunnel.status(), 101, "{}", tunnel.text());
    assert_eq!(send_raw(gate.http, get("/api/users:list", "")).await.status(), 401);

    // NocoBase is unreachable, nginx is not: pages wait, programs get Retry-After.
    upstream.take();
    drop(proxy);
    let _proxy = Proxy::start_at(at, "nginx behind", gate.http, gate.ops, free()).await;
    let response =
        send_raw(gate.http, request("POST", "/api/orders:create", &format!("{lines}Content-Length: 0\r\n")))
            .await;
    assert_eq!(
        (response.status(), response.header("retry-after").as_deref()),
        (503, Some("5")),
        "{}",
        response.text()
    );
    let page = format!("{lines}Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
    let response = send_raw(gate.http, get("/admin", &page)).await;
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.body().contains("http-equiv=\"refresh\""), "{}", response.text());
}

/// Forwards connections to `ops`, and counts them.
async fn counted(ops: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                if let Ok(mut to) = tokio::net::TcpStream::connect(ops).await {
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (at, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nocobase_balancers_keep_serving_the_gates_own_pages() {
    let nobody = free();
    let setup = Setup::new(nobody).set("access.trusted_proxies", vec!["127.0.0.1"]);
    let gate = setup.start().await;
    let member = setup.visitor();
    eventually("NocoBase is unreachable", async || {
        send_raw(gate.ops, raw::get("/readyz", "Connection: close\r\n")).await.status() == 503
    })
    .await;
    let (ops, checks) = counted(gate.ops).await;
    let balancers = ["haproxy", "nginx in front"];
    let mut proxies = Vec::new();
    for name in balancers {
        proxies.push(Proxy::start_at(free(), name, gate.http, ops, nobody).await);
    }
    // More checks than HAProxy needs to remove a server.
    eventually("HAProxy has checked the gate", async || checks.load(Ordering::SeqCst) >= 6).await;
    for (name, proxy) in balancers.iter().zip(&proxies) {
        let person = format!("Accept: text/html\r\nUser-Agent: {}\r\n", raw::WECOM);
        let response = send_raw(proxy.at, get("/admin", &person)).await;
        assert_eq!(response.status(), 302, "{name}: to WeCom: {}", response.text());
        let response = send_raw(proxy.at, get("/admin", &format!("{person}{}", member.cookie_line()))).await;
        assert_eq!(response.status(), 502, "{name}: {}", response.text());
        assert!(response.text().contains("wecom-gate"), "{name}: not the gate's page: {}", response.text());
        let response = send_raw(proxy.at, get("/wecom-gate/login?rd=/admin", &person)).await;
        assert!(matches!(response.status(), 200 | 302), "{name}: {}", response.text());
    }
    drop(gate);
    eventually("HAProxy removes a stopped gate", async || {
        send_raw(proxies[0].at, get("/admin", "")).await.status() == 503
    })
    .await;
}
