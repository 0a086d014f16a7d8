//! What an administrator does in the console, as the audit log has it; and that a page that stays open can do no more than its
//! administrator.

use serde_json::Value;

use super::buttons::press;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_does_is_recorded_with_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let stage = Stage::start(|c| {
        c.set("access.admins", vec!["wecom/zhangsan"]).set("log.audit_file", path.to_str().unwrap());
    })
    .await;
    let mut admin = stage.signed_in("zhangsan").await;
    stage.signed_in("lisi").await;
    let lisi = "wecom%2Flisi";
    let find = |action: &str, id: &str| {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        all.find(|record| record["action"] == action && record["request_id"] == *id)
    };
    for (path, action, userid) in [
        (CHECK.to_owned(), "check_run", Value::Null),
        (format!("{CHECK}?q={lisi}"), "check_run", json!("lisi")),
        (format!("{MEMBERS}?q={lisi}"), "session_ended", json!("lisi")),
        (format!("{MEMBERS}?q={lisi}&unbind=1"), "binding_removed", json!("lisi")),
    ] {
        let done = press(&mut admin, &path).await;
        let id = done.header("x-request-id").unwrap().to_owned();
        eventually(action, async || find(action, &id).is_some()).await;
        let record = find(action, &id).unwrap();
        for (field, value) in [
            ("actor", json!("administrator")),
            ("userid", userid.clone()),
            ("entry", if userid.is_null() { Value::Null } else { json!("wecom") }),
            ("reason", json!("in the console, by wecom/zhangsan")),
            ("client", json!("127.0.0.1")),
        ] {
            assert_eq!(record[field], value, "{field}: {record}");
        }
    }
}

/// The right is asked for at each click, not when the page was opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_open_does_nothing_once_its_administrator_is_none() {
    let stage = stage(&["role:boss"]).await;
    let user = stage.bound("zhangsan");
    let give = |roles: Value| {
        let mut data = stage.nocobase.data();
        data.users
            .iter_mut()
            .filter(|row| row["id"] == json!(user))
            .for_each(|row| row["roles"] = roles.clone());
    };
    give(json!([{ "name": "boss" }]));
    let mut browser = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("lisi").await;
    let lisi = format!("{MEMBERS}?q=wecom%2Flisi");
    let page = browser.visit(&lisi).await;
    assert_eq!(page.status, 200);
    let one = page.body.split("action=\"").filter_map(|rest| rest.split_once('"')).map(|(path, _)| path);
    let one = one.into_iter().find(|path| path.contains("session=")).unwrap().replace("&#38;", "&");
    give(json!([{ "name": "member" }]));
    for path in
        [&one, &lisi, &format!("{lisi}&unbind=1"), &CHECK.to_owned(), &format!("{CHECK}?q=wecom%2Flisi")]
    {
        assert_eq!(press(&mut browser, path).await.status, 404, "{path}");
    }
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200, "nothing has happened");
    assert!(stage.nocobase.rows("usersAuthenticators").iter().any(|row| row["uuid"] == "lisi"));
    give(json!([{ "name": "boss" }]));
    assert_eq!(press(&mut browser, &one).await.status, 303);
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 401);
}
