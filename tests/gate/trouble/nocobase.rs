//! NocoBase is unreachable, starting, slow, or misconfigured.

use reqwest::Method;
use serde_json::json;
use wecom_gate::error::Failure;

use super::{and_then_it_works, bound, creating, fails, nothing_is_left};
use crate::support::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn nocobase_is_down_at_sign_in() {
    let stage = bound().await;
    stage.nocobase.down().await;
    fails(&stage, Failure::NocoBaseUnreachable, "The app cannot be reached").await;
    stage.nocobase.up().await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobase_is_starting_at_sign_in() {
    let stage = bound().await;
    let starting = r#"{"errors":[{"message":"application main is preparing","code":"APP_PREPARING"}]}"#;
    stage.nocobase.fail("/api/", 503, starting, usize::MAX);
    let page = fails(&stage, Failure::NocoBaseStarting, "The app is starting").await;
    assert!(page.body.contains("http-equiv=\"refresh\""));
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_session_waits_until_nocobase_confirms_it() {
    let mut stage = bound().await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.restart().await;
    phone.go_to(&stage.gate);
    stage.nocobase.fail("auth:check", 503, "{}", usize::MAX);
    let page = phone.visit("/admin/x").await;
    assert_eq!(page.status, 503, "{}", page.body);
    let response = phone.api(Method::GET, "/api/orders:list").await;
    assert_eq!((response.status, response.code().as_str()), (503, "NOCOBASE_STARTING"));
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0, "never a pass");
    assert!(phone.cookie("wecom_gate").is_some());
    stage.nocobase.heal();
    assert_eq!(phone.visit("/admin/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobase_dies_during_a_sign_in_and_the_next_attempt_continues_with_the_same_user() {
    // Before the binding; after a user was created whose id was not returned; after the binding; at the end.
    for (on, lost) in [
        ("usersAuthenticators:create", false),
        ("users:create", true),
        ("usersAuthenticators:create", true),
        ("issuedTokens:create", true),
    ] {
        let stage = creating().await;
        match lost {
            true => stage.nocobase.lose_response(on, 1),
            false => stage.nocobase.fail(on, 502, "<h1>Bad gateway</h1>", 1),
        }
        let mut phone = stage.phone("zhangsan");
        let page = phone.open("/admin/x").await;
        assert!(page.status >= 500, "{on}: {}", page.body);
        assert_eq!(phone.cookie("wecom_gate"), None, "{on}");
        and_then_it_works(&stage).await;
        let data = stage.nocobase.data();
        let made: Vec<_> = data.users.iter().filter(|u| u["phone"] == "13800000001").collect();
        assert_eq!(made.len(), 1, "{on}: no user twice: {made:?}");
        assert_eq!(data.bindings.len(), 1, "{on}");
        assert_eq!(data.bindings[0]["userId"], made[0]["id"], "{on}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobase_is_too_slow() {
    let stage = Stage::start(|c| _ = c.set("upstream.read_timeout", "1s")).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.api(Method::GET, "/slow/4000").await;
    assert_eq!((response.status, response.code().as_str()), (504, "NOCOBASE_TIMEOUT"));
    stage.gate.wait_for_log(&["ERROR", "nocobase_timeout"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_of_nocobase_is_logged() {
    let stage = bound().await;
    let over = r#"{"errors":[{"message":"Your session has expired.","code":"TOKEN_RENEW_FAILED"}]}"#;
    stage.nocobase.fail("auth:check", 401, over, usize::MAX);
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::NocoBaseBadAnswer, "Something went wrong").await;
    stage.gate.wait_for_log(&["ERROR", "compare the clocks of the gate and NocoBase"]).await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wecoms_clock_does_not_matter() {
    for seconds in [-300, 300] {
        let stage = bound().await;
        stage.wecom().set_clock_offset_ms(seconds * 1000);
        assert_eq!(stage.phone("zhangsan").open("/admin").await.at, "/admin", "{seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_registered_is_none() {
    let stage = bound().await;
    stage.nocobase.fail("issuedTokens:create", 500, r#"{"errors":[{"message":"disk full"}]}"#, usize::MAX);
    fails(&stage, Failure::NocoBaseBadAnswer, "Something went wrong").await;
    stage.gate.wait_for_log(&["ERROR", "issuedTokens:create", "disk full"]).await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jwt_secret_is_wrong_and_the_log_names_the_setting() {
    let stage = Stage::start(|c| _ = c.set("nocobase.jwt_secret", "CanaryWrongSecret")).await;
    stage.bound("zhangsan");
    fails(&stage, Failure::NocoBaseSecretWrong, "Sign-in is not set up correctly").await;
    stage.gate.wait_for_log(&["ERROR", "nocobase.jwt_secret", "APP_KEY"]).await;
    assert!(!stage.gate.written_until_now().await.contains("CanaryWrongSecret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jwt_secret_is_wrong_while_the_service_token_is_right() {
    let minter = wecom_gate::nocobase::Minter::new(nocobase_standin::SECRET.as_bytes());
    let service = wecom_gate::nocobase::UserId::new(crate::support::SERVICE_USER).unwrap();
    let key = minter.session_until(service, "api-key", 0, 1_700_000_000, 4_000_000_000).unwrap();
    let stage = Stage::start(|c| {
        c.unset("nocobase.service_user").set("nocobase.service_token", key.as_str());
        c.set("nocobase.jwt_secret", "CanaryWrongSecret");
    })
    .await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin").await;
    stage.refused(&page, Failure::NocoBaseSecretWrong, "Sign-in is not set up correctly").await;
    assert_eq!(phone.cookie("wecom_gate"), None);
    stage.gate.wait_for_log(&["ERROR", "auth:check", "nocobase.jwt_secret"]).await;
    assert!(!stage.gate.written_until_now().await.contains(key.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_account_may_not_do_it_and_the_log_names_the_rights() {
    for (action, status, body) in [
        ("usersAuthenticators:list", 403, r#"{"errors":[{"message":"No permissions"}]}"#),
        ("users:create", 403, r#"{"errors":[{"message":"No permissions"}]}"#),
        ("users:create", 500, r#"{"errors":[{"message":"No permissions"}]}"#),
        ("issuedTokens:create", 403, r#"{"errors":[{"message":"No permissions"}]}"#),
    ] {
        let stage = creating().await;
        stage.nocobase.fail(action, status, body, usize::MAX);
        let mut phone = stage.phone("zhangsan");
        let page = phone.open("/admin").await;
        stage.refused(&page, Failure::NocoBaseServiceDenied, "Sign-in is not set up correctly").await;
        stage.gate.wait_for_log(&["ERROR", action, "Users & Permissions"]).await;
        nothing_is_left(&stage, &phone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_with_one_phone_number_are_no_match() {
    let stage = creating().await;
    let one = stage.nocobase.user(json!({ "phone": "13800000001" }));
    let two = stage.nocobase.user(json!({ "phone": "+86-13800000001" }));
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::AmbiguousUser, "Several accounts could be yours").await;
    stage.gate.wait_for_log(&["WARN", &format!("{one}, {two}")]).await;
    assert!(stage.nocobase.data().bindings.is_empty() && stage.nocobase.data().tokens.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_belongs_to_another_member_is_not_given_away() {
    let stage = creating().await;
    let user = stage.nocobase.user(json!({ "phone": "13800000001" }));
    let row = json!({ "authenticator": "wecom", "uuid": "former", "userId": user });
    stage.nocobase.data().bindings.push(row);
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::AlreadyBound, "belongs to someone else").await;
    assert_eq!(stage.nocobase.data().bindings.len(), 1);
}
