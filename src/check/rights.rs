//! What the service account must be able to do, tried without leaving anything behind: lists are asked for one row,
//! and `create` is asked to make no rows at all, which NocoBase refuses (403) whoever may not create, and for
//! whoever may answers with an empty list. Which fields a role may see and fill is in `roles:check`.

use serde_json::{Value, json};

use super::nocobase::{Api, Asked};
use super::{Finding, Outcome, Verdict};
use crate::config::{Config, MatchBy};

/// A table and what the gate does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    table: &'static str,
    /// `view` or `create`, as NocoBase's roles have it.
    action: &'static str,
    /// The fields that the gate reads or writes.
    fields: Vec<&'static str>,
    /// What cannot be done without.
    purpose: &'static str,
}

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    Allowed,
    Denied,
    /// Neither yes nor no.
    Unclear(String),
}

/// What this configuration needs.
pub(super) fn needed(config: &Config) -> Vec<Right> {
    let rules = &config.nocobase;
    let key = |key: &MatchBy| match key {
        MatchBy::Phone => "phone",
        MatchBy::Username => "username",
        MatchBy::Email => "email",
    };
    let right = |table, action, fields: &[&'static str], purpose| Right {
        table,
        action,
        fields: fields.to_vec(),
        purpose,
    };
    let mut view_users = vec!["id"];
    view_users.extend(rules.match_by.iter().map(key));
    let mut all = vec![
        right("users", "view", &view_users, "finding the user who is a member"),
        right("usersAuthenticators", "view", &["uuid", "userId", "authenticator"], "finding bindings"),
        right(
            "usersAuthenticators",
            "create",
            &["uuid", "userId", "authenticator", "nickname", "avatar", "meta"],
            "binding a member to a user",
        ),
        right("issuedTokens", "view", &["id"], "seeing that a session is registered"),
        right(
            "issuedTokens",
            "create",
            &["id", "jti", "signInTime", "issuedTime", "userId", "authenticator"],
            "registering a session",
        ),
    ];
    if rules.auto_create_user {
        let mut fields = vec!["nickname", "phone", "email", "username"];
        if !rules.default_roles.is_empty() {
            fields.push("roles");
        }
        all.push(right("users", "create", &fields, "making users (auto_create_user)"));
    }
    all
}

/// Tries one.
pub(super) async fn attempt(api: &Api<'_>, node: &str, token: &str, right: &Right) -> Tried {
    let answer = if right.action == "view" {
        let path = format!("{}:list?pageSize=1&fields={}", right.table, right.fields.join(","));
        api.ask(node, &path, Some(token), None).await
    } else {
        api.ask(node, &format!("{}:create", right.table), Some(token), Some(&json!([]))).await
    };
    tried(&answer)
}

fn tried(answer: &Asked) -> Tried {
    match answer {
        // 400: let through, and then found wanting.
        Ok(a) if matches!(a.status, 200 | 400) => Tried::Allowed,
        Ok(a) if a.status == 403 => Tried::Denied,
        Ok(a) => Tried::Unclear(format!("HTTP {}", a.status)),
        Err(trouble) => Tried::Unclear(trouble.to_string()),
    }
}

/// What a role may do, out of `roles:check`.
struct Role<'a>(&'a Value);

impl Role<'_> {
    fn allows_all(&self) -> bool {
        self.0.get("allowAll") == Some(&json!(true))
    }

    /// Fields of the right that this role may not see or fill.
    fn missing(&self, right: &Right) -> Vec<&'static str> {
        let action = self.0.get("actions").and_then(|a| a.get(format!("{}:{}", right.table, right.action)));
        // Without an entry of its own the table goes by the role's general permissions, which know no fields.
        let Some(action) = action else { return Vec::new() };
        let named = |key: &str| action.get(key).and_then(Value::as_array);
        let allowed = match right.action {
            "view" => named("fields"),
            // An empty list: every field.
            _ => named("whitelist").filter(|l| !l.is_empty()),
        };
        let Some(allowed) = allowed else { return Vec::new() };
        right.fields.iter().copied().filter(|f| !allowed.contains(&json!(f))).collect()
    }

    /// What it may do besides, in words.
    fn too_much(&self) -> Vec<&'static str> {
        let has = |path: &str, test: fn(&str) -> bool| {
            let list = self.0.pointer(path).and_then(Value::as_array);
            list.is_some_and(|l| l.iter().filter_map(Value::as_str).any(test))
        };
        let acts = |test: fn(&str) -> bool| {
            self.0.get("actions").and_then(Value::as_object).is_some_and(|a| a.keys().any(|k| test(k)))
        };
        let mut all = Vec::new();
        if self.allows_all() {
            all.push("everything (it is the root role)");
        }
        if has("/snippets", |s| !s.starts_with('!') && s.starts_with("pm")) {
            all.push("configure plugins");
        }
        if has("/snippets", |s| !s.starts_with('!') && s.starts_with("ui")) {
            all.push("configure pages");
        }
        if has("/strategy/actions", |_| true) {
            all.push("use every table by a general permission");
        }
        if acts(|k| k.contains(":update") || k.contains(":destroy")) {
            all.push("change or delete rows");
        }
        if acts(|k| !["users:", "usersAuthenticators:", "issuedTokens:"].iter().any(|t| k.starts_with(t))) {
            all.push("use other tables");
        }
        all
    }
}

/// The step `nocobase_rights`. `role`: `data` of `roles:check`, where it could be had.
pub(super) fn verdict(tries: &[(Right, Tried)], role: Option<&Value>) -> Verdict {
    const WHERE: &str =
        "NocoBase → Settings → Users & Permissions → the role → Data sources → Main → Actions";
    let role = role.map(Role);
    let (mut failed, mut warnings) = (Vec::new(), Vec::new());
    for (right, tried) in tries {
        let about = format!("{}:{}", right.table, right.action);
        match tried {
            Tried::Denied => failed.push(Finding::new(
                about,
                format!("the service account may not do this; it is needed for {}", right.purpose),
                format!(
                    "{WHERE}: {}, tick {} with the fields {}",
                    right.table,
                    right.action,
                    right.fields.join(", ")
                ),
            )),
            Tried::Unclear(why) => {
                warnings.push(Finding::new(about, format!("could not be tried: {why}"), "check again"))
            }
            Tried::Allowed => {
                let missing = role.as_ref().map(|r| r.missing(right)).unwrap_or_default();
                if !missing.is_empty() {
                    failed.push(Finding::new(
                        about,
                        format!(
                            "the service account may do this, but without {}; it is needed for {}",
                            missing.join(", "),
                            right.purpose
                        ),
                        format!("{WHERE}: {}, {}: tick these fields", right.table, right.action),
                    ));
                }
            }
        }
    }
    let too_much = role.as_ref().map(Role::too_much).unwrap_or_default();
    if !too_much.is_empty() {
        warnings.push(Finding::new(
            "nocobase.service_user, service_token",
            format!("the service account may do more than it needs: {}", too_much.join("; ")),
            "give it a role of its own with these rights alone: docs/install.md, section 5",
        ));
    }
    let names = |t: &[(Right, Tried)]| {
        t.iter().map(|(r, _)| format!("{}:{}", r.table, r.action)).collect::<Vec<_>>().join(", ")
    };
    let outcome = match (failed.is_empty(), warnings.is_empty()) {
        (true, true) => return Verdict::ok(names(tries)),
        (true, false) => Outcome::Warning,
        _ => Outcome::Failed,
    };
    failed.append(&mut warnings);
    Verdict::found(outcome, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::http::{Answer, Trouble};
    use crate::check::links::tests::two;

    /// As NocoBase 2.2.15 answers for the role of docs/install.md.
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
        let names = |rights: Vec<Right>| {
            rights.iter().map(|r| format!("{}:{}", r.table, r.action)).collect::<Vec<_>>()
        };
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
        let allowed: Vec<_> = rights.iter().map(|r| (r.clone(), Tried::Allowed)).collect();
        assert_eq!(verdict(&allowed, Some(&role())).outcome, Outcome::Ok);
        assert_eq!(verdict(&allowed, None).outcome, Outcome::Ok);
        for i in 0..allowed.len() {
            let mut tries = allowed.clone();
            tries[i].1 = Tried::Denied;
            let got = verdict(&tries, Some(&role()));
            assert_eq!((got.outcome, got.findings.len()), (Outcome::Failed, 1));
            assert_eq!(got.findings[0].about, format!("{}:{}", rights[i].table, rights[i].action));
            tries[i].1 = Tried::Unclear("HTTP 502".into());
            assert_eq!(verdict(&tries, Some(&role())).outcome, Outcome::Warning);
        }
    }

    #[test]
    fn each_missing_field_is_named() {
        let allowed: Vec<_> = all_needed().into_iter().map(|r| (r, Tried::Allowed)).collect();
        for (path, field) in [
            ("/actions/users:view/fields", "phone"),
            ("/actions/users:view/fields", "email"),
            ("/actions/usersAuthenticators:view/fields", "uuid"),
            ("/actions/issuedTokens:view/fields", "id"),
            ("/actions/users:create/whitelist", "roles"),
        ] {
            let mut role = role();
            role.pointer_mut(path).unwrap().as_array_mut().unwrap().retain(|f| f != field);
            let got = verdict(&allowed, Some(&role));
            assert_eq!((got.outcome, got.findings.len()), (Outcome::Failed, 1), "{path} {field}");
            assert!(got.findings[0].what.contains(&format!("without {field};")), "{got:?}");
        }
        // No field at all was ticked: NocoBase shows hardly more than the id.
        let mut bare = role();
        *bare.pointer_mut("/actions/users:view/fields").unwrap() = json!(["id", "createdAt", "updatedAt"]);
        assert!(verdict(&allowed, Some(&bare)).findings[0].what.contains("phone, email, username"));
    }

    #[test]
    fn more_than_needed_is_a_warning() {
        let allowed: Vec<_> = all_needed().into_iter().map(|r| (r, Tried::Allowed)).collect();
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
            let got = verdict(&allowed, Some(&role));
            assert_eq!(got.outcome, Outcome::Warning, "{change}");
            assert!(got.findings[0].what.contains(words), "{got:?}");
        }
    }

    #[test]
    fn what_an_answer_means() {
        let with = |status| Ok(Answer { status, ..Answer::default() });
        for (answer, want) in [
            (with(200), Tried::Allowed),
            (with(400), Tried::Allowed),
            (with(403), Tried::Denied),
            (with(401), Tried::Unclear("HTTP 401".into())),
            (with(500), Tried::Unclear("HTTP 500".into())),
            (Err(Trouble::Timeout), Tried::Unclear("no answer within 10 seconds".into())),
        ] {
            assert_eq!(tried(&answer), want);
        }
    }
}
