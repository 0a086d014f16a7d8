//! The operator's port: readiness with its reasons, and metrics that are correct and of bounded cardinality.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_sim::Fault;

use crate::support::browser::CURL;
use crate::support::raw::{get, read_response, request, send_raw, upgrade};
use crate::support::{Browser, Stage, becomes, eventually};

async fn ready(stage: &Stage) -> (u16, Value) {
    let response =
        send_raw(stage.gate.ops, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    (response.status(), serde_json::from_str(&response.body()).unwrap())
}

/// Series and their values.
pub(crate) async fn numbers(stage: &Stage) -> BTreeMap<String, f64> {
    let text = send_raw(stage.gate.ops, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .body();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|l| l.rsplit_once(' ').unwrap())
        .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
        .collect()
}

/// How many requests have been counted, of any kind.
async fn requests(stage: &Stage) -> f64 {
    let all = numbers(stage).await;
    all.iter().filter(|(name, _)| name.starts_with("wecom_gate_requests_total{")).map(|(_, n)| n).sum()
}

fn reasons(ready: &Value) -> Vec<&str> {
    ready["degraded"].as_array().unwrap().iter().map(|d| d["what"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_shows_what_is_degraded_and_why() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let (status, well) = ready(&stage).await;
    let node = stage.nocobase.address.to_string();
    assert_eq!(status, 200);
    assert_eq!(
        well,
        json!({ "status": "ok", "stopping": false, "upstream": { &node: "ok" }, "degraded": [] })
    );

    stage.wecom().add_fault(Fault::errcode("/cgi-bin/user/get", 60020, 1));
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 502);
    let (status, said) = ready(&stage).await;
    assert_eq!((status, &said["status"], reasons(&said)), (200, &json!("degraded"), vec!["wecom_calls"]));
    let why = said["degraded"][0]["why"].as_str().unwrap();
    assert!(why.contains("wecom_ip_not_trusted") && why.contains("60020"), "{why}");
    stage.wecom().clear_faults();
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
    assert_eq!(ready(&stage).await.1["status"], "ok");

    stage.wecom().forget_tokens();
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/gettoken", 40001, 9));
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 502);
    let (status, said) = ready(&stage).await;
    assert_eq!(status, 200);
    assert!(reasons(&said).contains(&"wecom_token"), "{said}");
    becomes("the numbers show the same", (0.0, 1.0, 1.0), async || {
        let numbers = numbers(&stage).await;
        let degraded = numbers[r#"wecom_gate_degraded{what="wecom_token"}"#];
        (numbers[r#"wecom_gate_wecom_token_ok{entry="wecom"}"#], degraded, numbers["wecom_gate_ready"])
    })
    .await;

    stage.nocobase.down().await;
    eventually("503 without NocoBase", async || ready(&stage).await.0 == 503).await;
    let (_, said) = ready(&stage).await;
    assert_eq!((&said["status"], &said["upstream"][&node]), (&json!("unavailable"), &json!("unreachable")));
    assert!(reasons(&said).contains(&"nocobase"), "{said}");
    becomes("the numbers show it", 0.0, async || numbers(&stage).await["wecom_gate_ready"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_probes_send_no_request_to_nocobase() {
    let stage = Stage::start(|config| {
        config.set("upstream.health_interval", "60s");
    })
    .await;
    eventually("the first check", async || stage.nocobase.calls("__health_check") == 1).await;
    let stage = &stage;
    futures_util::future::join_all((0..100).map(|_| ready(stage))).await;
    assert_eq!(stage.nocobase.calls("__health_check"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted() {
    let stage = Stage::start(|_| {}).await;
    let mut browser = stage.signed_in("zhangsan").await;
    // Redirect to WeCom, callback, page: each is counted when its response has been sent.
    becomes("the sign-in is counted", 3.0, async || requests(&stage).await).await;
    let before = numbers(&stage).await;
    for _ in 0..5 {
        assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 200);
    }
    stage.nocobase.fail("/api/broken", 500, "{}", 1);
    browser.api(Method::GET, "/api/broken").await;
    assert_eq!(Browser::new(&stage.gate, CURL).visit("/api/x").await.status, 401);
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/user/get", 60111, 1));
    stage.phone("lisi").open("/admin").await;
    let cookie = format!(
        "Cookie: wecom_gate={}\r\nOrigin: http://gate.test\r\n",
        browser.cookie("wecom_gate").unwrap()
    );
    let mut socket = TcpStream::connect(stage.gate.http).await.unwrap();
    socket.write_all(upgrade("/ws", &cookie).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut socket).await.status(), 101);
    assert_eq!(send_raw(stage.gate.http, "no request at all\r\n\r\n").await.status(), 400);
    assert_eq!(send_raw(stage.gate.http, request("CONNECT", "gate.test:1", "")).await.status(), 405);

    let node = stage.nocobase.address;
    let expected = [
        (r#"wecom_gate_requests_total{code="2xx",outcome="nocobase"}"#, 5.0),
        (r#"wecom_gate_requests_total{code="5xx",outcome="nocobase"}"#, 1.0),
        // The unauthenticated program, and the member who is not visible in WeCom.
        (r#"wecom_gate_requests_total{code="4xx",outcome="refused"}"#, 2.0),
        (r#"wecom_gate_refusals_total{label="no_session"}"#, 1.0),
        (r#"wecom_gate_refusals_total{label="not_visible"}"#, 1.0),
        (r#"wecom_gate_sign_ins_total{entry="wecom",outcome="refused",reason="not_visible"}"#, 1.0),
        (r#"wecom_gate_sign_ins_total{entry="wecom",outcome="signed_in",reason=""}"#, 0.0),
        (r#"wecom_gate_sign_ins_started_total{entry="wecom",via="wecom"}"#, 1.0),
        (r#"wecom_gate_wecom_calls_total{call="user/get",entry="wecom",result="user"}"#, 1.0),
        (r#"wecom_gate_wecom_calls_total{call="getuserinfo",entry="wecom",result="ok"}"#, 1.0),
        ("wecom_gate_websockets_total", 1.0),
        ("wecom_gate_websockets_open", 1.0),
        ("wecom_gate_malformed_requests_total", 2.0),
        (&format!(r#"wecom_gate_upstream_responses_total{{code="5xx",node="{node}"}}"#), 1.0),
        (&format!(r#"wecom_gate_upstream_responses_total{{code="1xx",node="{node}"}}"#), 1.0),
        (&format!(r#"wecom_gate_upstream_duration_seconds_count{{node="{node}"}}"#), 7.0),
    ];
    becomes("all is counted", expected.to_vec(), async || {
        let after = numbers(&stage).await;
        expected.iter().map(|(name, _)| (*name, after[*name] - before[*name])).collect()
    })
    .await;
    let after = numbers(&stage).await;
    assert_eq!(before[r#"wecom_gate_sign_ins_total{entry="wecom",outcome="signed_in",reason=""}"#], 1.0);
    assert_eq!(before[r#"wecom_gate_wecom_token_refreshes_total{entry="wecom",result="ok"}"#], 1.0);
    assert_eq!(before["wecom_gate_sessions_seen"], 1.0);
    assert!(before[r#"wecom_gate_nocobase_calls_total{call="auth:check",result="ok"}"#] >= 1.0);
    let own = "wecom_gate_own_duration_seconds_count";
    eventually("so is the gate's own time", async || numbers(&stage).await[own] - before[own] >= 8.0).await;
    assert!(after["wecom_gate_connections_open"] >= 1.0);
    assert!(after["wecom_gate_process_resident_memory_bytes"] > 1e6);

    drop(socket);
    eventually("the WebSocket is closed", async || {
        numbers(&stage).await["wecom_gate_websockets_open"] == 0.0
    })
    .await;
    stage.nocobase.down().await;
    assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 502);
    let lost = format!(r#"wecom_gate_upstream_responses_total{{code="none",node="{node}"}}"#);
    becomes("the lost request is counted", 1.0, async || numbers(&stage).await[&lost]).await;
    // The request's log line has NocoBase's response time, and no such field where NocoBase was not involved.
    let broken = &stage.gate.wait_for_lines("path", "/api/broken", 1).await[0];
    assert!(broken["upstream_ms"].as_f64().unwrap() <= broken["ms"].as_f64().unwrap(), "{broken}");
    assert_eq!(broken["node"], node.to_string());
    let refused = stage.gate.wait_for_lines("path", "/api/x", 2).await;
    let request = refused.iter().find(|l| l["event"] == "request").unwrap();
    assert!(request.get("upstream_ms").is_none(), "{request}");
    assert_eq!(stage.gate.wait_for_lines("event", "malformed", 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_client_makes_no_new_series() {
    let stage = Stage::start(|_| {}).await;
    let mut browser = stage.signed_in("zhangsan").await;
    let names = async || numbers(&stage).await.into_keys().collect::<BTreeSet<_>>();
    becomes("the sign-in is counted", 3.0, async || requests(&stage).await).await;
    let (before, before_all) = (names().await, requests(&stage).await);
    assert!(before.len() > 200, "{}", before.len());
    let cookie = format!("Cookie: wecom_gate={}\r\n", browser.cookie("wecom_gate").unwrap());
    for i in 0..20 {
        for method in ["GET", "POST", "BREW", &format!("M{i}")] {
            send_raw(stage.gate.http, request(method, &format!("/made/up/{i}?q={i}"), &cookie)).await;
            send_raw(
                stage.gate.http,
                request(method, &format!("/api/{i}:list"), "Authorization: Bearer x\r\n"),
            )
            .await;
        }
        for target in [
            format!("/wecom-gate/login?with=entry{i}"),
            format!("/wecom-gate/login?via=way{i}"),
            format!("/wecom-gate/events/entry{i}?msg_signature=x&timestamp=1&nonce=2&echostr=z"),
            format!("/wecom-gate/callback?code=c{i}&state=s{i}"),
            format!("/wecom-gate/page{i}"),
            format!("/%2e%2e/{i}"),
        ] {
            send_raw(stage.gate.http, get(&target, "")).await;
        }
        send_raw(
            stage.gate.http,
            format!("GET / HTTP/1.1\r\nHost: host{i}.example\r\nUser-Agent: a{i}\r\n\r\n"),
        )
        .await;
        send_raw(stage.gate.http, format!("NONSENSE{i}\r\n\r\n")).await;
    }
    // Status codes of NocoBase do not become labels either.
    for status in [299, 418, 599] {
        stage.nocobase.fail("/api/odd", status, "{}", 1);
        browser.api(Method::GET, "/api/odd").await;
    }
    eventually("the requests are counted", async || requests(&stage).await >= before_all + 20.0 * 14.0).await;
    let new: Vec<_> = names().await.difference(&before).cloned().collect();
    assert!(new.is_empty(), "{new:#?}");
}

/// A 200 alone is not NocoBase's health check: its page responds 200 to any path, and other servers send other bodies.
#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_gets_anything_but_ok_is_not_ready() {
    let stage = Stage::start(|c| _ = c.set("upstream.health_interval", "1s")).await;
    eventually("ready", async || ready(&stage).await.0 == 200).await;
    let big = "ok".repeat(100_000);
    for body in [nocobase_standin::PAGE, "", "OK", "okay", "{\"status\":\"ok\"}", "ok\nnot", &big] {
        stage.nocobase.fail("__health_check", 200, body, usize::MAX);
        eventually("not ready", async || ready(&stage).await.0 == 503).await;
        let (_, shown) = ready(&stage).await;
        assert_eq!(shown["upstream"][&stage.nocobase.address.to_string()], "unhealthy", "{shown}");
        stage.nocobase.heal();
        eventually("ready again", async || ready(&stage).await.0 == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_public_path_is_not_ready_and_the_log_names_the_setting() {
    let stage = Stage::start(|c| {
        c.set("upstream.health_interval", "1s").set("nocobase.public_path", "/wrong/");
        c.set("wecom.home", "/wrong/admin").set("wecom.home_mobile", "/wrong/m");
    })
    .await;
    eventually("not ready", async || ready(&stage).await.0 == 503).await;
    stage.gate.wait_for_log(&["\"upstream\"", "nocobase.public_path", "APP_PUBLIC_PATH"]).await;
}
