//! R19: a callback counts only in the browser that began the flow, and is looked at before the code is spent.

use crate::support::Stage;

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
    for (what, tail) in [
        ("missing", String::new()),
        ("empty", "&state=".into()),
        ("blank", "&state=%20".into()),
        ("foreign", format!("&state={foreign}")),
        ("changed", format!("&state={flipped}")),
        ("cut short", format!("&state={}", &state[..8])),
        ("twice", format!("&state={state}&state={state}")),
        ("twice, one foreign", format!("&state={foreign}&state={state}")),
        ("garbage", "&state=%00%ff..%2f".into()),
        ("very long", format!("&state={}", "a".repeat(4000))),
    ] {
        // A browser of its own for each: a refusal may start the way in anew.
        let mut attempt = browser.clone();
        let answer = attempt.visit(&with_state(&callback, &tail)).await;
        assert!(!answer.sets("wecom_gate"), "{what}: {:?}", answer.headers);
        assert!(answer.status != 500, "{what}: {}", answer.body);
        assert_eq!(stage.wecom().calls(SPENT), 0, "{what}");
    }
    // The code is still good where it belongs.
    assert!(browser.visit(&callback).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_a_callback_planted_by_somebody_else_signs_nobody_in() {
    let stage = Stage::start(|_| {}).await;
    for userid in ["zhangsan", "lisi"] {
        stage.bound(userid);
    }
    let mut attacker = stage.phone("lisi");
    let planted = attacker.up_to_callback("/admin").await;
    let mut victim = stage.phone("zhangsan");
    assert!(!victim.visit(&planted).await.sets("wecom_gate"));
    // With a flow of the victim's own under way too.
    let mut victim = stage.phone("zhangsan");
    victim.up_to_callback("/admin").await;
    assert!(!victim.visit(&planted).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 0);
    // Used by its owner, it is still nobody else's, neither at once nor later.
    assert!(attacker.visit(&planted).await.sets("wecom_gate"));
    assert!(!stage.phone("zhangsan").visit(&planted).await.sets("wecom_gate"));
    assert_eq!(stage.wecom().calls(SPENT), 1);
}
