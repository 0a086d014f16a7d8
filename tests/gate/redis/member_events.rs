//! An event from WeCom reaches one node, and counts on all.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::{is_up, on_both};
use crate::events::{AES_KEY, LONG, TOKEN, change, entered, send};
use crate::support::{CORP, Redis, Stage, eventually};

const USER_GET: &str = "/cgi-bin/user/get";
const RECHECK: Duration = Duration::from_secs(10);

/// The member's requests reach the second node, WeCom's events the first.
#[tokio::test(flavor = "multi_thread")]
async fn events_at_one_node_spare_rechecks_on_another_and_cause_them() {
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("wecom.event_token", TOKEN).set("wecom.event_aes_key", AES_KEY);
        c.set("session.recheck", "10s").set("session.recheck_with_events", "24h");
        c.set("session.redis", redis.url());
    })
    .await;
    let other = stage.second_node().await;
    is_up(&stage.gate, true).await;
    is_up(&other, true).await;
    let (_, mut there) = on_both(&stage, &other, "zhangsan").await;
    let calls = || stage.wecom().calls(USER_GET);
    // Without events: rechecks as usual.
    let (begin, started) = (calls(), Instant::now());
    while calls() < begin + 2 {
        assert!(started.elapsed() < LONG, "no rechecks");
        assert_eq!(there.api(Method::GET, "/api/orders:list").await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begin = (calls(), Instant::now());
    let mut events = 0;
    while begin.1.elapsed() < RECHECK * 3 {
        events += 1;
        assert_eq!(send(&stage, &entered("lisi", events), |_| {}).await.status, 200);
        assert_eq!(there.api(Method::GET, "/api/orders:list").await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What WeCom said before the first event does not count.
    assert_eq!(calls() - begin.0, 1);
    // An event about the member.
    assert!(stage.wecom().remove_member(CORP, "zhangsan"));
    assert_eq!(send(&stage, &change("update_user", "<UserID>ZhangSan</UserID>"), |_| {}).await.status, 200);
    eventually("the member is looked up", async || {
        there.api(Method::GET, "/api/orders:list").await.status == 401
    })
    .await;
}
