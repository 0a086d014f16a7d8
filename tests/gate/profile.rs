//! `nocobase.update_profile`: a user's name and email address follow WeCom's, and no failure prevents the sign-in.

use serde_json::{Value, json};

use crate::support::{CORP, Stage, eventually};

const UPDATE: &str = "users:update";
/// Agent id and secret of the simulator's app created before June 2022.
const OLD_APP: (&str, &str) = ("1000003", "SimAppSecret1000003-BBBBBBBBBBBBBBBBBBBBBBB");

/// With an app created before June 2022, to which WeCom gives email addresses without consent.
async fn stage(fields: Vec<&str>) -> Stage {
    Stage::start(|c| {
        c.set("nocobase.update_profile", fields)
            .set("wecom.agent_id", OLD_APP.0)
            .set("wecom.secret", OLD_APP.1);
    })
    .await
}

fn user(stage: &Stage, id: u64) -> Value {
    stage.nocobase.data().users.iter().find(|u| u["id"] == id).unwrap().clone()
}

fn bound(stage: &Stage, fields: Value) -> u64 {
    let id = stage.nocobase.user(fields);
    stage.nocobase.bind("zhangsan", id);
    id
}

async fn signs_in(stage: &Stage) {
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_and_address_follow_wecom_and_nothing_is_written_when_nothing_differs() {
    let stage = stage(vec!["nickname", "email"]).await;
    let id = bound(&stage, json!({ "nickname": "Old", "email": "old@example.com", "username": "u" }));
    signs_in(&stage).await;
    let now = user(&stage, id);
    // Not the address that the member entered.
    assert_eq!((&now["nickname"], &now["email"]), (&json!("张三"), &json!("zhangsan@example.com")));
    assert_eq!(now["username"], "u");
    let line = stage.gate.wait_for_log(&["\"profile\"", "profile updated"]).await;
    assert!(!line.contains('@'), "no address in the log: {line}");
    assert_eq!(stage.nocobase.calls(UPDATE), 1, "one call for both");
    signs_in(&stage).await;
    assert_eq!(stage.nocobase.calls(UPDATE), 1);
    // WeCom has no name and no address any more: the existing ones stay.
    let mut member = stage.wecom().members(CORP).into_iter().find(|m| m.userid == "zhangsan").unwrap();
    member.biz_mail.clear();
    member.name = "张三丰".into();
    stage.wecom().set_member(CORP, member).unwrap();
    signs_in(&stage).await;
    let now = user(&stage, id);
    assert_eq!((&now["nickname"], &now["email"]), (&json!("张三丰"), &json!("zhangsan@example.com")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_configured_changes() {
    for (fields, nickname, email) in
        [(vec![], "Old", "old@example.com"), (vec!["nickname"], "张三", "old@example.com")]
    {
        let stage = stage(fields).await;
        let id = bound(&stage, json!({ "nickname": "Old", "email": "old@example.com" }));
        signs_in(&stage).await;
        let now = user(&stage, id);
        assert_eq!((&now["nickname"], &now["email"]), (&json!(nickname), &json!(email)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_profile_update_is_one_warning_and_does_not_prevent_the_sign_in() {
    let stage = stage(vec!["nickname", "email"]).await;
    let id = bound(&stage, json!({ "nickname": "Old", "email": "old@example.com" }));
    // The address belongs to another user.
    stage.nocobase.user(json!({ "email": "zhangsan@example.com" }));
    signs_in(&stage).await;
    assert_eq!(user(&stage, id)["email"], "old@example.com");
    let warnings = stage.gate.wait_for_lines("event", "profile", 1).await;
    assert_eq!((&warnings[0]["level"], &warnings[0]["call"]), (&json!("WARN"), &json!("users:update")));
    for (status, label) in [(403, "denied"), (500, "broken")] {
        stage.nocobase.fail("/api/users:update", status, r#"{"errors":[{"message":"no"}]}"#, 1);
        signs_in(&stage).await;
        eventually(label, async || stage.nocobase.calls(UPDATE) >= 2).await;
    }
    // A name that the role cannot read is not treated as different.
    let before = stage.nocobase.calls(UPDATE);
    stage.nocobase.data().hidden = ["nickname"].into();
    signs_in(&stage).await;
    assert_eq!(stage.nocobase.calls(UPDATE), before);
    let log = stage.gate.log_until_now().await;
    assert_eq!(log.iter().filter(|l| l["event"] == "profile").count(), 1, "one a minute");
}
