//! The steps about WeCom, and the sign-in of a member.

use wecom_sim::{Fault, FaultKind};

use super::*;

const TOKEN: &str = "/cgi-bin/gettoken";

const AGENT_GET: &str = "/cgi-bin/agent/get";

#[tokio::test(flavor = "multi_thread")]
async fn findings_about_wecom() {
    let mut scene = Scene::set().await;
    let good = scene.config.clone();
    let sim = scene.sim.handle.clone();

    sim.configure(|s| {
        s.trusted_ips = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        s.apparent_ip = Some("203.0.113.9".parse().unwrap());
    });
    let checked = scene.check(&[]).await;
    checked.only_failure("wecom_trusted_ip", "add 203.0.113.9 in WeCom's console");
    checked.shows("wecom_trusted_ip", "企业可信IP");
    checked.shows("wecom_agent", "wecom_trusted_ip failed");
    sim.reset();
    let origin = good.0["origin"].as_str().unwrap().to_owned();
    scene.app(|a| a.gate = origin.clone());
    scene.check(&[]).await.shows("wecom_callback_domain", "\"ok\"");

    let contact = sim.data().companies.iter().find(|c| c.corp_id == CORP).unwrap().contact_secret.clone();
    for (key, value, step, words) in [
        ("wecom.secret", "CANARY-wrong-secret", "wecom_secret", "errcode 40001"),
        ("wecom.secret", contact.as_str(), "wecom_secret", "errcode 48002"),
        ("wecom.corp_id", "ww9999999999999999", "wecom_secret", "errcode 40013"),
        ("wecom.agent_id", "1000003", "wecom_agent", "errcode 301002"),
        ("wecom.api_base", "http://127.0.0.1:1", "wecom_reachable", "does not answer in time"),
    ] {
        scene.config.set(key, value);
        scene.check(&[]).await.only_failure(step, words);
        scene.config = good.clone();
    }
    scene.config.set("wecom.allow_tags", vec![987_654]);
    scene.check(&[]).await.only_failure("wecom_rules", "visible range");
    scene.config = good.clone();

    for (fault, step, words) in [
        (Fault::new(TOKEN, FaultKind::Html), "wecom_reachable", "not as WeCom's API does"),
        (Fault::new(TOKEN, FaultKind::Drop), "wecom_reachable", "does not answer"),
        (Fault::new(TOKEN, FaultKind::Status(502)), "wecom_reachable", "does not answer"),
        (Fault::new(TOKEN, FaultKind::Errcode(-1)), "wecom_reachable", "errcode -1"),
        (Fault::new(TOKEN, FaultKind::Errcode(45009)), "wecom_reachable", "checkCorpSpamBlock"),
        (Fault::new(AGENT_GET, FaultKind::Hang), "wecom_reachable", "does not answer in time"),
        (Fault::new(AGENT_GET, FaultKind::Errcode(40014)), "wecom_secret", "fresh access token"),
    ] {
        sim.add_fault(fault);
        scene.check(&[]).await.only_failure(step, words);
        sim.clear_faults();
    }

    scene.app(|a| a.trusted_domain = "other.example.com".into());
    let checked = scene.check(&[]).await;
    checked.only_failure("wecom_callback_domain", "other.example.com");
    checked.shows("wecom_callback_domain", "网页授权及JS-SDK");
    scene.app(|a| {
        a.trusted_domain = String::new();
        a.closed = true;
    });
    scene.check(&[]).await.only_failure("wecom_agent", "switched off");
    scene.app(|a| {
        a.closed = false;
        a.visible = Default::default();
    });
    scene.check(&[]).await.only_failure("wecom_visible_range", "可见范围");

    scene.app(|a| a.visible.departments = vec![1]);
    sim.set_clock_offset_ms(-600_000);
    scene.check(&[]).await.only_failure("clock", "ahead of");
    sim.set_clock_offset_ms(60_000);
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("clock")["outcome"]), (0, &json!("warning")));
    checked.shows("clock", "behind 127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_of_a_member_is_tried_without_its_effects() {
    let mut scene = Scene::set().await;
    let shows = async |scene: &Scene, member: &str, outcome: &str, words: &str| {
        let checked = scene.check(&["--member", member]).await;
        assert_eq!(checked.step("member")["outcome"], outcome, "{:#}", checked.report);
        assert_eq!(checked.code, i32::from(outcome == "failed"));
        checked.shows("member", words);
    };
    shows(&scene, "zhangsan", "ok", "shows at the first sign-in").await;
    shows(&scene, "nobody-at-all", "failed", "not_visible").await;
    shows(&scene, "other/zhangsan", "failed", "one of: wecom").await;
    scene.sim.handle.set_status(CORP, "zhangsan", 2).unwrap();
    shows(&scene, "zhangsan", "failed", "member_disabled").await;
    scene.sim.handle.set_status(CORP, "zhangsan", 1).unwrap();

    scene.config.set("wecom.allow_users", vec!["lisi"]);
    shows(&scene, "zhangsan", "failed", "not_allowed").await;
    scene.config.unset("wecom.allow_users").set("nocobase.match_by", vec!["username"]);
    shows(&scene, "zhangsan", "failed", "no_matching_user").await;
    scene.config.set("nocobase.auto_create_user", true);
    shows(&scene, "wecom/zhangsan", "ok", "would get a new NocoBase user").await;
    let user = scene.nocobase.user(json!({ "username": "zhangsan", "nickname": "Zhang" }));
    shows(&scene, "zhangsan", "ok", &format!("would be bound to NocoBase user {user} (Zhang)")).await;
    let binding = |uuid: &str| json!({ "authenticator": "wecom", "uuid": uuid, "userId": user });
    scene.nocobase.data().bindings.push(binding("somebody-else"));
    shows(&scene, "zhangsan", "failed", "already_bound").await;
    scene.nocobase.data().bindings[0] = binding("ZhangSan");
    shows(&scene, "zhangsan", "ok", &format!("is bound to NocoBase user {user}")).await;

    let data = scene.nocobase.data();
    assert_eq!(
        (data.users.len(), data.bindings.len(), data.tokens.len()),
        (2, 1, 0),
        "test data is left behind"
    );
    assert!(
        data.requests.iter().all(|s| !s.target.contains(":create") || s.body_len <= 2),
        "a row was asked for"
    );
}
