//! A NocoBase whose token policy is short (`tokenControlConfig`): no session ends because of it.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::support::{Browser, Stage};

/// Calls, changing and not, until so much time has passed; every one must get its response.
async fn work(member: &mut Browser, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        for method in [Method::GET, Method::POST] {
            let response = member.api(method, "/api/orders:list").await;
            assert_eq!(response.status, 200, "after {:?}: {}", began.elapsed(), response.body);
            assert_eq!(response.header("x-new-token"), None);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Tokens are fresh for so long.
const FRESH: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_minted_as_often_as_nocobases_policy_requires() {
    let stage = Stage::start(|_| {}).await;
    stage.nocobase.data().token_policy = Some((FRESH, true));
    let mut member = stage.signed_in("zhangsan").await;
    work(&mut member, 3 * FRESH).await;
    assert_eq!(stage.nocobase.data().renewed, 0, "no token was ever too old");
    assert!(member.cookie("wecom_gate").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_the_service_account_may_not_see_is_learned() {
    let stage = Stage::start(|_| {}).await;
    stage.nocobase.data().token_policy = Some((FRESH, false));
    let mut member = stage.signed_in("zhangsan").await;
    work(&mut member, 4 * FRESH).await;
    assert_eq!(stage.nocobase.data().renewed, 1, "the first old token shows it");
    stage.gate.wait_for_log(&["token_policy", "too old"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_renewed_is_replaced_and_the_request_repeated() {
    let stage = Stage::start(|_| {}).await;
    let mut member = stage.signed_in("zhangsan").await;
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200);
    {
        let mut data = stage.nocobase.data();
        data.tokens.clear();
        data.token_policy = Some((Duration::from_secs(3), false));
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        let response = member.api(Method::GET, "/api/orders:list").await;
        assert_eq!(response.status, 200, "after {:?}: {}", began.elapsed(), response.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
