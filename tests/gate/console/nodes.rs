//! The console of one node about what happens on another.

use super::buttons::press;
use super::*;
use crate::redis::is_up;
use crate::support::{Gate, Redis};

/// Two nodes, and where the member `lisi` is.
async fn scene(redis: &Redis) -> (Stage, Gate, Browser, Browser) {
    let url = redis.url();
    let stage = Stage::start(move |c: &mut Config| {
        c.set("access.admins", vec!["wecom/zhangsan"]).set("session.redis", url);
    })
    .await;
    let other = stage.second_node().await;
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    let admin = stage.signed_in("zhangsan").await;
    stage.bound("lisi");
    let mut member = stage.phone("lisi");
    member.go_to(&other);
    assert_eq!(member.open("/admin").await.status, 200);
    (stage, other, admin, member)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_a_session_was_last_seen_on_any_node() {
    let mut redis = Redis::start();
    let (stage, other, mut admin, _member) = scene(&redis).await;
    let lisi = format!("{MEMBERS}?q=wecom%2Flisi");
    eventually("the other node has told", async || {
        let page = admin.visit(&lisi).await.body;
        page.contains("<br>Last seen <time") && page.contains("<br>WeCom, Android")
    })
    .await;
    let page = admin.visit(&lisi).await.body;
    assert!(!page.contains("on this node"), "{page}");

    // A reader of Redis learns neither who it is nor which session.
    eventually("both sessions", async || redis.keys(":used:").len() == 2).await;
    let shown = page.split_once("<dt><code>").unwrap().1.split_once('<').unwrap().0.to_owned();
    assert!(shown.len() == 8 && !redis.shows(&shown) && !redis.shows("lisi"), "{}", redis.dump());
    // It expires, and what others write is ignored: also the value of another session.
    drop(other);
    let keys = redis.keys(":used:");
    let values: Vec<String> = keys.iter().map(|key| redis.ask_parts(&["GET", key])).collect();
    for (key, of_the_other) in keys.iter().zip(values.iter().rev()) {
        let life: i64 = redis.ask_parts(&["TTL", key]);
        assert!((1..=24 * 3600).contains(&life), "{life}");
        let _: String = redis.ask_parts(&["SET", key, of_the_other]);
    }
    let page = admin.visit(&lisi).await;
    assert!(page.status == 200 && !page.body.contains("Last seen"), "{}", page.body);

    // Without Redis, the page says that it is about one node.
    redis.down();
    is_up(&stage.gate, false).await;
    let page = admin.visit(&format!("{MEMBERS}?q=wecom%2Fzhangsan")).await.body;
    assert!(page.contains("</time>, on this node of the gate"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_session_on_another_node_ends_with_the_console_of_this_one() {
    let redis = Redis::start();
    let (stage, other, mut admin, mut member) = scene(&redis).await;
    assert_eq!(press(&mut admin, &format!("{MEMBERS}?q=wecom%2Flisi")).await.status, 303);
    // The other node itself, which does not ask NocoBase about a file.
    other.wait_for_log(&["\"session_ended\"", "ended on another node"]).await;
    let calls = stage.nocobase.calls("orders:list");
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(stage.nocobase.calls("orders:list"), calls, "the node refuses it itself");
}
