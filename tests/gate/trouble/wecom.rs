//! WeCom is unreachable, slow, busy, or misconfigured.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use wecom_gate::error::Failure;
use wecom_sim::{Fault, FaultKind};

use super::{TOKEN, USER_GET, USERINFO, and_then_it_works, bound, creating, fails};
use crate::support::{Stage, eventually};

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

/// How one connection to WeCom fails: before the call takes effect, and after.
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
            // With a new access token each time, and a member who is not bound.
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
async fn a_web_page_responds_in_wecoms_place() {
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
        "being busy twice is not reported"
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
    assert_eq!(about.len(), 1, "one line reports it: {about:?}");
    assert_eq!((&about[0]["errcode"], &about[0]["level"]), (&json!(45009), &json!("ERROR")));
    // Each session is rechecked at NocoBase at intervals of at least 7/8 of the setting, whatever WeCom responds.
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

/// A member without a session starts again with a new code; one with a session goes to the requested page in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_wecom_rejects_leads_a_member_who_is_signed_in_to_the_page_and_others_to_wecom() {
    let stage = bound().await;
    let rejected = |code| stage.wecom().add_fault(Fault::errcode(USERINFO, code, 1));
    let mut stranger = stage.phone("zhangsan");
    let callback = stranger.up_to_callback("/admin/x").await;
    rejected(40029);
    let again = stranger.visit(&callback).await;
    assert!(again.status == 302 && again.location().starts_with("http"), "{again:?}");
    assert!(again.location().contains("state=1") && !again.sets("wecom_gate"), "{again:?}");
    let page = stranger.follow(again).await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{}", page.body);

    // Two tabs: the first has to wait for its code, the second signs in meanwhile.
    let mut member = stage.phone("zhangsan");
    let callback = member.up_to_callback("/admin/y").await;
    assert_eq!(member.open("/admin").await.status, 200);
    let session = member.cookie("wecom_gate").unwrap().to_owned();
    rejected(40029);
    let on = member.visit(&callback).await;
    assert_eq!((on.status, on.location()), (302, "/admin/y"), "{}", on.body);
    assert!(!on.sets("wecom_gate") && member.cookie("wecom_gate") == Some(&session));
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(stage.nocobase.data().tokens.len(), 2, "no third session");
}
