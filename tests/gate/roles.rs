//! Departments and tags become roles: which are given, which are removed, and that no failure prevents the sign-in.

use serde_json::{Value, json};
use toml::Value as Toml;
use wecom_gate::error::Failure;
use wecom_sim::{Consent, Fault, Settings};

use crate::support::{CORP, Config, SERVICE_USER, Stage};

const UPDATE: &str = "users:update";
const TREE: &str = "/cgi-bin/department/simplelist";

/// `(group, id, role)` of each rule.
fn rules(config: &mut Config, rules: &[(&str, i64, &str)]) {
    let table = |(group, id, role): &(&str, i64, &str)| {
        let mut rule = toml::Table::new();
        rule.insert((*group).into(), Toml::Integer(*id));
        rule.insert("role".into(), Toml::String((*role).into()));
        Toml::Table(rule)
    };
    config.set("wecom.roles", Toml::Array(rules.iter().map(table).collect()));
}

/// Departments 2 (engineering) and 3 (sales, with 4 below), and tag 1 (lisi, who manages).
const RULES: [(&str, i64, &str); 3] =
    [("department", 2, "engineer"), ("department", 3, "sales"), ("tag", 1, "manager")];

async fn stage() -> Stage {
    Stage::start(|c| rules(c, &RULES)).await
}

/// A bound user with these roles.
fn bound(stage: &Stage, userid: &str, roles: &[&str]) -> u64 {
    let id = stage.bound(userid);
    set(stage, id, roles);
    id
}

fn set(stage: &Stage, id: u64, roles: &[&str]) {
    let roles: Vec<Value> = roles.iter().map(|name| json!({ "name": name })).collect();
    stage.nocobase.data().users.iter_mut().find(|u| u["id"] == id).unwrap()["roles"] = json!(roles);
}

fn roles(stage: &Stage, id: u64) -> Vec<String> {
    let data = stage.nocobase.data();
    let user = data.users.iter().find(|u| u["id"] == id).unwrap();
    let mut names: Vec<String> =
        user["roles"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn moved(stage: &Stage, userid: &str, departments: &[u64]) {
    let mut member = stage.wecom().members(CORP).into_iter().find(|m| m.userid == userid).unwrap();
    member.departments = departments.to_vec();
    stage.wecom().set_member(CORP, member).unwrap();
}

/// The warning about roles of the last sign-in.
async fn warned(stage: &Stage, words: &[&str]) -> String {
    let mut all = vec!["\"roles\"", "\"WARN\""];
    all.extend(words);
    stage.gate.wait_for_log(&all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_follow_the_member_at_each_sign_in() {
    let stage = stage().await;
    let lisi = bound(&stage, "lisi", &["member", "by-hand", "engineer"]);
    stage.signed_in("lisi").await;
    assert_eq!(roles(&stage, lisi), ["by-hand", "manager", "member", "sales"]);
    let line = stage.gate.wait_for_log(&["roles changed"]).await;
    assert!(line.contains("manager") && line.contains("engineer") && line.contains("\"lisi\""), "{line}");
    // Nothing has changed: nothing is written.
    let before = stage.nocobase.calls(UPDATE);
    stage.signed_in("lisi").await;
    assert_eq!(stage.nocobase.calls(UPDATE), before);
    // Moved to another department; a role given manually meanwhile stays.
    moved(&stage, "lisi", &[2]);
    set(&stage, lisi, &["member", "sales", "manager", "by-hand-2"]);
    stage.signed_in("lisi").await;
    assert_eq!(roles(&stage, lisi), ["by-hand-2", "engineer", "manager", "member"]);
    // A department includes its sub-departments.
    let wang = bound(&stage, "WangWu", &["member"]);
    stage.signed_in("WangWu").await;
    assert_eq!(roles(&stage, wang), ["engineer", "member", "sales"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_has_them_from_the_first_page_on() {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    let stage = Stage::with(settings, |c| {
        rules(c, &RULES);
        c.set("nocobase.auto_create_user", true).set("nocobase.default_roles", vec!["member"]);
    })
    .await;
    let page = stage.phone("lisi").open("/admin").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let id = stage.nocobase.data().bindings[0]["userId"].as_u64().unwrap();
    assert!(roles(&stage, id).contains(&"sales".to_owned()), "{:?}", roles(&stage, id));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_nothing_is_asked() {
    let mut stage = Stage::start(|_| {}).await;
    bound(&stage, "lisi", &["engineer"]);
    stage.signed_in("lisi").await;
    assert_eq!((stage.nocobase.calls("users:get"), stage.nocobase.calls(UPDATE)), (0, 0));
    assert_eq!(stage.wecom().calls(TREE), 0);
    // Nor does an entry change roles of another entry's rules.
    stage
        .restart_with(|c| {
            c.another_entry("other");
            c.0["wecom"].as_array_mut().unwrap().swap(0, 1);
            rules(c, &[("department", 2, "engineer")]);
        })
        .await;
    stage.signed_in("lisi").await;
    assert_eq!(stage.nocobase.calls("users:get"), 0);
}

/// A role that rules of two entries name follows the entry of the last sign-in, other roles stay; and a removed rule does not
/// remove its role.
#[tokio::test(flavor = "multi_thread")]
async fn roles_of_two_entries_and_of_rules_that_are_gone() {
    let mut stage = Stage::start(|c| {
        rules(c, &[("department", 2, "sales")]);
        c.another_entry("other");
        rules(c, &[("department", 3, "sales"), ("tag", 1, "manager")]);
    })
    .await;
    let lisi = bound(&stage, "lisi", &["member"]);
    let binding = json!({ "authenticator": "other", "uuid": "lisi", "userId": lisi });
    stage.nocobase.data().bindings.push(binding);
    let (with, without) = (["manager", "member", "sales"], ["manager", "member"]);
    for (entry, expected) in [("wecom", &with[..]), ("other", &without), ("wecom", &with)] {
        let page = stage.phone("lisi").open(&format!("/wecom-gate/login?rd=%2Fadmin&with={entry}")).await;
        assert_eq!(page.status, 200, "{entry}: {}", page.body);
        assert_eq!(roles(&stage, lisi), expected, "{entry}");
    }
    stage.restart_with(|c| _ = c.unset("wecom.roles")).await;
    stage.signed_in("lisi").await;
    assert_eq!(roles(&stage, lisi), with);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_wecom_cannot_evaluate_changes_no_role() {
    let mut stage = stage().await;
    let lisi = bound(&stage, "lisi", &["member", "engineer"]);
    for (api, errcode, label) in [
        (TREE, 45009, "wecom_rate_limited"),
        ("/cgi-bin/tag/get", 40068, "rule_unevaluable"),
        (TREE, -1, "wecom_busy"),
    ] {
        // The departments and tags are cached from the start on.
        stage.wecom().add_fault(Fault::errcode(api, errcode, 99));
        stage.restart().await;
        stage.signed_in("lisi").await;
        warned(&stage, &[label, "stay as they are"]).await;
        stage.wecom().clear_faults();
        assert_eq!(roles(&stage, lisi), ["engineer", "member"], "{api} {errcode}");
    }
    // A department that does not exist: the gate starts, logs it, and changes nothing.
    stage.restart_with(|c| rules(c, &[("department", 3, "sales"), ("department", 77, "ghost")])).await;
    stage.gate.wait_for_log(&["\"rules\"", "wecom.roles"]).await;
    stage.signed_in("lisi").await;
    warned(&stage, &["rule_unevaluable", "stay as they are"]).await;
    assert_eq!(
        (roles(&stage, lisi), stage.nocobase.calls(UPDATE)),
        (vec!["engineer".into(), "member".into()], 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_role_update_does_not_prevent_the_sign_in() {
    let stage = stage().await;
    let lisi = bound(&stage, "lisi", &["member"]);
    let denied = r#"{"errors":[{"message":"No permissions"}]}"#;
    stage.nocobase.fail(UPDATE, 403, denied, usize::MAX);
    stage.signed_in("lisi").await;
    warned(&stage, &["nocobase_service_denied"]).await;
    stage.gate.wait_for_log(&["Update with the field roles"]).await;
    stage.nocobase.heal();
    stage.nocobase.fail("users:get", 200, r#"{"data":{"id":1}}"#, 1);
    stage.signed_in("lisi").await;
    warned(&stage, &["nocobase_bad_answer"]).await;
    // It responds 200 and changes nothing: the permission lacks the field.
    stage.nocobase.fail(UPDATE, 200, r#"{"data":[]}"#, usize::MAX);
    stage.signed_in("lisi").await;
    warned(&stage, &["did not take", "sales", "manager"]).await;
    assert_eq!(roles(&stage, lisi), ["member"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_nocobase_does_not_know_is_named() {
    let stage = Stage::start(|c| {
        rules(c, &[("department", 3, "nosuch"), ("tag", 1, "manager"), ("department", 2, "dev")])
    })
    .await;
    let lisi = bound(&stage, "lisi", &["member", "dev"]);
    stage.signed_in("lisi").await;
    let line = warned(&stage, &["did not take"]).await;
    assert!(line.contains("nosuch") && !line.contains("manager"), "{line}");
    assert_eq!(roles(&stage, lisi), ["manager", "member"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_would_be_left_without_a_role() {
    let mut stage =
        Stage::start(|c| rules(c, &[("department", 2, "dev"), ("department", 3, "nosuch")])).await;
    // Without default roles: NocoBase refuses a user without a role, and a page explains it.
    let lisi = bound(&stage, "lisi", &["dev"]);
    let page = stage.phone("lisi").open("/admin").await;
    stage.refused(&page, Failure::NoRole, "has no role").await;
    assert_eq!(roles(&stage, lisi), Vec::<String>::new());
    // A user who had none before gets none: an administrator may have removed them.
    stage.restart_with(|c| _ = c.set("nocobase.default_roles", vec!["member"])).await;
    let page = stage.phone("lisi").open("/admin").await;
    stage.refused(&page, Failure::NoRole, "has no role").await;
    // With default_roles there is one; and once given, it stays.
    set(&stage, lisi, &["dev"]);
    stage.signed_in("lisi").await;
    assert_eq!(roles(&stage, lisi), ["member"]);
    let writes = stage.nocobase.calls(UPDATE);
    stage.restart_with(|c| rules(c, &[("department", 2, "dev")])).await;
    stage.signed_in("lisi").await;
    assert_eq!((roles(&stage, lisi), stage.nocobase.calls(UPDATE)), (vec!["member".to_owned()], writes));
}

#[tokio::test(flavor = "multi_thread")]
async fn root_and_the_service_account_are_left_alone() {
    let stage = stage().await;
    let lisi = bound(&stage, "lisi", &["root", "engineer"]);
    stage.signed_in("lisi").await;
    assert_eq!(roles(&stage, lisi), ["engineer", "root"]);
    // An administrator has bound a member to the gate's service user.
    set(&stage, SERVICE_USER, &["wecom_gate"]);
    let row = json!({ "authenticator": "wecom", "uuid": "zhangsan", "userId": SERVICE_USER });
    stage.nocobase.data().bindings.push(row);
    stage.signed_in("zhangsan").await;
    assert_eq!(roles(&stage, SERVICE_USER), ["wecom_gate"]);
    assert_eq!(stage.nocobase.calls(UPDATE), 0);
}
