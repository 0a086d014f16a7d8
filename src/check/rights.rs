//! The permissions that the service account needs, tried without leaving anything behind: lists are requested with one row,
//! `create` is asked to create no rows, and `update` to change a row that does not exist. For an account without the permission
//! NocoBase refuses that (403); for one that has it, the response is an empty list. `roles:check` shows which fields a role may
//! see and fill.

use serde_json::{Value, json};

use super::nocobase::{Api, ApiResult};
use super::report::{Finding, StepOutcome, Verdict};
use crate::config::{Config, MatchBy};
use crate::message::{Message, message};

/// A permission: a table and what the gate does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    table: &'static str,
    /// `view`, `create` or `update`, as NocoBase's roles name it.
    action: &'static str,
    /// The fields that the gate reads or writes.
    fields: Vec<&'static str>,
    /// What it is needed for.
    purpose: Message,
}

/// The result of trying a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RightStatus {
    Allowed,
    Denied,
    /// Neither allowed nor refused.
    Unclear(Message),
}

/// The permissions that this configuration needs.
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
    let roles = config.wecom.iter().any(|entry| !entry.roles.is_empty());
    if roles {
        view_users.push("roles");
    }
    let profile = rules.update_profile.iter().map(|field| field.name());
    view_users.extend(profile.filter(|name| *name != "email" || !rules.match_by.contains(&MatchBy::Email)));
    let mut all = vec![
        right("users", "view", &view_users, message!("finding a member's user")),
        right(
            "usersAuthenticators",
            "view",
            &["uuid", "userId", "authenticator"],
            message!("finding bindings"),
        ),
        right(
            "usersAuthenticators",
            "create",
            &["uuid", "userId", "authenticator", "nickname", "avatar", "meta"],
            message!("binding a member to a user"),
        ),
        right("issuedTokens", "view", &["id"], message!("checking that a session is registered")),
        right(
            "issuedTokens",
            "create",
            &["id", "jti", "signInTime", "issuedTime", "userId", "authenticator"],
            message!("registering a session"),
        ),
    ];
    if rules.auto_create_user {
        let mut fields = vec!["nickname", "phone", "email", "username"];
        if !rules.default_roles.is_empty() {
            fields.push("roles");
        }
        all.push(right("users", "create", &fields, message!("creating users (auto_create_user)")));
    }
    if roles {
        let purpose = message!("assigning and removing roles ([[wecom.roles]])");
        all.push(right("users", "update", &["roles"], purpose));
    }
    let profile: Vec<&str> = rules.update_profile.iter().map(|field| field.name()).collect();
    if !profile.is_empty() {
        let purpose = message!("keeping names and addresses current (update_profile)");
        all.push(right("users", "update", &profile, purpose));
    }
    all
}

/// The roles named in `[[wecom.roles]]`, and which of them NocoBase does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Roles {
    named: Vec<String>,
    /// `None`: the service account may not see the list of roles, which is as it should be.
    unknown: Option<Vec<String>>,
}

/// Looks for the roles. `None` if no rule names one.
pub(super) async fn roles(api: &Api<'_>, node: &str, token: &str) -> Option<Roles> {
    let mut named: Vec<String> =
        api.config.wecom.iter().flat_map(|entry| &entry.roles).map(|rule| rule.role.clone()).collect();
    named.sort();
    named.dedup();
    if named.is_empty() {
        return None;
    }
    let response = api.ask(node, "roles:list?paginate=false&fields=name", Some(token), None).await;
    Some(Roles { unknown: unknown(&named, &response), named })
}

fn unknown(named: &[String], response: &ApiResult) -> Option<Vec<String>> {
    let response = response.as_ref().ok().filter(|a| a.status == 200)?.json();
    let known: Vec<&str> =
        response.get("data")?.as_array()?.iter().filter_map(|role| role.get("name")?.as_str()).collect();
    Some(named.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect())
}

/// Tries one permission.
pub(super) async fn attempt(api: &Api<'_>, node: &str, token: &str, right: &Right) -> RightStatus {
    let response = match right.action {
        "view" => {
            let columns: Vec<_> = right.fields.iter().copied().filter(|f| *f != "roles").collect();
            let path = format!("{}:list?pageSize=1&fields={}", right.table, columns.join(","));
            api.ask(node, &path, Some(token), None).await
        }
        // No row has this id.
        "update" => {
            let path = format!("{}:update?filterByTk=0", right.table);
            api.ask(node, &path, Some(token), Some(&json!({}))).await
        }
        _ => api.ask(node, &format!("{}:create", right.table), Some(token), Some(&json!([]))).await,
    };
    tried(&response)
}

fn tried(response: &ApiResult) -> RightStatus {
    match response {
        // 400: permitted, but then rejected as invalid.
        Ok(a) if matches!(a.status, 200 | 400) => RightStatus::Allowed,
        Ok(a) if a.status == 403 => RightStatus::Denied,
        Ok(a) => RightStatus::Unclear(a.shown()),
        Err(trouble) => RightStatus::Unclear(trouble.message()),
    }
}

/// What a role may do, from `roles:check`.
struct Role<'a>(&'a Value);

impl Role<'_> {
    fn allows_all(&self) -> bool {
        self.0.get("allowAll") == Some(&json!(true))
    }

    /// Fields of the permission that this role may not see or fill.
    fn missing(&self, right: &Right) -> Vec<&'static str> {
        let action = self.0.get("actions").and_then(|a| a.get(format!("{}:{}", right.table, right.action)));
        // A table without its own entry follows the role's general permissions, which list no fields.
        let Some(action) = action else { return Vec::new() };
        let named = |key: &str| action.get(key).and_then(Value::as_array);
        let allowed = match right.action {
            "view" => named("fields"),
            // An empty list: every field.
            _ => named("whitelist").filter(|l| !l.is_empty()),
        };
        let Some(allowed) = allowed else { return Vec::new() };
        // Fields of related tables are in a list of their own.
        let appends = named("appends").filter(|_| right.action == "view");
        let has = |f: &str| allowed.contains(&json!(f)) || appends.is_some_and(|l| l.contains(&json!(f)));
        right.fields.iter().copied().filter(|f| !has(f)).collect()
    }

    /// What it may do beyond what is needed, in words.
    fn too_much(&self, rights: &[(Right, RightStatus)]) -> Vec<Message> {
        let has = |path: &str, test: fn(&str) -> bool| {
            let list = self.0.pointer(path).and_then(Value::as_array);
            list.is_some_and(|l| l.iter().filter_map(Value::as_str).any(test))
        };
        let acts = |test: fn(&str) -> bool| {
            self.0.get("actions").and_then(Value::as_object).is_some_and(|a| a.keys().any(|k| test(k)))
        };
        let mut all = Vec::new();
        if self.allows_all() {
            all.push(message!("everything (it is the root role)"));
        }
        if has("/snippets", |s| !s.starts_with('!') && s.starts_with("pm")) {
            all.push(message!("configure plugins"));
        }
        if has("/snippets", |s| !s.starts_with('!') && s.starts_with("ui")) {
            all.push(message!("configure pages"));
        }
        if has("/strategy/actions", |_| true) {
            all.push(message!("use every table by a general permission"));
        }
        // With rules about roles this one is needed; no other field may be changed.
        let roles_alone = rights.iter().any(|(r, _)| (r.table, r.action) == ("users", "update"))
            && self.0.get("actions").and_then(|a| a.get("users:update")?.get("whitelist"))
                == Some(&json!(["roles"]));
        if acts(|k| (k.contains(":update") && k != "users:update") || k.contains(":destroy"))
            || (acts(|k| k == "users:update") && !roles_alone)
        {
            all.push(message!("change or delete rows"));
        }
        if acts(|k| !["users:", "usersAuthenticators:", "issuedTokens:"].iter().any(|t| k.starts_with(t))) {
            all.push(message!("use other tables"));
        }
        all
    }
}

/// The step `nocobase_rights`. `role`: `data` of `roles:check`, if available.
pub(super) fn verdict(
    tries: &[(Right, RightStatus)],
    role: Option<&Value>,
    roles: Option<&Roles>,
) -> Verdict {
    let place =
        || message!("NocoBase → Settings → Users & Permissions → the role → Data sources → Main → Actions");
    let role = role.map(Role);
    let (mut failed, mut warnings) = (Vec::new(), Vec::new());
    for (right, tried) in tries {
        let about = format!("{}:{}", right.table, right.action);
        match tried {
            RightStatus::Denied => failed.push(Finding::new(
                about,
                message!(
                    "the service account may not do this; it is needed for {purpose}",
                    purpose = right.purpose.clone()
                ),
                message!(
                    "{place}: {table}, tick {action} with the fields {fields}",
                    place = place(),
                    table = right.table,
                    action = right.action,
                    fields = right.fields.join(", ")
                ),
            )),
            RightStatus::Unclear(why) => {
                let what = message!("could not be tried: {why}", why = why.clone());
                warnings.push(Finding::new(about, what, message!("check again")));
            }
            RightStatus::Allowed => {
                let missing = role.as_ref().map(|r| r.missing(right)).unwrap_or_default();
                if !missing.is_empty() {
                    failed.push(Finding::new(
                        about,
                        message!(
                            "the service account may do this, but not with the fields {fields}; it is needed for {purpose}",
                            fields = missing.join(", "),
                            purpose = right.purpose.clone()
                        ),
                        message!(
                            "{place}: {table}, {action}: tick these fields",
                            place = place(),
                            table = right.table,
                            action = right.action
                        ),
                    ));
                }
            }
        }
    }
    let too_much = role.as_ref().map(|r| r.too_much(tries)).unwrap_or_default();
    if !too_much.is_empty() {
        let rights = Message::joined(too_much, |first, second| message!("{first}; {second}", first, second));
        warnings.push(Finding::new(
            "nocobase.service_user, service_token",
            message!("the service account may do more than it needs: {rights}", rights),
            message!("give it a separate role with only these rights: docs/install.md, section 5"),
        ));
    }
    if let Some(unknown) = roles.and_then(|r| r.unknown.as_ref()).filter(|u| !u.is_empty()) {
        warnings.push(Finding::new(
            "wecom.roles",
            message!("NocoBase has no role {names}", names = unknown.join(", ")),
            message!(
                "give the role's \"Role UID\", not its title: NocoBase → Settings → Users & Permissions → Roles"
            ),
        ));
    }
    let rights = || {
        let names = tries.iter().map(|(right, _)| format!("{}:{}", right.table, right.action));
        Message::verbatim(names.collect::<Vec<_>>().join(", "))
    };
    let outcome = match (failed.is_empty(), warnings.is_empty()) {
        (true, true) => {
            return Verdict::ok(match roles.filter(|roles| roles.unknown.is_none()) {
                Some(roles) => message!(
                    "{rights}; with these rights it cannot be checked whether the roles exist: {roles} (the gate warns at a sign-in)",
                    rights = rights(),
                    roles = roles.named.join(", ")
                ),
                None => rights(),
            });
        }
        (true, false) => StepOutcome::Warning,
        _ => StepOutcome::Failed,
    };
    failed.append(&mut warnings);
    Verdict::found(outcome, failed)
}

#[cfg(test)]
mod tests;
