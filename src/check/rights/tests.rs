use super::*;
use crate::check::http::{HttpError, HttpResponse};
use crate::check::links::tests::two;

/// As returned by NocoBase 2.2.15 for the role of docs/install.md.
fn role() -> Value {
    json!({
        "role": "wecom_gate", "allowAll": false, "strategy": { "actions": [] },
        "snippets": ["!pm", "!pm.*", "!ui.*"],
        "actions": {
            "users:view": { "appends": [], "fields": ["email", "id", "nickname", "phone", "username", "id"] },
            "users:create": { "whitelist": ["email", "nickname", "phone", "roles", "username"] },
            "usersAuthenticators:view": { "fields": ["authenticator", "meta", "nickname", "userId", "uuid"] },
            "usersAuthenticators:create": { "whitelist": [] },
            "issuedTokens:view": { "fields": ["id", "jti", "userId"] },
            "issuedTokens:create": { "whitelist": [] }
        }
    })
}

fn all_needed() -> Vec<Right> {
    let mut config = two();
    config.nocobase.match_by = vec![MatchBy::Phone, MatchBy::Email, MatchBy::Username];
    config.nocobase.auto_create_user = true;
    config.nocobase.default_roles = vec!["member".into()];
    needed(&config)
}

#[test]
fn only_what_is_needed_is_asked_for() {
    let names =
        |rights: Vec<Right>| rights.iter().map(|r| format!("{}:{}", r.table, r.action)).collect::<Vec<_>>();
    let few = needed(&two());
    assert_eq!(few[0].fields, ["id", "phone"]);
    assert!(!names(few).contains(&"users:create".to_owned()));
    let all = all_needed();
    assert_eq!(all[0].fields, ["id", "phone", "email", "username"]);
    assert!(all.last().unwrap().fields.contains(&"roles"));
    assert!(names(all).contains(&"users:create".to_owned()));
}

#[test]
fn each_missing_right_is_named() {
    let rights = all_needed();
    let allowed: Vec<_> = rights.iter().map(|r| (r.clone(), RightStatus::Allowed)).collect();
    assert_eq!(verdict(&allowed, Some(&role()), None).outcome, StepOutcome::Ok);
    assert_eq!(verdict(&allowed, None, None).outcome, StepOutcome::Ok);
    for i in 0..allowed.len() {
        let mut tries = allowed.clone();
        tries[i].1 = RightStatus::Denied;
        let got = verdict(&tries, Some(&role()), None);
        assert_eq!((got.outcome, got.findings.len()), (StepOutcome::Failed, 1));
        assert_eq!(got.findings[0].about, format!("{}:{}", rights[i].table, rights[i].action));
        tries[i].1 = RightStatus::Unclear(Message::verbatim("HTTP 502"));
        assert_eq!(verdict(&tries, Some(&role()), None).outcome, StepOutcome::Warning);
    }
}

#[test]
fn each_missing_field_is_named() {
    let allowed: Vec<_> = all_needed().into_iter().map(|r| (r, RightStatus::Allowed)).collect();
    for (path, field) in [
        ("/actions/users:view/fields", "phone"),
        ("/actions/users:view/fields", "email"),
        ("/actions/usersAuthenticators:view/fields", "uuid"),
        ("/actions/issuedTokens:view/fields", "id"),
        ("/actions/users:create/whitelist", "roles"),
    ] {
        let mut role = role();
        role.pointer_mut(path).unwrap().as_array_mut().unwrap().retain(|f| f != field);
        let got = verdict(&allowed, Some(&role), None);
        assert_eq!((got.outcome, got.findings.len()), (StepOutcome::Failed, 1), "{path} {field}");
        assert!(
            got.findings[0].what.to_string().contains(&format!("not with the fields {field};")),
            "{got:?}"
        );
    }
    // No field was ticked at all: NocoBase shows hardly more than the id.
    let mut bare = role();
    *bare.pointer_mut("/actions/users:view/fields").unwrap() = json!(["id", "createdAt", "updatedAt"]);
    assert!(
        verdict(&allowed, Some(&bare), None).findings[0].what.to_string().contains("phone, email, username")
    );
}

#[test]
fn more_than_needed_is_a_warning() {
    let allowed: Vec<_> = all_needed().into_iter().map(|r| (r, RightStatus::Allowed)).collect();
    for (change, words) in [
        (json!({ "allowAll": true, "actions": {} }), "everything"),
        (json!({ "snippets": ["pm.*", "!ui.*"] }), "plugins"),
        (json!({ "snippets": ["ui.*"] }), "pages"),
        (json!({ "strategy": { "actions": ["view"] } }), "general permission"),
        (json!({ "actions": { "users:destroy": {} } }), "change or delete"),
        (json!({ "actions": { "orders:view": {} } }), "other tables"),
    ] {
        let mut role = role();
        for (key, value) in change.as_object().unwrap() {
            role[key] = value.clone();
        }
        let got = verdict(&allowed, Some(&role), None);
        assert_eq!(got.outcome, StepOutcome::Warning, "{change}");
        assert!(got.findings[0].what.to_string().contains(words), "{got:?}");
    }
}

#[test]
fn what_a_response_means() {
    let with = |status| Ok(HttpResponse { status, ..HttpResponse::default() });
    for (response, want) in [
        (with(200), RightStatus::Allowed),
        (with(400), RightStatus::Allowed),
        (with(403), RightStatus::Denied),
        (with(401), RightStatus::Unclear(Message::verbatim("HTTP 401"))),
        (with(500), RightStatus::Unclear(Message::verbatim("HTTP 500"))),
        (Err(HttpError::Timeout), RightStatus::Unclear(HttpError::Timeout.message())),
    ] {
        assert_eq!(tried(&response), want);
    }
}

fn with_roles() -> (Vec<(Right, RightStatus)>, Value) {
    let mut config = two();
    let group = crate::config::Group::Department(3);
    config.wecom[1].roles = vec![crate::config::RoleRule { group, role: "sales".into() }];
    let mut role = role();
    role["actions"]["users:update"] = json!({ "whitelist": ["roles"] });
    role["actions"]["users:view"]["appends"] = json!(["roles"]);
    (needed(&config).into_iter().map(|right| (right, RightStatus::Allowed)).collect(), role)
}

#[test]
fn rules_about_roles_need_two_rights_more() {
    let (tries, good) = with_roles();
    assert_eq!(tries[0].0.fields, ["id", "phone", "roles"]);
    assert_eq!(tries.last().unwrap().0.action, "update");
    assert_eq!(verdict(&tries, Some(&good), None).outcome, StepOutcome::Ok, "not too many");
    for (path, value, outcome, words) in [
        ("/actions/users:view/appends", json!([]), StepOutcome::Failed, "not with the fields roles;"),
        (
            "/actions/users:update/whitelist",
            json!(["nickname"]),
            StepOutcome::Failed,
            "not with the fields roles;",
        ),
        (
            "/actions/users:update/whitelist",
            json!(["roles", "password"]),
            StepOutcome::Warning,
            "change or delete",
        ),
        ("/actions/users:update/whitelist", json!([]), StepOutcome::Warning, "change or delete"),
    ] {
        let mut role = good.clone();
        *role.pointer_mut(path).unwrap() = value;
        let got = verdict(&tries, Some(&role), None);
        assert!(
            got.outcome == outcome && got.findings[0].what.to_string().contains(words),
            "{path}: {got:?}"
        );
    }
    // Without such rules these are too many.
    let few: Vec<_> = needed(&two()).into_iter().map(|r| (r, RightStatus::Allowed)).collect();
    assert_eq!(verdict(&few, Some(&good), None).outcome, StepOutcome::Warning);
    assert!(needed(&two()).iter().all(|r| r.action != "update" && !r.fields.contains(&"roles")));
}

#[test]
fn roles_that_nocobase_does_not_know() {
    let named = vec!["ops".to_owned(), "sales".to_owned()];
    let with = |status, body: &str| Ok(HttpResponse { status, body: body.into(), ..HttpResponse::default() });
    let list = with(200, r#"{"data":[{"name":"member"},{"name":"sales"}]}"#);
    assert_eq!(unknown(&named, &list), Some(vec!["ops".to_owned()]));
    assert_eq!(unknown(&named, &with(403, "{}")), None);
    assert_eq!(unknown(&named, &Err(HttpError::Timeout)), None);
    let (tries, role) = with_roles();
    let judge = |unknown| verdict(&tries, Some(&role), Some(&Roles { named: named.clone(), unknown }));
    assert_eq!(judge(Some(vec![])).outcome, StepOutcome::Ok);
    let missing = judge(Some(vec!["ops".into()]));
    assert!(
        missing.outcome == StepOutcome::Warning
            && missing.findings[0].what.to_string().contains("no role ops"),
        "{missing:?}"
    );
    let untold = judge(None);
    assert_eq!(untold.outcome, StepOutcome::Ok);
    assert!(format!("{untold:?}").contains("ops, sales"), "{untold:?}");
}
