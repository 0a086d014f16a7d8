//! Several nodes of NocoBase: requests are distributed, and none is lost while one of them is unreachable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nocobase_standin::ABOUT;
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Browser, Stage, eventually};

const STARTING: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const STOPPING: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                        Connection: close\r\n\r\n{}";
const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A scripted node: responds to every request with these bytes, or closes the connection when they are empty.
struct Puppet {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    checks: Arc<AtomicUsize>,
    /// Whether its health check passes.
    pretends: Arc<AtomicBool>,
}

impl Puppet {
    async fn start(response: &'static str) -> Puppet {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, checks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pretends = Arc::new(AtomicBool::new(true));
        let (count, checked, well) = (requests.clone(), checks.clone(), pretends.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (count, checked, well) = (count.clone(), checked.clone(), well.clone());
                tokio::spawn(async move {
                    let mut head = vec![0; 16 * 1024];
                    let n = stream.read(&mut head).await.unwrap_or(0);
                    if head[..n].windows(14).any(|w| w == b"__health_check") {
                        checked.fetch_add(1, Ordering::Relaxed);
                        let response = if well.load(Ordering::Relaxed) { WELL } else { STARTING };
                        let _ = stream.write_all(response.as_bytes()).await;
                    } else if String::from_utf8_lossy(&head[..n]).contains(ABOUT) {
                        let _ = stream.write_all(WELL.as_bytes()).await;
                    } else if n > 0 {
                        count.fetch_add(1, Ordering::Relaxed);
                        let _ = stream.write_all(response.as_bytes()).await;
                    }
                });
            }
        });
        Puppet { address, requests, checks, pretends }
    }

    fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A signed-in member at a gate with two nodes: the stage's and this one.
async fn two(stage: &mut Stage, other: SocketAddr) -> Browser {
    let both = vec![stage.nocobase.address.to_string(), other.to_string()];
    stage
        .restart_with(|config| {
            config.set("upstream.nodes", both).set("upstream.health_interval", "100ms");
        })
        .await;
    stage.signed_in("zhangsan").await
}

/// The nodes that the access log names for this many requests to this path.
async fn nodes(stage: &Stage, path: &str, count: usize) -> Vec<String> {
    let lines = stage.gate.wait_for_lines("path", path, count).await;
    lines.iter().map(|line| line["node"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_spread_and_none_is_lost_while_a_node_restarts() {
    let mut stage = Stage::start(|_| {}).await;
    let other = stage.nocobase.another_node().await;
    let mut phone = two(&mut stage, other.address).await;
    for _ in 0..10 {
        assert_eq!(phone.visit("/admin/spread").await.status, 200);
    }
    let named = nodes(&stage, "/admin/spread", 10).await;
    assert_eq!(named.len(), 10, "{named:?}");
    for node in [stage.nocobase.address, other.address] {
        assert!(named.iter().filter(|n| **n == node.to_string()).count() >= 4, "{named:?}");
    }

    other.down().await;
    for _ in 0..20 {
        assert_eq!(phone.visit("/admin/away").await.status, 200);
        let post = phone.api(Method::POST, "/api/orders:create").await;
        assert_eq!(post.status, 200, "nothing was sent to the unreachable node: {}", post.body);
    }
    stage.gate.wait_for_log(&["upstream", "unreachable"]).await;
    other.up().await;
    stage.gate.wait_for_log(&["upstream", "is back"]).await;
    let mut sent = 0;
    eventually("the node gets requests again", async || {
        phone.clone().visit("/admin/back").await;
        sent += 1;
        nodes(&stage, "/admin/back", sent).await.contains(&other.address.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_up_costs_no_safe_request_and_repeats_no_other() {
    let puppet = Puppet::start("").await;
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = two(&mut stage, puppet.address).await;
    for _ in 0..8 {
        assert_eq!(phone.visit("/admin/x").await.status, 200);
    }
    assert!(puppet.requests() > 0, "the node was tried");
    let (before, mut lost) = (stage.nocobase.count("/api/orders:create"), 0);
    for _ in 0..8 {
        let response = phone.api(Method::POST, "/api/orders:create").await;
        if response.status == 502 {
            assert_eq!(response.header("retry-after"), Some("5"));
            lost += 1;
        } else {
            assert_eq!(response.status, 200);
        }
    }
    assert!(lost > 0, "the node may have done it: it is not for the gate to do it again");
    assert_eq!(stage.nocobase.count("/api/orders:create") - before, 8 - lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_starting_is_skipped() {
    let puppet = Puppet::start(STARTING).await;
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = two(&mut stage, puppet.address).await;
    for _ in 0..8 {
        assert_eq!(phone.visit("/admin/x").await.status, 200);
        assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    }
    assert!(puppet.requests() > 0, "the node was tried");
    puppet.pretends.store(false, Ordering::Relaxed);
    stage.gate.wait_for_log(&["upstream", "starting"]).await;
    // The second consecutive failure counts: when the third check arrives, it has been seen.
    let checks = puppet.checks();
    eventually("two more checks", async || puppet.checks() >= checks + 2).await;
    let before = puppet.requests();
    for _ in 0..8 {
        assert_eq!(phone.api(Method::POST, "/api/orders:create").await.status, 200);
    }
    assert_eq!(puppet.requests(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_responds_500_while_it_stops_costs_no_safe_request() {
    let puppet = Puppet::start(STOPPING).await;
    let mut stage = Stage::start(|_| {}).await;
    let both = vec![stage.nocobase.address.to_string(), puppet.address.to_string()];
    stage
        .restart_with(|config| {
            config.set("upstream.nodes", both);
        })
        .await;
    let mut phone = stage.signed_in("zhangsan").await;
    for _ in 0..8 {
        assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    }
    let doubted = puppet.requests();
    assert!(doubted > 0, "the node was tried");
    // Until its next health check, two seconds later, requests that must not be repeated do not go there either.
    for _ in 0..4 {
        assert_eq!(phone.api(Method::POST, "/api/orders:create").await.status, 200);
    }
    assert_eq!(puppet.requests(), doubted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_node_responds_500_to_is_500() {
    let mut stage = Stage::start(|_| {}).await;
    let other = stage.nocobase.another_node().await;
    let mut phone = two(&mut stage, other.address).await;
    for (method, asked) in [(Method::GET, 2), (Method::POST, 1)] {
        let before = stage.nocobase.count("/api/orders:broken");
        stage.nocobase.fail("orders:broken", 500, r#"{"errors":[{"message":"a bug"}]}"#, usize::MAX);
        let response = phone.api(method.clone(), "/api/orders:broken").await;
        assert_eq!(
            (response.status, response.body.contains("a bug")),
            (500, true),
            "{method}: {}",
            response.body
        );
        assert_eq!(stage.nocobase.count("/api/orders:broken") - before, asked, "{method}");
    }
}
