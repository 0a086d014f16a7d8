//! When something is wrong: with WeCom, with NocoBase, with the member, with the cookies. Each time the person sees
//! what to do, the log tells the operator, and nothing half-made is left behind.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use wecom_gate::error::Failure;
use wecom_sim::{Consent, Fault, FaultKind, Settings};

use crate::support::config::OTHER_KEY;
use crate::support::raw::{get, talk};
use crate::support::{Answer, Browser, CORP, HOST, Stage, eventually};

const TOKEN: &str = "/cgi-bin/gettoken";
const USERINFO: &str = "/cgi-bin/auth/getuserinfo";
const USER_GET: &str = "/cgi-bin/user/get";

/// Nobody has been made, bound or signed in.
fn nothing_is_left(stage: &Stage, browser: &Browser) {
    assert_eq!(browser.cookie("wecom_gate"), None);
    let data = stage.nocobase.data();
    assert_eq!(data.tokens.len(), 0, "a session is registered");
    let made = data.users.iter().filter(|u| u["phone"] == "13800000001").count();
    let bound = data.bindings.iter().filter(|b| b["uuid"] == "zhangsan").count();
    assert!(made == 0 || bound == 1, "a user without binding: {:?} {:?}", data.users, data.bindings);
}

/// A member tries to sign in and gets a page with the reason.
async fn fails(stage: &Stage, failure: Failure, title: &str) -> Answer {
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin/x").await;
    stage.refused(&page, failure, title).await;
    assert!(page.body.contains(failure.response().label), "the code for the administrator");
    nothing_is_left(stage, &phone);
    page
}

async fn and_then_it_works(stage: &Stage) {
    stage.wecom().clear_faults();
    stage.nocobase.heal();
    let page = stage.phone("zhangsan").open("/admin/x").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{}", page.body);
}

async fn bound() -> Stage {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    stage
}

/// Everybody agrees, and unknown members get a user.
async fn creating() -> Stage {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    Stage::with(settings, |c| _ = c.set("nocobase.auto_create_user", true)).await
}

// WeCom.

#[tokio::test(flavor = "multi_thread")]
async fn wecom_is_slow_and_the_member_gets_in() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::latency("*", 700));
    let began = Instant::now();
    assert_eq!(stage.phone("zhangsan").open("/admin/x").await.at, "/admin/x");
    assert!(began.elapsed() > Duration::from_millis(1400));
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_does_not_answer() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::new(USERINFO, FaultKind::Hang));
    fails(&stage, Failure::WeComUnreachable, "cannot be reached").await;
    stage.gate.wait_for_log(&["ERROR", "check api_base, http_proxy, DNS"]).await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_is_down() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::new(TOKEN, FaultKind::Drop));
    fails(&stage, Failure::WeComUnreachable, "cannot be reached").await;
}

/// The ways in which one connection to WeCom breaks: before the call is carried out, and after.
const BREAKS: [FaultKind; 6] = [
    FaultKind::Drop,
    FaultKind::Lost,
    FaultKind::Truncated,
    FaultKind::Status(500),
    FaultKind::Status(502),
    FaultKind::Status(504),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_connection_to_wecom_does_not_end_a_sign_in() {
    let stage = creating().await;
    for path in [TOKEN, USERINFO, "/cgi-bin/auth/getuserdetail", USER_GET] {
        for kind in BREAKS {
            // Another access token each time, and a member who is not bound.
            stage.wecom().clear_faults();
            stage.nocobase.data().bindings.clear();
            stage.wecom().add_fault(Fault::new(path, kind.clone()).times(1));
            let gate = stage.second_node().await;
            let mut phone = stage.phone("zhangsan");
            phone.go_to(&gate);
            let page = phone.open("/admin/x?y=1").await;
            assert_eq!(
                (page.status, page.at.as_str()),
                (200, "/admin/x?y=1"),
                "{path} {kind:?}: {}",
                page.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_wecom_that_always_breaks_ends_the_sign_in_at_once() {
    for (path, calls) in [(USERINFO, 2), (USER_GET, 2)] {
        let stage = bound().await;
        stage.wecom().add_fault(Fault::new(path, FaultKind::Drop));
        fails(&stage, Failure::WeComUnreachable, "cannot be reached").await;
        assert_eq!(stage.wecom().calls(path), calls, "{path} once more, and not again");
        and_then_it_works(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_answers_in_wecoms_place() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::new(USERINFO, FaultKind::Html));
    fails(&stage, Failure::WeComBadAnswer, "cannot be reached").await;
    stage.gate.wait_for_log(&["ERROR", "no proxy responds instead of WeCom"]).await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_is_busy() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::errcode(USER_GET, -1, 2));
    assert_eq!(
        stage.phone("zhangsan").open("/admin/x").await.at,
        "/admin/x",
        "twice busy is nothing to speak of"
    );

    let stage = bound().await;
    stage.wecom().add_fault(Fault::new(USER_GET, FaultKind::Errcode(-1)));
    fails(&stage, Failure::WeComBusy, "is busy").await;
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_limits_the_rate() {
    let stage = bound().await;
    stage.wecom().add_fault(Fault::new(USERINFO, FaultKind::Errcode(45009)));
    fails(&stage, Failure::WeComRateLimited, "is busy").await;
    stage.gate.wait_for_log(&["ERROR", "45009", "checkCorpSpamBlock"]).await;
    assert_eq!(stage.wecom().calls(USERINFO), 1, "no trying again against a limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_wecom_limits_the_rate_members_are_rechecked_by_one_probe_at_a_time() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut phones = Vec::new();
    for member in ["zhangsan", "zhangsan", "lisi"] {
        phones.push(stage.signed_in(member).await);
    }
    stage.wecom().add_fault(Fault::new(USER_GET, FaultKind::Errcode(45009)));
    let calls = stage.wecom().calls(USER_GET);
    let (checks, began) = (stage.nocobase.count("/api/auth:check"), Instant::now());
    let mut work = async || {
        for phone in &mut phones {
            assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
        }
    };
    eventually("a probe has failed", async || {
        work().await;
        stage.wecom().calls(USER_GET) >= calls + 2
    })
    .await;
    stage.gate.wait_for_lines("event", "member_rechecks", 1).await;
    let log = stage.gate.log_until_now().await;
    let is_about = |l: &&serde_json::Value| l["level"] == "ERROR" || l["event"] == "member_rechecks";
    let about: Vec<_> = log.iter().filter(is_about).collect();
    assert_eq!(about.len(), 1, "one line says it: {about:?}");
    assert_eq!((&about[0]["errcode"], &about[0]["level"]), (&json!(45009), &json!("ERROR")));
    // Each session asks NocoBase in at least 7/8 of the time, whatever WeCom says.
    let rounds = usize::try_from(began.elapsed().as_secs() / 8 + 1).unwrap();
    let checks = stage.nocobase.count("/api/auth:check") - checks;
    assert!(checks <= 3 * rounds, "{checks} in {rounds} rounds");
    stage.wecom().clear_faults();
    eventually("WeCom answers again", async || {
        work().await;
        let log = stage.gate.log_until_now().await;
        log.iter().any(|l| l["event"] == "member_rechecks" && l["level"] == "INFO")
    })
    .await;
    assert_eq!(stage.gate.wait_for_lines("event", "member_rechecks", 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gates_address_is_not_trusted_and_the_log_names_it() {
    let stage = bound().await;
    stage.wecom().configure(|s| s.apparent_ip = Some("203.0.113.9".parse().unwrap()));
    stage.wecom().set_trusted_ips(Some(vec!["198.51.100.0/24".parse().unwrap()]));
    let page = fails(&stage, Failure::WeComIpNotTrusted, "Sign-in is not set up correctly").await;
    assert!(!page.body.contains("203.0.113.9"), "that is for the administrator");
    stage.gate.wait_for_log(&["ERROR", "60020", "add 203.0.113.9 to the app's trusted IPs"]).await;
    stage.wecom().set_trusted_ips(None);
    and_then_it_works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_wrong_and_wecom_is_not_asked_again_and_again() {
    let wrong = "CanaryWrongSecret-AAAAAAAAAAAAAAAAAAAAAAAAA";
    let stage = Stage::start(|c| _ = c.set("wecom.secret", wrong)).await;
    stage.bound("zhangsan");
    for _ in 0..5 {
        fails(&stage, Failure::WeComConfig, "Sign-in is not set up correctly").await;
    }
    assert_eq!(stage.wecom().calls(TOKEN), 1, "WeCom bans addresses that try wrong secrets");
    stage.gate.wait_for_log(&["ERROR", "40001", "check secret and corp_id"]).await;
    assert!(!stage.gate.written_until_now().await.contains("CanaryWrongSecret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_died_early_is_replaced() {
    let stage = bound().await;
    stage.bound("lisi");
    assert_eq!(stage.phone("zhangsan").open("/admin").await.at, "/admin");
    stage.wecom().expire_tokens();
    assert_eq!(stage.phone("lisi").open("/admin").await.at, "/admin");
    assert_eq!(stage.wecom().calls(TOKEN), 2);
}

// NocoBase.

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
    let answer = phone.api(Method::GET, "/api/orders:list").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "NOCOBASE_STARTING"));
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0, "never a pass");
    assert!(phone.cookie("wecom_gate").is_some());
    stage.nocobase.heal();
    assert_eq!(phone.visit("/admin/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobase_dies_during_a_sign_in_and_the_next_attempt_continues_with_the_same_user() {
    // Before the binding; after a user was made whose number was not returned; after the binding; at the end.
    for (on, lost) in [
        ("usersAuthenticators:create", false),
        ("users:create", true),
        ("usersAuthenticators:create", true),
        ("issuedTokens:create", true),
    ] {
        let stage = creating().await;
        match lost {
            true => stage.nocobase.lose_answer(on, 1),
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
    let answer = phone.api(Method::GET, "/slow/4000").await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "NOCOBASE_TIMEOUT"));
    stage.gate.wait_for_log(&["ERROR", "nocobase_timeout"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nocobases_clock_is_wrong_and_the_log_says_so() {
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
async fn two_users_with_one_phone_number_match_nobody() {
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

// Members.

/// A person who may not: no user, no binding, no session.
async fn is_refused(stage: &Stage, person: &str, failure: Failure, title: &str) {
    let mut phone = stage.phone(person);
    let page = phone.open("/admin").await;
    stage.refused(&page, failure, title).await;
    let data = stage.nocobase.data();
    assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0), "{person}");
}

/// A code that WeCom gave out although its own page would have refused, brought to the gate by this browser.
async fn is_refused_with_code(stage: &Stage, person: &str, failure: Failure, title: &str) {
    let code = wecom_sim::CodeRequest {
        corp_id: CORP.into(),
        agent_id: crate::support::AGENT,
        member: person.into(),
        ..Default::default()
    };
    let code = stage.wecom().issue_code(&code).unwrap();
    let mut phone = stage.phone("lisi");
    let to_wecom = phone.visit("/admin").await;
    let state =
        to_wecom.location().split("state=").nth(1).unwrap().split(['&', '#']).next().unwrap().to_owned();
    let page = phone.visit(&format!("/wecom-gate/callback?code={code}&state={state}")).await;
    stage.refused(&page, failure, title).await;
    let data = stage.nocobase.data();
    assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0), "{person}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_members_see_why() {
    let stage = creating().await;
    is_refused_with_code(&stage, "outsider", Failure::NotVisible, "You cannot use this app yet").await;
    is_refused_with_code(&stage, "zhaoliu", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "wujiu", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "zhengshi", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "wwfedcba9876543210/chenyi", Failure::OtherCompany, "for another company")
        .await;
    let stranger = "oStranger00000000000000000002";
    is_refused_with_code(&stage, stranger, Failure::NotAMember, "not a member of this company").await;
    let customer = "oExternalCustomer000000000001";
    is_refused_with_code(&stage, customer, Failure::NotAMember, "not a member of this company").await;
    is_refused(&stage, "zhouba", Failure::NothingToMatch, "Your account could not be found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_departments_get_in() {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    let stage = Stage::with(settings, |c| {
        c.set("nocobase.auto_create_user", true).set("wecom.allow_departments", vec![3]);
    })
    .await;
    is_refused(&stage, "zhangsan", Failure::NotAllowed, "You have no access to this app").await;
    assert_eq!(stage.phone("WangWu").open("/admin").await.status, 200, "a department below counts");
}

// Cookies.

#[tokio::test(flavor = "multi_thread")]
async fn r07_garbage_cookies_are_no_session_and_no_error() {
    let mut stage = bound().await;
    let good = stage.signed_in("zhangsan").await;
    let real = good.cookie("wecom_gate").unwrap().to_owned();
    let mut flipped = real.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let garbage = ["", "x", "%00", "ey.ey.ey", &real[..real.len() - 1], &flipped, &"A".repeat(3000)];
    for value in garbage {
        let mut phone = good.clone();
        phone.cookies.insert("wecom_gate".into(), value.to_owned());
        let request = phone.fetch(Method::GET, "/api/orders:list");
        let answer = phone.send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "EMPTY_TOKEN"), "{value}");
        let page = phone.open("/admin/x").await;
        assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{value}: simply signed in again");
    }
    // As after a change of keys without rotation.
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY])).await;
    let mut phone = good.clone();
    phone.go_to(&stage.gate);
    assert_eq!(phone.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(phone.open("/admin/x").await.at, "/admin/x");
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_no_secret_is_ever_written() {
    let mut stage = creating().await;
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin").await;
    let back = phone.visit(&callback).await;
    phone.follow(back).await;
    phone.api(Method::GET, "/api/orders:list").await;
    let phantom = phone.phantom();
    phone.clone().send(phone.fetch(Method::GET, &format!("/api/a:b?token={phantom}"))).await;
    stage.wecom().add_fault(Fault::new("*", FaultKind::Html));
    stage.phone("lisi").open("/wecom-gate/login").await;
    let code = callback.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let state = callback.split("state=").nth(1).unwrap().to_owned();
    let cookie = phone.cookie("wecom_gate").unwrap().to_owned();
    let written = stage.gate.everything_written().await;
    assert!(written.contains("signed_in"));
    let key = crate::support::config::KEY;
    let secrets =
        [crate::support::APP_SECRET, nocobase_standin::SECRET, key, &code, &state, &cookie, &phantom];
    for secret in secrets.into_iter().chain(["eyJ", "wcg_", "access_token=", "13800000001"]) {
        assert!(!written.contains(secret), "{secret} in the log:\n{written}");
    }
}

/// Nobody has tried to sign in: the operator knows before the first member does, and the first line says what runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_shows_without_a_sign_in() {
    let stage = Stage::start(|config| {
        config.set("wecom.secret", "wrong");
    })
    .await;
    let first = stage.gate.wait_for_log(&["\"event\":\"start\""]).await;
    for part in [
        env!("CARGO_PKG_VERSION"),
        "http://gate.test",
        "\"configuration\"",
        &stage.nocobase.address.to_string(),
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    stage.gate.wait_for_log(&["WeCom call failed", "\"errcode\":40001"]).await;
    let ready = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    eventually("/readyz says why", async || {
        talk(stage.gate.ops, ready).await.text().contains("\"wecom_token\"")
    })
    .await;
}

/// What a browser opens in a window is answered by a page, whatever is wrong with it; the same from a script by JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_gets_a_page_for_requests_that_cannot_be_read() {
    let stage = Stage::start(|_| {}).await;
    let window = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n\
                  User-Agent: Mozilla/5.0 Chrome/116\r\nConnection: close\r\n";
    let script = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nConnection: close\r\n";
    let cookies = format!("Cookie: a={}\r\n", "x".repeat(40_000));
    for (path, more, status, label) in
        [("/admin//x", "", 400, "bad_path"), ("/admin", cookies.as_str(), 431, "headers_too_large")]
    {
        let page = talk(stage.gate.http, get(path, &format!("{window}{more}"))).await;
        assert_eq!(page.status(), status, "{}", page.text());
        assert!(page.text().contains("<!doctype html>") && page.text().contains(label), "{}", page.text());
        assert!(!page.text().contains("//x"), "the page repeats the path");
        let json = talk(stage.gate.http, get(path, &format!("{script}{more}"))).await;
        assert!(json.text().contains("\"errors\""), "{}", json.text());
    }
    // At another address: on to the right one, on the same page.
    let other = get("/admin/orders", window).replace(&format!("Host: {HOST}"), "Host: other.test");
    let page = talk(stage.gate.http, other).await;
    assert_eq!(page.status(), 421);
    assert!(page.text().contains("href=\"http://gate.test/admin/orders\""), "{}", page.text());
}
