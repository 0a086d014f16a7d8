//! R39: a WeCom code that is sent to any page but the callback is disclosed to no one.

use std::time::Duration;

use crate::support::browser::{CHROME, navigation};
use crate::support::{AGENT, Browser, CORP, HOST, Stage};
use reqwest::Method;

/// What a link in a chat can be: WeCom's own page, with one of our addresses that is not the callback.
fn lure(stage: &Stage, redirect_uri: &str, state: &str) -> String {
    let uri: String = url::form_urlencoded::byte_serialize(redirect_uri.as_bytes()).collect();
    format!(
        "{}?appid={CORP}&redirect_uri={uri}&response_type=code&scope=snsapi_base&state={state}&agentid={AGENT}#wechat_redirect",
        stage.sim.authorize_url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn r39_a_code_in_a_pages_address_is_not_seen_by_nocobase() {
    let stage = Stage::start(|_| {}).await;
    let mut member = stage.signed_in("zhangsan").await;
    for (path, state) in
        [("/admin/x", "attacker1"), ("/admin/x?keep=1", ""), ("/", "a"), ("/api/users:list", "a")]
    {
        let back = member.visit_elsewhere(&lure(&stage, &format!("http://{HOST}{path}"), state)).await;
        let landed = crate::support::browser::on_gate(back.location()).expect("back to the gate").to_owned();
        assert!(
            landed.contains("code=") && landed.contains("state="),
            "the simulator sends a live code: {landed}"
        );
        stage.nocobase.data().requests.clear();
        let request = navigation(member.request(Method::GET, &landed)).header("sec-fetch-site", "cross-site");
        let response = member.send(request).await;
        assert_eq!((response.status, response.location()), (302, path), "{landed}");
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        member.visit(path).await;
        let seen = stage.nocobase.data().requests.clone();
        assert!(!seen.is_empty() || path == "/api/users:list");
        for request in &seen {
            assert!(!format!("{request:?}").contains("code="), "{request:?}");
        }
    }
}

/// A browser without a session is not redirected in a circle: the sign-in starts at the page without the code, and returns there.
#[tokio::test(flavor = "multi_thread")]
async fn r39_the_sign_in_starts_without_the_foreign_code() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin/x?a=1&code=stolen&state=attacker1").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x?a=1"));
    assert_eq!(stage.nocobase.last("/admin/x").unwrap().target, "/admin/x?a=1");
    // An ordinary sign-in is not affected.
    let callback = stage.phone("zhangsan").up_to_callback("/admin").await;
    assert!(callback.starts_with("/wecom-gate/callback?code="), "{callback}");
    let mut browser = Browser::new(&stage.gate, CHROME);
    let refused = tokio::time::timeout(Duration::from_secs(20), browser.visit(&callback)).await.unwrap();
    assert_eq!(refused.status, 400, "another browser's callback: {}", refused.body);
}
