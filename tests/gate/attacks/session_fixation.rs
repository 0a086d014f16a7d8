//! R15: each sign-in is a new session; what was planted before is never adopted.

use crate::support::raw::{gate, get, talk};
use crate::support::{Stage, browser::on_gate, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_planted_cookie_is_not_adopted() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let stranger = stage.signed_in("lisi").await;
    let planted = stranger.cookie("wecom_gate").unwrap().to_owned();
    for value in ["planted", &planted[..planted.len() - 1], ""] {
        let mut browser = stage.phone("zhangsan");
        browser.cookies.insert("wecom_gate".into(), value.into());
        let page = browser.open("/admin").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let cookie = browser.cookie("wecom_gate").unwrap();
        assert!(cookie != value && cookie != planted);
        let me = browser.fetch(http::Method::GET, "/wecom-gate/me");
        assert_eq!(browser.send(me).await.json()["userid"], "zhangsan");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_new_sign_in_ends_the_session_before() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    // Two flows, begun side by side.
    let first = browser.up_to_callback("/admin").await;
    let second = browser.up_to_callback("/m").await;
    assert!(browser.visit(&first).await.sets("wecom_gate"));
    let before = browser.clone();
    let done = browser.visit(&second).await;
    assert!(done.sets("wecom_gate"), "{}", done.body);
    assert_eq!(on_gate(done.location()), Some("/m"));
    assert_ne!(before.cookie("wecom_gate"), browser.cookie("wecom_gate"));
    let tokens: Vec<_> = stage.nocobase.data().tokens.iter().map(|t| t["jti"].clone()).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
    let me = |b: &crate::support::Browser| b.fetch(http::Method::GET, "/wecom-gate/me");
    assert_eq!(before.clone().send(me(&before)).await.status, 401);
    assert_eq!(browser.clone().send(me(&browser)).await.status, 200);
    // On other nodes too, as soon as NocoBase knows.
    let node = stage.second_node().await;
    eventually("the other node refuses the old session", async || {
        let mut replayed = before.clone();
        replayed.go_to(&node);
        let request = me(&replayed);
        let answer = replayed.send(request).await;
        answer.status == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_copy_beside_the_real_cookie_changes_nothing() {
    let (_upstream, setup, gate) = gate().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let name = member.cookie.split('=').next().unwrap();
    for cookies in [
        format!("{name}=planted; {}", member.cookie),
        format!("{}; {name}=planted", member.cookie),
        format!("{name}=; {name}=x; {}", member.cookie),
    ] {
        let lines = format!("Cookie: {cookies}\r\nAuthorization: Bearer {}\r\n", member.phantom);
        assert_eq!(talk(gate.http, get("/api/x", &lines)).await.status(), 200, "{cookies}");
        // The page of one session does not work with the cookie of another.
        let lines = format!("Cookie: {cookies}\r\nAuthorization: Bearer {}\r\n", other.phantom);
        assert_eq!(talk(gate.http, get("/api/x", &lines)).await.status(), 401, "{cookies}");
    }
}
