//! A NocoBase with a short token policy (`tokenControlConfig`): no session ends because of it.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::support::{Browser, Stage};

/// Calls, safe and changing, for this long; each must get its response.
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

/// Age at which NocoBase renews tokens.
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
    stage.gate.wait_for_log(&["token_policy", "refuses tokens of this age"]).await;
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

/// Many calls of one page at the moment when NocoBase finds their token too old: it renews one of them, and refuses the others,
/// because it has just replaced their session id.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_race_end_no_session() {
    for seen in [true, false] {
        let stage = Stage::start(|_| {}).await;
        stage.nocobase.data().token_policy = Some((FRESH, seen));
        let member = stage.signed_in("zhangsan").await;
        let mut workers = tokio::task::JoinSet::new();
        let began = Instant::now();
        for _ in 0..12 {
            let mut member = member.clone();
            workers.spawn(async move {
                while began.elapsed() < 3 * FRESH {
                    let response = member.api(Method::GET, "/api/orders:list").await;
                    assert_eq!(response.status, 200, "after {:?}: {}", began.elapsed(), response.body);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        workers.join_all().await;
        let mut member = member;
        let page = member.visit("/admin").await;
        assert_eq!(page.status, 200, "{}", page.body);
    }
}

/// NocoBase's clock is slightly ahead of the gate's: tokens look older there than they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_ends_no_session() {
    let stage = Stage::start(|_| {}).await;
    {
        let mut data = stage.nocobase.data();
        data.token_policy = Some((2 * FRESH, true));
        data.ahead = FRESH / 2;
    }
    let mut member = stage.signed_in("zhangsan").await;
    work(&mut member, 3 * FRESH).await;
    assert!(member.cookie("wecom_gate").is_some());
}

/// The administrator shortens the policy while users work, and extends it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_while_people_work_ends_no_session() {
    let stage = Stage::start(|_| {}).await;
    stage.nocobase.data().token_policy = Some((Duration::from_secs(60), true));
    let mut member = stage.signed_in("zhangsan").await;
    for fresh in [FRESH, 2 * FRESH, FRESH] {
        stage.nocobase.data().token_policy = Some((fresh, true));
        work(&mut member, 2 * FRESH).await;
    }
}

/// NocoBase ends a session by its own policy, long before its tokens expire: the page gets the refusal, and the next page load
/// signs in again, as often as that happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_shorter_than_its_tokens_ends_and_begins_anew() {
    let stage = Stage::start(|_| {}).await;
    {
        let mut data = stage.nocobase.data();
        data.token_policy = Some((Duration::from_secs(3600), true));
        data.session_expiration = Some(FRESH);
    }
    let mut member = stage.signed_in("zhangsan").await;
    for round in 0..3 {
        let before = member.cookie("wecom_gate").map(str::to_owned);
        let began = Instant::now();
        let ended = loop {
            let response = member.api(Method::GET, "/api/orders:list").await;
            if response.status != 200 {
                break response;
            }
            assert!(began.elapsed() < crate::support::PATIENCE, "round {round}: it never ends");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert_eq!((ended.status, ended.code().as_str()), (401, "EXPIRED_SESSION"), "{}", ended.body);
        let page = member.open("/admin").await;
        assert_eq!((page.status, page.at.as_str()), (200, "/admin"), "round {round}: {}", page.body);
        assert_ne!(member.cookie("wecom_gate").map(str::to_owned), before, "round {round}");
    }
}
