//! Several nodes and one Redis (the real server): what they share, and that users are not affected while it is unreachable.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use wecom_sim::Fault;

use crate::support::raw::send_raw;
use crate::support::{Browser, Gate, HOST, Redis, Stage, eventually};

mod applications;
mod departments;
mod member_events;
mod outages;
mod session_checks;

pub(crate) const GETTOKEN: &str = "/cgi-bin/gettoken";
const GETUSERINFO: &str = "/cgi-bin/auth/getuserinfo";
/// What NocoBase serves without a session: without Redis a node serves it until its next recheck of the session.
const FILE: &str = "/assets/index.js";

/// Two nodes and what they share.
pub(crate) async fn two(redis: &Redis) -> (Stage, Gate) {
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url());
        c.set("wecom.event_token", "testToken0123456789");
        c.set("wecom.event_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    })
    .await;
    let other = stage.second_node().await;
    (stage, other)
}

pub(crate) async fn ops(gate: &Gate, path: &str) -> String {
    send_raw(gate.ops, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await.body()
}

/// This value of `/metrics`.
pub(crate) async fn number(gate: &Gate, name: &str) -> Option<f64> {
    let text = ops(gate, "/metrics").await;
    text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

pub(crate) async fn is_up(gate: &Gate, up: bool) {
    let wanted = Some(if up { 1.0 } else { 0.0 });
    eventually("Redis is as it should be", async || number(gate, "wecom_gate_redis_up").await == wanted)
        .await;
}

/// What `/readyz` shows about Redis.
pub(crate) async fn trouble(gate: &Gate) -> Option<Value> {
    let ready: Value = serde_json::from_str(&ops(gate, "/readyz").await).unwrap();
    let all = ready["degraded"].as_array().unwrap();
    let found = all.iter().find(|d| d["what"] == "redis").cloned();
    assert_eq!(ready["status"], if all.is_empty() { "ok" } else { "degraded" }, "{ready}");
    found
}

pub(crate) async fn file(browser: &mut Browser) -> u16 {
    let request = browser.request(Method::GET, FILE);
    browser.clone().send(request).await.status
}

pub(crate) fn state_of(callback: &str) -> &str {
    callback.split("state=").nth(1).unwrap().split('&').next().unwrap()
}

/// Far less than `session.recheck`, and enough for a busy machine; the actual time is printed.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Waits until this node refuses what NocoBase would allow; how long that takes.
pub(crate) async fn refused_after(browser: &mut Browser) -> Duration {
    let began = Instant::now();
    while file(browser).await == 200 {
        assert!(began.elapsed() < SOON, "the session has not ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(file(browser).await, 401);
    began.elapsed()
}

/// Signed in on the first node, and known to the second.
pub(crate) async fn on_both(stage: &Stage, other: &Gate, userid: &str) -> (Browser, Browser) {
    let here = stage.signed_in(userid).await;
    let mut there = here.clone();
    there.go_to(other);
    assert_eq!(file(&mut there).await, 200);
    (here, there)
}

/// A member's callback, and the browser that has it: at the first node and at the second.
async fn callback_on_both(stage: &Stage, other: &Gate) -> (String, Browser, Browser) {
    stage.bound("zhangsan");
    let mut here = stage.phone("zhangsan");
    let callback = here.up_to_callback("/admin").await;
    let mut there = here.clone();
    there.go_to(other);
    (callback, here, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_access_token_for_all_nodes() {
    let redis = Redis::start();
    let (mut stage, other) = two(&redis).await;
    for userid in ["zhangsan", "lisi"] {
        stage.bound(userid);
    }
    // At the same moment, and WeCom is slow.
    stage.wecom().add_fault(Fault::latency(GETTOKEN, 300));
    let (mut a, mut b) = (stage.phone("zhangsan"), stage.phone("lisi"));
    b.go_to(&other);
    let (a_page, b_page) = tokio::join!(a.open("/admin"), b.open("/admin"));
    assert_eq!((a_page.status, b_page.status), (200, 200));
    assert_eq!(stage.wecom().calls(GETTOKEN), 1);
    // After a restart, too.
    stage.wecom().clear_faults();
    stage.restart().await;
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
    assert_eq!(stage.wecom().calls(GETTOKEN), 1);
    // A token that WeCom no longer accepts is replaced once, for both.
    stage.wecom().forget_tokens();
    for gate in [&stage.gate, &other, &stage.gate] {
        let mut phone = stage.phone("zhangsan");
        phone.go_to(gate);
        assert_eq!(phone.open("/admin").await.status, 200);
    }
    assert_eq!(stage.wecom().calls(GETTOKEN), 2);
    // Reading Redis reveals nothing.
    let dump = redis.dump();
    assert!(dump.contains(&format!("wecom-gate:http://{HOST}:token:")), "{dump}");
    for secret in ["SimToken", "zhangsan", "张三", "13800000001"] {
        assert!(!dump.contains(secret), "{dump}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_callback_on_two_nodes_gives_one_session() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (callback, mut here, mut there) = callback_on_both(&stage, &other).await;
    let late = there.clone();
    let (a, b) = tokio::join!(here.visit(&callback), there.visit(&callback));
    for response in [&a, &b] {
        assert_eq!((response.status, response.location()), (302, "/admin"), "{}", response.body);
        assert!(response.sets("wecom_gate"));
    }
    assert_eq!(stage.wecom().calls(GETUSERINFO), 1);
    assert_eq!(stage.nocobase.data().tokens.len(), 1, "one session");
    assert_eq!((file(&mut here).await, file(&mut there).await), (200, 200));
    // One session for both nodes: it ends on both.
    here.visit("/admin").await;
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;

    // With another code: the state is already used, on every node.
    let replay = format!("/wecom-gate/callback?code=another&state={}", state_of(&callback));
    let response = late.clone().visit(&replay).await;
    assert!(!response.sets("wecom_gate") && response.body.contains("flow_missing"), "{}", response.body);
    assert_eq!(stage.wecom().calls(GETUSERINFO), 1, "WeCom is not asked about it");
}

/// A node claims a callback before it asks WeCom: two hundred at once, on two nodes, are one sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn r34_one_callback_two_hundred_times_at_once_on_two_nodes_is_processed_once() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (callback, here, there) = callback_on_both(&stage, &other).await;
    let mut all = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (mut browser, callback) = ([&here, &there][number % 2].clone(), callback.clone());
        all.spawn(async move { browser.visit(&callback).await.sets("wecom_gate") });
    }
    assert_eq!(all.join_all().await, vec![true; 200]);
    assert_eq!((stage.wecom().calls(GETUSERINFO), stage.nocobase.data().tokens.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_session_that_ends_on_one_node_ends_on_all_within_a_second() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    let checks = stage.nocobase.calls("auth:check");
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    let took = refused_after(&mut there).await;
    println!("signed out on the other node after {took:?}");
    assert_eq!(stage.nocobase.calls("auth:check"), checks, "no node had to ask NocoBase");

    // NocoBase ends it, and one node notices.
    let (mut here, mut there) = on_both(&stage, &other, "lisi").await;
    let jti = stage.nocobase.data().tokens.last().unwrap()["jti"].as_str().unwrap().to_owned();
    stage.nocobase.data().blocked.insert(jti);
    assert_eq!(file(&mut there).await, 200, "NocoBase does not ask");
    assert_eq!(here.api(Method::GET, "/api/orders:list").await.status, 401);
    refused_after(&mut there).await;

    // WeCom reports to one node that a member has left; only the other knows this session, and NocoBase records its end.
    let (mut here, _) = on_both(&stage, &other, "anna.smith").await;
    let mut phone = stage.phone("anna.smith");
    phone.go_to(&other);
    assert_eq!(phone.open("/admin").await.status, 200);
    let blocked = stage.nocobase.data().blocked.len();
    crate::events::member_left(&stage, "anna.smith").await;
    refused_after(&mut phone).await;
    assert_eq!(file(&mut here).await, 401);
    eventually("both blocked", async || stage.nocobase.data().blocked.len() == blocked + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_set_and_taken_away_while_the_gate_serves() {
    let redis = Redis::start();
    let mut stage = Stage::start(|_| {}).await;
    let other = {
        let mut config = stage.config.clone();
        config.set("session.redis", redis.url());
        Gate::start(&config).await
    };
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    assert_eq!(number(&stage.gate, "wecom_gate_redis_up").await, None);
    stage.config.set("session.redis", redis.url());
    stage.gate.rewrite(&stage.config.text());
    stage.gate.signal("HUP");
    is_up(&stage.gate, true).await;
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;
    // The same again: the connection stays open.
    let (mut here, mut there) = on_both(&stage, &other, "lisi").await;
    stage.gate.signal("HUP");
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;
    stage.config.unset("session.redis");
    stage.gate.rewrite(&stage.config.text());
    stage.gate.signal("HUP");
    eventually("it is gone", async || number(&stage.gate, "wecom_gate_redis_up").await.is_none()).await;
    assert_eq!(trouble(&stage.gate).await, None);
    stage.signed_in("zhangsan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_reads_fifty_thousand_endings_without_anybody_waiting() {
    let redis = Redis::start();
    let (stage, _) = two(&redis).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let mut kept = phone.clone();
    assert_eq!(phone.api(Method::POST, "/api/auth:signOut").await.status, 200);
    let stream = format!("wecom-gate:http://{HOST}:endings");
    let published: redis::streams::StreamRangeReply = redis.ask_parts(&["XRANGE", &stream, "-", "+"]);
    let text: String = published.ids[0].get("e").unwrap();
    let mut many = redis::pipe();
    for _ in 0..50_000 {
        many.cmd("XADD").arg(&stream).arg("*").arg("e").arg(&text).ignore();
    }
    many.query::<()>(&mut redis.connection()).unwrap();
    stage.nocobase.data().blocked.clear();
    let began = Instant::now();
    let node = stage.second_node().await;
    println!("a node starts in {:?}", began.elapsed());
    kept.go_to(&node);
    println!("the oldest is known {:?} later", refused_after(&mut kept).await);
    let mut phone = stage.phone("zhangsan");
    phone.go_to(&node);
    assert_eq!(phone.open("/admin").await.status, 200);
    println!("a member is signed in after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_tls_and_by_a_socket_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, socket) = (path("cert.pem"), path("key.pem"), path("redis.sock"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Redis::start_tls(&cert, &key);
    let url = format!("rediss://localhost:{}", tls.address.port());
    let mut stage = Stage::start(|c| _ = c.set("session.redis", url)).await;
    let why = trouble(&stage.gate).await.unwrap()["why"].as_str().unwrap().to_owned();
    assert!(why.contains("certificate"), "not trusted: {why}");
    stage.gate = Gate::start_with(&stage.config, &[("SSL_CERT_FILE", &cert)]).await;
    assert_eq!(trouble(&stage.gate).await, None);
    is_up(&stage.gate, true).await;
    stage.signed_in("zhangsan").await;

    let _local = Redis::start_with(&["--unixsocket", &socket]);
    stage.restart_with(|c| _ = c.set("session.redis", format!("unix://{socket}"))).await;
    assert_eq!(trouble(&stage.gate).await, None);
    stage.signed_in("zhangsan").await;
}

/// However many nodes a member's requests reach, WeCom is asked about the member once per `session.recheck`.
#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_recheck_a_member_as_often_as_one() {
    const USER_GET: &str = "/cgi-bin/user/get";
    const RECHECK: Duration = Duration::from_secs(10);
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url()).set("session.recheck", "10s");
    })
    .await;
    let other = stage.second_node().await;
    is_up(&other, true).await;
    let (here, there) = on_both(&stage, &other, "zhangsan").await;
    let signed_in = stage.wecom().calls(USER_GET);
    // Both nodes get requests of the session all the time; each alone would ask every ten seconds.
    let mut asked = Vec::new();
    while asked.len() < 3 {
        for page in [&here, &there] {
            assert_eq!(page.clone().api(Method::GET, "/api/orders:list").await.status, 200);
        }
        let calls = usize::try_from(stage.wecom().calls(USER_GET) - signed_in).unwrap();
        asked.resize(calls.max(asked.len()), Instant::now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let apart: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A call is seen up to one round of this loop late.
    assert!(apart.iter().all(|apart| *apart > RECHECK / 2), "asked again after {apart:?}");
    assert_eq!(redis.keys(":member:").len(), 1);
}
