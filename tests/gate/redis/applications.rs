//! Several applications on two nodes: a session that ends in one application ends there on every node, and nowhere else.

use reqwest::Method;

use super::{GETTOKEN, GETUSERINFO, SOON, is_up};
use crate::applications::{CRM_COOKIE, with_both};
use crate::support::{Browser, Gate, HOST, NocoBase, Redis, Stage, becomes, eventually};

/// Two nodes, both for `main` and `crm`.
async fn two(redis: &Redis) -> (Stage, NocoBase, Gate) {
    let (stage, crm) = with_both(|config| {
        config.set("session.redis", redis.url());
        config.set("wecom.event_token", "testToken0123456789");
        config.set("wecom.event_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG");
    })
    .await;
    let other = stage.second_node().await;
    is_up(&stage.gate, true).await;
    is_up(&other, true).await;
    (stage, crm, other)
}

/// What NocoBase serves without a session, so that a refusal is the gate's: status in `main`, and in `crm`.
async fn seen(browser: &Browser) -> (u16, u16) {
    let ask = async |path: &str| {
        let request = browser.fetch(Method::GET, path);
        browser.clone().send(request).await.status
    };
    (ask("/slow/0").await, ask("/slow/0?__appName=crm").await)
}

/// Signed in to both on the first node, and known to the second.
async fn on_both(stage: &Stage, other: &Gate, userid: &str) -> (Browser, Browser) {
    let mut here = stage.signed_in(userid).await;
    assert_eq!(here.open("/apps/crm/").await.status, 200);
    let mut there = here.clone();
    there.go_to(other);
    assert_eq!((seen(&here).await, seen(&there).await), ((200, 200), (200, 200)));
    (here, there)
}

/// Within far less than `session.recheck`.
async fn soon(what: &str, expected: (u16, u16), browser: &Browser) {
    let wait = becomes(what, expected, async || seen(browser).await);
    tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("too late: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_session_that_ends_in_one_application_ends_there_on_every_node() {
    let redis = Redis::start();
    let (stage, crm, other) = two(&redis).await;
    let (mut here, there) = on_both(&stage, &other, "zhangsan").await;
    let (_, bystander) = on_both(&stage, &other, "lisi").await;

    // crm's NocoBase ends its own, and the first node notices.
    let jti = crm.rows("issuedTokens")[0]["jti"].as_str().unwrap().to_owned();
    crm.data().blocked.insert(jti);
    here.visit("/apps/crm/admin").await;
    here.extra.insert("x-app", "crm".parse().unwrap());
    assert_eq!(here.api(Method::GET, "/api/orders:list").await.status, 401);
    here.extra.clear();
    soon("crm's ends on the other node", (200, 401), &there).await;
    assert_eq!(seen(&bystander).await, (200, 200), "another member's continues");

    // And main's NocoBase its own.
    let data = stage.nocobase.rows("issuedTokens");
    let jti = data[0]["jti"].as_str().unwrap().to_owned();
    let (mut here, there) = on_both(&stage, &other, "anna.smith").await;
    let of_main = stage.nocobase.rows("issuedTokens").last().unwrap()["jti"].as_str().unwrap().to_owned();
    assert_ne!(jti, of_main);
    stage.nocobase.data().blocked.insert(of_main);
    here.visit("/admin").await;
    assert_eq!(here.api(Method::GET, "/api/orders:list").await.status, 401);
    soon("main's ends on the other node", (401, 200), &there).await;
    assert_eq!(seen(&bystander).await, (200, 200), "another member's continues");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_in_one_application_ends_all_on_every_node() {
    let redis = Redis::start();
    let (stage, crm, other) = two(&redis).await;
    let (_, bystander) = on_both(&stage, &other, "lisi").await;
    // With NocoBase's own menu item in each of the two, and with the gate's page.
    for way in ["crm", "main", "page"] {
        let (mut here, there) = on_both(&stage, &other, "zhangsan").await;
        let checks = (stage.nocobase.calls("auth:check"), crm.calls("auth:check"));
        if way == "page" {
            let out = here.fetch(Method::POST, "/wecom-gate/logout");
            assert_eq!(here.send(out).await.status, 303);
        } else {
            here.visit(if way == "crm" { "/apps/crm/admin" } else { "/admin" }).await;
            here.extra.insert("x-app", way.parse().unwrap());
            assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200, "{way}");
        }
        soon(way, (401, 401), &there).await;
        assert_eq!(
            (stage.nocobase.calls("auth:check"), crm.calls("auth:check")),
            checks,
            "NocoBase was not asked"
        );
        assert_eq!(seen(&bystander).await, (200, 200), "another member's continues");
    }
    // WeCom reports to one node that a member has left.
    let (_, there) = on_both(&stage, &other, "anna.smith").await;
    let blocked = || (stage.nocobase.data().blocked.len(), crm.data().blocked.len());
    let before = blocked();
    crate::events::member_left(&stage, "anna.smith").await;
    soon("a member who left", (401, 401), &there).await;
    eventually("blocked in both", async || blocked() == (before.0 + 1, before.1 + 1)).await;
    assert_eq!(seen(&bystander).await, (200, 200), "another member's continues");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_callback_is_processed_once_by_all_nodes() {
    let redis = Redis::start();
    let (stage, crm, other) = two(&redis).await;
    let mut here = stage.phone("zhangsan");
    let callback = here.up_to_callback("/apps/crm/admin").await;
    let mut there = here.clone();
    there.go_to(&other);
    let (a, b) = tokio::join!(here.visit(&callback), there.visit(&callback));
    for response in [&a, &b] {
        assert_eq!((response.status, response.location()), (302, "/apps/crm/admin"), "{}", response.body);
        assert!(response.sets(CRM_COOKIE) && !response.sets("wecom_gate"));
    }
    let sessions = (stage.nocobase.rows("issuedTokens").len(), crm.rows("issuedTokens").len());
    assert_eq!((stage.wecom().calls(GETUSERINFO), sessions), (1, (0, 1)));
    // WeCom's access token is shared by all applications and nodes.
    stage.bound("lisi");
    for gate in [&stage.gate, &other] {
        for page in ["/admin", "/apps/crm/admin"] {
            let mut phone = stage.phone("lisi");
            phone.go_to(gate);
            assert_eq!(phone.open(page).await.status, 200, "{page}");
        }
    }
    assert_eq!(stage.wecom().calls(GETTOKEN), 1);
    let dump = redis.dump();
    assert!(dump.contains(&format!("wecom-gate:http://{HOST}:app:crm:callback:")), "{dump}");
    for secret in ["SimToken", "zhangsan", "张三", "13800000001"] {
        assert!(!dump.contains(secret), "{dump}");
    }
}
