//! R16, R36: a sign-out holds on every node, and the browser gets its response headers.

use http::Method;
use tokio::io::AsyncWriteExt as _;

use crate::support::output::parsed;
use crate::support::raw::{gate_with, read_response, request};
use crate::support::{Browser, Redis, Response, Stage, eventually};

async fn me(browser: &Browser) -> u16 {
    let request = browser.fetch(Method::GET, "/wecom-gate/me");
    browser.clone().send(request).await.status
}

/// With the gate's page, or with NocoBase's own sign-out.
async fn sign_out(browser: &mut Browser, at_the_gate: bool) -> Response {
    if at_the_gate {
        let post = browser.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
        browser.send(post).await
    } else {
        browser.api(Method::POST, "/api/auth:signOut").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_cookie_replayed_after_sign_out_is_refused_everywhere() {
    for own_sign_out in [true, false] {
        let stage = Stage::start(|_| {}).await;
        let node = stage.second_node().await;
        let mut browser = stage.signed_in("zhangsan").await;
        let copy = browser.clone();
        assert_eq!(me(&copy).await, 200);
        let response = sign_out(&mut browser, own_sign_out).await;
        assert!(response.status < 400, "{}", response.body);
        assert!(browser.cookie("wecom_gate").is_none(), "{:?}", response.set_cookies());
        assert_eq!(me(&copy).await, 401, "own: {own_sign_out}");
        eventually("NocoBase knows", async || stage.nocobase.data().blocked.len() == 1).await;
        let mut elsewhere = copy.clone();
        elsewhere.go_to(&node);
        assert_eq!(me(&elsewhere).await, 401, "own: {own_sign_out}");
        // The page that still has the phantom is refused too.
        let call = copy.clone().api(Method::GET, "/api/users:list").await;
        assert_eq!(call.status, 401, "{}", call.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_restarted_gate_still_refuses_it() {
    let mut stage = Stage::start(|_| {}).await;
    let mut browser = stage.signed_in("zhangsan").await;
    let mut copy = browser.clone();
    sign_out(&mut browser, true).await;
    stage.restart().await;
    copy.go_to(&stage.gate);
    assert_eq!(me(&copy).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_the_deleting_cookie_has_every_attribute_of_the_real_one() {
    let (_upstream, setup, gate) = gate_with(|s| s.https()).await;
    let member = setup.visitor();
    let mut stream = setup.tls(&gate, "http/1.1").await;
    let headers = format!("{}Origin: https://gate.test\r\nContent-Length: 0\r\n", member.cookie_line());
    stream.write_all(request("POST", "/wecom-gate/logout", &headers).as_bytes()).await.unwrap();
    let response = read_response(&mut stream).await;
    assert_eq!(response.status(), 303, "{}", response.text());
    let lines = response.all("set-cookie");
    let line =
        lines.iter().find(|l| l.starts_with("__Host-wecom_gate=;")).unwrap_or_else(|| panic!("{lines:?}"));
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=0"] {
        assert!(line.split("; ").any(|a| a == attribute), "{attribute} is not in {line}");
    }
    assert!(!line.contains("Domain"));
}

/// NocoBase is unreachable while members sign out: both ways end the session anyway, and NocoBase records it when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn r36_signing_out_ends_the_session_also_while_nocobase_is_away() {
    for own_sign_out in [true, false] {
        let stage = Stage::start(|_| {}).await;
        let node = stage.second_node().await;
        let mut browser = stage.signed_in("zhangsan").await;
        let copy = browser.clone();
        stage.nocobase.down().await;
        let response = sign_out(&mut browser, own_sign_out).await;
        assert_eq!(response.status < 400, own_sign_out, "{} {}", response.status, response.body);
        assert!(browser.cookie("wecom_gate").is_none(), "own {own_sign_out}: {:?}", response.set_cookies());
        assert_eq!(browser.cookie("wecom_gate_out"), Some("1"), "own {own_sign_out}");
        assert_eq!(me(&copy).await, 401, "own {own_sign_out}: this node refuses it at once");
        // NocoBase starts: it responds but does not work yet. Then it works, and has recorded nothing.
        stage.nocobase.up().await;
        stage.nocobase.fail("auth:signOut", 503, "{}", 2);
        assert_eq!(me(&copy).await, 401, "own {own_sign_out}: this node refuses it before NocoBase knows");
        eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 1).await;
        let mut elsewhere = copy.clone();
        elsewhere.go_to(&node);
        assert_eq!(me(&elsewhere).await, 401, "own {own_sign_out}: another node");
        assert_eq!(me(&copy).await, 401);
    }
}

/// A changed configuration does not lose what NocoBase still has to record; and a hundred simultaneous sign-outs are a hundred
/// blocks.
#[tokio::test(flavor = "multi_thread")]
async fn r36_unsent_sign_outs_survive_a_reload() {
    let stage = Stage::start(|_| {}).await;
    let mut browsers = Vec::new();
    for _ in 0..20 {
        browsers.push(stage.signed_in("zhangsan").await);
    }
    let copies = browsers.clone();
    stage.nocobase.down().await;
    let mut all = tokio::task::JoinSet::new();
    for mut browser in browsers {
        all.spawn(async move {
            let post =
                browser.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
            browser.send(post).await.status
        });
    }
    while let Some(status) = all.join_next().await {
        assert_eq!(status.unwrap(), 303);
    }
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["configuration reloaded"]).await;
    stage.nocobase.up().await;
    eventually("NocoBase has recorded all", async || stage.nocobase.data().blocked.len() == 20).await;
    for copy in copies {
        assert_eq!(me(&copy).await, 401);
    }
}

/// Entries in the stream with which nodes announce ended sessions to each other.
fn published(redis: &Redis) -> usize {
    let count = |key: &String| redis.ask_parts::<usize>(&["XLEN", key]);
    redis.keys("endings").iter().map(count).sum()
}

/// NocoBase is unreachable, a member signs out, and the gate is killed before NocoBase is back.
#[tokio::test(flavor = "multi_thread")]
async fn r36_with_redis_unsent_sign_outs_survive_a_kill() {
    for comes_back in [true, false] {
        let redis = Redis::start();
        let mut stage = Stage::start(|c| _ = c.set("session.redis", redis.url())).await;
        let node = if comes_back { None } else { Some(stage.second_node().await) };
        let copy = stage.signed_in("zhangsan").await;
        stage.nocobase.down().await;
        assert_eq!(sign_out(&mut copy.clone(), true).await.status, 303);
        // The end of the session, and the request to block it.
        eventually("Redis has it", async || published(&redis) == 2).await;
        let dump = redis.dump();
        assert!(!dump.contains("zhangsan"), "{dump}");
        for key in redis.keys("endings") {
            let kept = redis.ask_parts::<i64>(&["TTL", &key]);
            assert!((86_000..=86_400).contains(&kept), "for a day, not {kept} s");
        }
        stage.gate.stop();
        stage.nocobase.up().await;
        assert!(stage.nocobase.data().blocked.is_empty());
        if comes_back {
            stage.restart().await;
        }
        eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 1).await;
        eventually("and so have the nodes", async || published(&redis) == 3).await;
        let mut elsewhere = copy.clone();
        elsewhere.go_to(node.as_ref().unwrap_or(&stage.gate));
        assert_eq!(me(&elsewhere).await, 401, "comes back: {comes_back}");
    }
}

/// Without Redis the gate sends pending sign-outs to NocoBase when it stops, without waiting for the next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn r36_without_redis_sign_outs_are_sent_before_an_orderly_stop() {
    let mut stage = Stage::start(|_| {}).await;
    let copy = stage.signed_in("zhangsan").await;
    stage.nocobase.fail("auth:signOut", 503, "{}", 3);
    assert_eq!(sign_out(&mut copy.clone(), true).await.status, 303);
    // The next attempt is due in four seconds.
    eventually("it has failed three times", async || stage.nocobase.calls("auth:signOut") == 3).await;
    stage.gate.end().await;
    assert_eq!(stage.nocobase.data().blocked.len(), 1);
    stage.restart().await;
    let mut elsewhere = copy.clone();
    elsewhere.go_to(&stage.gate);
    assert_eq!(me(&elsewhere).await, 401);
}

/// A stop waits a few seconds for NocoBase and no longer, and logs the sign-outs that are left.
#[tokio::test(flavor = "multi_thread")]
async fn r36_sign_outs_that_cannot_be_sent_before_a_stop_are_logged() {
    let mut stage = Stage::start(|_| {}).await;
    let copy = stage.signed_in("zhangsan").await;
    stage.nocobase.down().await;
    assert_eq!(sign_out(&mut copy.clone(), true).await.status, 303);
    let began = std::time::Instant::now();
    let mut lines = parsed(&stage.gate.everything_written().await);
    let took = began.elapsed().as_secs();
    assert!((3..20).contains(&took), "{took}");
    lines.retain(|l| l["event"] == "session_ended");
    let left: Vec<_> = lines.iter().filter(|l| l["level"] == "ERROR" && l["sessions"] == 1).collect();
    assert!(left.iter().any(|l| l["message"].as_str().unwrap().starts_with("the gate stops")), "{lines:?}");
}

/// The limit of this: without Redis, a gate that is killed loses the sign-outs that NocoBase has not recorded, and a kept cookie
/// is valid again.
#[tokio::test(flavor = "multi_thread")]
async fn r36_without_redis_a_gate_that_is_killed_forgets_what_it_had_to_tell() {
    let mut stage = Stage::start(|_| {}).await;
    let mut copy = stage.signed_in("zhangsan").await;
    stage.nocobase.down().await;
    assert_eq!(sign_out(&mut copy.clone(), true).await.status, 303);
    assert_eq!(me(&copy).await, 401, "this node refuses it");
    stage.gate.stop();
    stage.nocobase.up().await;
    stage.restart().await;
    copy.go_to(&stage.gate);
    eventually("the kept cookie counts", async || me(&copy).await == 200).await;
    assert!(stage.nocobase.data().blocked.is_empty());
}
