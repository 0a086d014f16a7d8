//! A changed configuration while the gate serves: applied as a whole or not at all, and no request is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::numbers::numbers;
use crate::support::config::{KEY, OTHER_KEY};
use crate::support::load::Load;
use crate::support::raw::{get, read_response, send_raw};
use crate::support::{Gate, Stage, becomes, eventually};

/// How often the gate has logged a successful reload so far.
async fn reloads(stage: &Stage) -> usize {
    let log = stage.gate.log_until_now().await;
    log.iter().filter(|l| l["event"] == "reload" && l["message"] == "configuration reloaded").count()
}

impl Stage {
    /// Changes the file, reloads it, and waits until it is in effect.
    async fn reload_with(&mut self, change: impl FnOnce(&mut crate::support::Config)) {
        change(&mut self.config);
        let before = reloads(self).await;
        self.gate.rewrite(&self.config.text());
        self.gate.signal("HUP");
        eventually("a reload", async || reloads(self).await > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_configuration_takes_effect_at_once_and_keeps_sessions() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let asked = |stage: &Stage| stage.nocobase.calls("auth:check");
    assert_eq!(stage.nocobase.count("/big/64"), 0);
    assert_ne!(send_raw(stage.gate.http, get("/big/64", "")).await.status(), 200);
    let (checks, tokens) = (asked(&stage), numbers(&stage).await);
    let fetched = r#"wecom_gate_wecom_token_refreshes_total{entry="wecom",result="ok"}"#;

    // A new key, and a rule; secrets in files are read again.
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), format!("{OTHER_KEY}\n{KEY}\n")).unwrap();
    let path = keys.path().to_str().unwrap().to_owned();
    stage
        .reload_with(|c| {
            c.unset("session.keys").set("session.keys_file", path);
            c.set("access.public", vec!["GET /big/64"]);
        })
        .await;
    assert_eq!(send_raw(stage.gate.http, get("/big/64", "")).await.status(), 200);
    // The old cookie is still valid, and NocoBase is not asked about it again.
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(asked(&stage), checks);
    // WeCom's access token is kept, and so are counters.
    let mut later = stage.signed_in("lisi").await;
    let served = r#"wecom_gate_requests_total{code="2xx",outcome="nocobase"}"#;
    eventually("counters continue", async || numbers(&stage).await[served] > tokens[served]).await;
    let after = numbers(&stage).await;
    assert_eq!(after[fetched], tokens[fetched], "no gettoken more");
    assert_eq!(after[r#"wecom_gate_reloads_total{result="ok",what="configuration"}"#], 1.0);

    // Cookies sealed since then do not need the old key; earlier ones do.
    std::fs::write(keys.path(), format!("{OTHER_KEY}\n")).unwrap();
    stage.reload_with(|_| {}).await;
    assert_eq!(later.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_configuration_changes_nothing_and_is_reported() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let good = stage.config.clone();
    let mut bad = stage.config.clone();
    bad.set("session.idel", "1h").set("session.recheck", "1s").set("access.public", vec!["GET /big/64"]);
    stage.gate.rewrite(&bad.text());
    stage.gate.signal("HUP");
    for key in ["session.idel", "session.recheck"] {
        stage.gate.wait_for_log(&["\"reload\"", "\"ERROR\"", &format!("\"key\":\"{key}\"")]).await;
    }
    assert!(!stage.gate.written_until_now().await.contains(KEY), "and no secret");
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_ne!(send_raw(stage.gate.http, get("/big/64", "")).await.status(), 200, "nothing of it counts");
    let counter = r#"wecom_gate_reloads_total{result="failed",what="configuration"}"#;
    becomes("it is counted", (1.0, 0.0, 1.0), async || {
        let failed = numbers(&stage).await;
        let ok = failed[r#"wecom_gate_last_reload_ok{what="configuration"}"#];
        (failed[counter], ok, failed[r#"wecom_gate_degraded{what="reload_configuration"}"#])
    })
    .await;

    // Nodes that do not exist are only detected when it is applied.
    let mut unbuilt = good.clone();
    unbuilt.set("upstream.nodes", vec!["no-such-host.invalid:1"]);
    stage.gate.rewrite(&unbuilt.text());
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"reload\"", "\"ERROR\"", "no-such-host.invalid"]).await;
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);

    // Valid again, with a key that takes effect only at a restart.
    stage.reload_with(|c| _ = c.set("limits.connections", 7).set("log.level", "info")).await;
    for key in ["limits.connections", "log.level"] {
        stage.gate.wait_for_log(&["\"WARN\"", "restart", &format!("\"key\":\"{key}\"")]).await;
    }
    let degraded = r#"wecom_gate_degraded{what="reload_configuration"}"#;
    becomes("it is no longer degraded", 0.0, async || numbers(&stage).await[degraded]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_nocobase_can_change() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let old = stage.nocobase.address.to_string();
    let other = stage.nocobase.another_node().await;
    let new = other.address.to_string();
    stage.reload_with(|c| _ = c.set("upstream.nodes", vec![new.clone()])).await;
    stage.nocobase.down().await;
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    let up = |node: &str| format!("wecom_gate_upstream_up{{node=\"{node}\"}}");
    becomes("the new node is there and the old one gone", (Some(1.0), None), async || {
        let numbers = numbers(&stage).await;
        (numbers.get(&up(&new)).copied(), numbers.get(&up(&old)).copied())
    })
    .await;
    stage.gate.wait_for_log(&["\"request\"", &new]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_over_twenty_reloads() {
    let mut stage = Stage::start(|c| _ = c.set("access.public", vec!["GET /big/64"])).await;
    let phone = stage.signed_in("zhangsan").await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let cookie: Vec<String> = phone.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let line = format!("Cookie: {}\r\nAuthorization: Bearer {}\r\n", cookie.join("; "), phone.phantom());
    let mut clients = Vec::new();
    for keep in [true, true, true, false] {
        let (stop, done, line, gate) = (stop.clone(), done.clone(), line.clone(), stage.gate.http);
        clients.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(gate).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                if !keep {
                    stream = TcpStream::connect(gate).await.unwrap();
                }
                stream.write_all(get("/api/orders:list", &line).as_bytes()).await.unwrap();
                let response = read_response(&mut stream).await;
                assert_eq!(response.status(), 200, "{}", response.text());
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for i in 0..20 {
        let keys = if i % 2 == 0 { vec![OTHER_KEY, KEY] } else { vec![KEY, OTHER_KEY] };
        let before = done.load(Ordering::Relaxed);
        stage.reload_with(|c| _ = c.set("session.keys", keys)).await;
        eventually("requests continue", async || done.load(Ordering::Relaxed) > before + 8).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        tokio::time::timeout(Duration::from_secs(20), client).await.unwrap().expect("no request fails");
    }
    println!("{} requests over 20 reloads", done.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_over_restarts_while_systemd_holds_the_socket() {
    let rules = vec!["GET /big/64"];
    let mut stage = Stage::start(|c| _ = c.set("access.public", rules)).await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    stage.config.set("listen.http", vec![address.to_string()]);
    stage.gate = Gate::start_on(&stage.config, &socket).await;
    assert_eq!(stage.gate.http, address);
    let load = Load::on(address);
    for _ in 0..3 {
        load.continues().await;
        stage.gate.end().await;
        stage.gate = Gate::start_on(&stage.config, &socket).await;
    }
    load.continues().await;
    println!("{} requests over 3 restarts", load.end().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_gets_the_state_of_the_gate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let said = || {
        let mut room = [0; 256];
        let n = socket.recv(&mut room).unwrap();
        String::from_utf8(room[..n].to_vec()).unwrap()
    };
    let mut stage = Stage::start(|_| {}).await;
    stage.gate = Gate::start_with(&stage.config, &[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
    assert_eq!(said(), "READY=1\n");
    stage.reload_with(|_| {}).await;
    let reloading = said();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(said(), "READY=1\n");
    stage.gate.end().await;
    assert_eq!(said(), "STOPPING=1\n");
}
