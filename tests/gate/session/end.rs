//! How a session ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::SecretSlice;
use wecom_gate::session::{Keyring, Purpose, Session};

use super::*;
use crate::support::{CORP, HOST, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn r15_r16_signing_out_in_nocobase_ends_the_session_everywhere() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let other = stage.second_node().await;
    let mut before = phone.clone();
    let out = phone.api(Method::POST, "/api/auth:signOut").await;
    assert_eq!(out.status, 200);
    assert_eq!((phone.cookie("wecom_gate"), phone.cookie("wecom_gate_out")), (None, Some("1")));
    let page = phone.open("/admin/x").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(page.hops.len(), 1, "not signed straight in again: {:?}", page.hops);

    // The old cookie, in a client that ignores its deletion: here, on another node, and after a restart.
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    before.go_to(&other);
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    stage.restart().await;
    before.go_to(&stage.gate);
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0);

    // The user can sign in again by a click.
    phone.go_to(&stage.gate);
    let page = phone.open("/wecom-gate/login?rd=%2Fadmin%2Fx").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"));
    assert_eq!(phone.cookie("wecom_gate_out"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_r16_signing_out_at_the_gate_ends_the_session_everywhere() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let mut before = phone.clone();
    let ask = phone.visit("/wecom-gate/logout").await;
    assert!(ask.status == 200 && ask.body.contains("Sign out?") && ask.body.contains("method=\"post\""));
    assert!(phone.cookie("wecom_gate").is_some(), "asking ends nothing");

    let post = phone.request(Method::POST, "/wecom-gate/logout").header("sec-fetch-site", "cross-site");
    let refused = phone.send(post.header("origin", "https://evil.example")).await;
    assert_eq!((refused.status, phone.cookie("wecom_gate").is_some()), (403, true));

    let post = phone.request(Method::POST, "/wecom-gate/logout").header("sec-fetch-site", "same-origin");
    let done = phone.send(post.header("origin", "http://gate.test")).await;
    assert_eq!(done.status, 303);
    let page = phone.follow(done).await;
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(phone.cookie("wecom_gate"), None);
    assert_eq!(before.clone().api(Method::GET, "/wecom-gate/me").await.status, 401);
    let other = stage.second_node().await;
    before.go_to(&other);
    assert_eq!(before.clone().api(Method::GET, "/wecom-gate/me").await.status, 401);
    assert_eq!(stage.nocobase.data().blocked.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ended_by_nocobase_is_refused() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let jti = stage.nocobase.data().tokens[0]["jti"].as_str().unwrap().to_owned();
    stage.nocobase.data().blocked.insert(jti);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.code(), "BLOCKED_TOKEN");
    let page = phone.visit("/admin/x").await;
    assert_eq!(page.status, 302, "directly to WeCom: no one has signed out");
    assert_eq!(phone.follow(page).await.at, "/admin/x");

    // Its user was deleted.
    let user = stage.bound("lisi");
    let mut phone = stage.signed_in("lisi").await;
    stage.nocobase.data().users.retain(|row| row["id"] != user);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.code(), "NOT_EXIST_USER");
    let me = phone.fetch(Method::GET, "/wecom-gate/me");
    assert_eq!(phone.send(me).await.status, 401);
}

/// Shifts the times in the session cookie, as if the other clock differed by this much.
fn shift(browser: &mut Browser, seconds: i64) {
    let key = STANDARD_NO_PAD.decode(KEY.replace('-', "+").replace('_', "/")).unwrap();
    let ring = Keyring::new(&[SecretSlice::from(key)], &format!("http://{HOST}")).unwrap();
    let open = |text: &str| ring.open::<Session>(Purpose::Session, b"wecom_gate", text.as_bytes());
    let mut session = open(browser.cookie("wecom_gate").unwrap()).expect("our cookie");
    for time in [&mut session.signed_in_at, &mut session.last_seen] {
        time.0 = time.0.checked_add_signed(seconds * 1000).unwrap();
    }
    let text = ring.seal(Purpose::Session, b"wecom_gate", &session).unwrap();
    browser.cookies.insert("wecom_gate".into(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_and_at_its_maximum_age() {
    for (key, other) in [("session.idle", "session.absolute"), ("session.absolute", "session.idle")] {
        let stage = Stage::start(|c| {
            _ = c.set(key, "1h").set(other, if key.ends_with("idle") { "2h" } else { "1h" })
        })
        .await;
        let mut phone = stage.signed_in("zhangsan").await;
        shift(&mut phone, -3500);
        assert_eq!(phone.clone().api(Method::GET, "/api/orders:list").await.status, 200, "{key}");
        shift(&mut phone, -110);
        let response = phone.api(Method::GET, "/api/orders:list").await;
        assert_eq!((response.status, response.code().as_str()), (401, "EMPTY_TOKEN"), "{key}");
        assert_eq!(phone.open("/admin/x").await.at, "/admin/x", "and a new sign-in starts by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_differ_by_a_few_minutes_and_no_more() {
    let stage = Stage::start(|_| {}).await;
    for (seconds, status) in [(-290, 200), (290, 200), (330, 401)] {
        let mut phone = stage.signed_in("zhangsan").await;
        shift(&mut phone, seconds);
        assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, status, "{seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_leaves_loses_the_session_within_the_recheck() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let phone = stage.signed_in("zhangsan").await;
    assert!(stage.wecom().remove_member(crate::support::CORP, "zhangsan"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut page = phone.clone();
    eventually("the session ends", async || page.api(Method::GET, "/api/orders:list").await.status == 401)
        .await;
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 1).await;
}

/// A recheck applies the conditions of a sign-in: is the member active, visible to the app, and in the allow-lists?
#[tokio::test(flavor = "multi_thread")]
async fn members_who_may_no_longer_sign_in_are_signed_out_within_the_recheck() {
    let stage = Stage::start(|c| {
        c.set("session.recheck", "10s").set("wecom.allow_departments", vec![3, 5]);
    })
    .await;
    let mut leaving = Vec::new();
    for userid in ["lisi", "WangWu", "sunqi"] {
        leaving.push((userid, stage.signed_in(userid).await));
    }
    let mut stays = stage.signed_in("anna.smith").await;
    // Disabled; in a department that is not allowed; in one to which the app is not visible.
    let wecom = stage.wecom();
    wecom.set_status(CORP, "lisi", 2).unwrap();
    for (userid, department) in [("WangWu", 2), ("sunqi", 6)] {
        let mut member = wecom.members(CORP).into_iter().find(|m| m.userid == userid).unwrap();
        (member.departments, member.main_department) = (vec![department], department);
        wecom.set_member(CORP, member).unwrap();
    }
    for (userid, browser) in &mut leaving {
        eventually(userid, async || browser.api(Method::GET, "/api/orders:list").await.status == 401).await;
    }
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 3).await;
    assert_eq!(stays.api(Method::GET, "/api/orders:list").await.status, 200);
}
