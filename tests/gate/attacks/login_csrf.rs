//! R19: a callback is accepted only in the browser that started the flow, and is checked before the code is used.

use http::Method;
use wecom_gate::error::Failure;

use crate::support::Stage;
use crate::support::browser::CHROME;

const SPENT: &str = "/cgi-bin/auth/getuserinfo";

fn with_state(callback: &str, state: &str) -> String {
    let code = callback.split(['?', '&']).find(|p| p.starts_with("code=")).unwrap();
    format!("/wecom-gate/callback?{code}{state}")
}

fn state_of(callback: &str) -> &str {
    callback.split(['?', '&']).find_map(|p| p.strip_prefix("state=")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_without_its_own_state_no_code_is_spent() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    let callback = browser.up_to_callback("/admin").await;
    let state = state_of(&callback).to_owned();
    let mut other = stage.phone("lisi");
    let foreign = state_of(&other.up_to_callback("/admin").await).to_owned();
    let flipped = format!("{}{}", &state[..state.len() - 1], if state.ends_with('a') { 'b' } else { 'a' });
    for (what, tail, status) in [
        ("missing", String::new(), 400),
        ("empty", "&state=".into(), 400),
        ("blank", "&state=%20".into(), 400),
        ("foreign", format!("&state={foreign}"), 302),
        ("changed", format!("&state={flipped}"), 302),
        ("cut short", format!("&state={}", &state[..8]), 400),
        ("twice", format!("&state={state}&state={state}"), 400),
        ("twice, one foreign", format!("&state={foreign}&state={state}"), 400),
        ("garbage", "&state=%00%ff..%2f".into(), 400),
        ("very long", format!("&state={}", "a".repeat(4000)), 400),
    ] {
        // Each with its own browser: a refusal may restart the sign-in.
        let mut attempt = browser.clone();
        let response = attempt.visit(&with_state(&callback, &tail)).await;
        assert!(!response.sets("wecom_gate"), "{what}: {:?}", response.headers);
        assert_eq!(response.status, status, "{what}: {}", response.body);
        assert_eq!(stage.wecom().calls(SPENT), 0, "{what}");
    }
    let page = browser.clone().visit(&with_state(&callback, "")).await;
    stage.refused(&page, Failure::BadCallback, "Sign-in did not work").await;
    // A browser without a sign-in in progress.
    let invented = "/wecom-gate/callback?code=abc&state=0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let response = stage.phone("zhangsan").user_agent(CHROME).visit(invented).await;
    assert_eq!((response.status, stage.wecom().calls(SPENT)), (400, 0), "{}", response.body);
    // The code is still valid in its own browser.
    assert!(browser.visit(&callback).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_a_planted_callback_is_refused() {
    let stage = Stage::start(|_| {}).await;
    for userid in ["zhangsan", "lisi"] {
        stage.bound(userid);
    }
    let mut attacker = stage.phone("lisi");
    let planted = attacker.up_to_callback("/admin").await;
    let mut victim = stage.phone("zhangsan");
    assert!(!victim.visit(&planted).await.sets("wecom_gate"));
    // Also when the victim has its own sign-in in progress.
    let mut victim = stage.phone("zhangsan");
    victim.up_to_callback("/admin").await;
    assert!(!victim.visit(&planted).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 0);
    // A victim who follows the gate's redirects from there is signed in as themselves.
    let mut follower = stage.phone("zhangsan");
    assert_eq!(follower.open(&planted).await.status, 200);
    assert_eq!(follower.api(Method::GET, "/wecom-gate/me").await.json()["userid"], "zhangsan");
    assert_eq!(stage.wecom().calls(SPENT), 1);
    // After its owner has used it, it is still invalid for others, immediately and later.
    assert!(attacker.visit(&planted).await.sets("wecom_gate"));
    assert!(!stage.phone("zhangsan").visit(&planted).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 2);
}
