//! Tables, settings, and recorded requests.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::fault::Planned;

/// One request as the stand-in received it.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Length of the body in bytes.
    pub body_len: usize,
}

impl ReceivedRequest {
    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// All of its data and settings.
#[derive(Default)]
pub struct Data {
    /// Table `users`.
    pub users: Vec<Value>,
    /// Table `usersAuthenticators`.
    pub bindings: Vec<Value>,
    /// Table `issuedTokens`.
    pub tokens: Vec<Value>,
    /// Sessions (`jti`) that have been signed out.
    pub blocked: HashSet<String>,
    /// Fields that the service account's role cannot read.
    pub hidden: HashSet<&'static str>,
    pub(crate) faults: Vec<Planned>,
    pub(crate) work: Option<crate::work::Work>,
    /// Requests, except health checks.
    pub requests: Vec<ReceivedRequest>,
    /// Requests are not added to `requests`: there are too many.
    pub unrecorded: bool,
    /// Text frames of all WebSockets.
    pub frames: Vec<String>,
    /// Whether a response had a token in a header and in cookies.
    pub sent_tokens: bool,
    /// How often each `resource:action` was called.
    pub calls: HashMap<String, usize>,
    /// `data` of `roles:check`, as long as `roles` is empty.
    pub role: Value,
    /// Table `roles`, in which a test lets the gate create its role.
    pub roles: Vec<Value>,
    /// The roles' permissions for tables, one row each. Rows of a deleted role stay, and two rows may be for one table.
    pub resources: Vec<Value>,
    /// Rows of `resources` that are in effect: those written while their role existed.
    pub(crate) in_force: HashSet<u64>,
    /// Bindings can be deleted by user 2 only.
    pub undeletable: bool,
    /// NocoBase's administrator: id, account and password of the form.
    pub administrator: Option<(u64, &'static str, &'static str)>,
    /// The version that it reports and behaves like; the differences are in `version.rs`.
    pub version: &'static str,
    /// Settings in the index page, besides those that are always there.
    pub settings: Vec<(&'static str, &'static str)>,
    /// The age up to which a session's token is accepted (`tokenExpirationTime`), and whether the service account can read it.
    /// `None`: any age.
    pub token_policy: Option<(Duration, bool)>,
    /// How far its clock is ahead when it checks the age of tokens.
    pub ahead: Duration,
    /// Maximum age of a session (`sessionExpirationTime`). `None`: unlimited.
    pub session_expiration: Option<Duration>,
    /// Number of tokens renewed because of their age.
    pub renewed: usize,
    /// NocoBase's own sign-up is enabled.
    pub sign_up: bool,
    next_id: u64,
    /// Where in `users` each of them was added.
    rows: HashMap<u64, usize>,
}

/// The response of NocoBase 2.2.15's `roles:check` for the role of docs/install.md.
fn least_role() -> Value {
    json!({
        "role": "wecom_gate", "allowAll": false, "strategy": { "actions": [] }, "snippets": ["!pm", "!pm.*", "!ui.*"],
        "actions": {
            "users:view": { "appends": [], "fields": ["email", "id", "nickname", "phone", "username"] },
            "users:create": { "whitelist": ["email", "nickname", "phone", "roles", "username"] },
            "usersAuthenticators:view": { "fields": ["authenticator", "meta", "nickname", "userId", "uuid"] },
            "usersAuthenticators:create": { "whitelist": [] },
            "issuedTokens:view": { "fields": ["id", "jti", "userId"] },
            "issuedTokens:create": { "whitelist": [] }
        }
    })
}

impl Data {
    /// No users, and the role of docs/install.md.
    pub(crate) fn new() -> Data {
        Data { next_id: 100, role: least_role(), version: "2.2.15", ..Data::default() }
    }

    /// Adds a user with the next id from 101 on; returns its id.
    pub(crate) fn add_user(&mut self, fields: Value) -> u64 {
        self.next_id += 1;
        self.add_user_with_id(self.next_id, fields);
        self.next_id
    }

    /// Adds a user without any check.
    pub(crate) fn add_user_with_id(&mut self, id: u64, mut fields: Value) {
        fields["id"] = json!(id);
        for column in ["nickname", "username", "email", "phone"] {
            fields.as_object_mut().unwrap().entry(column).or_insert(Value::Null);
        }
        self.rows.insert(id, self.users.len());
        self.users.push(fields);
    }

    /// The user with this id. Where users have been removed or added otherwise, it is searched for.
    pub(crate) fn user_of(&self, id: &Value) -> Option<&Value> {
        let row = id.as_u64().and_then(|id| self.users.get(*self.rows.get(&id)?));
        row.filter(|user| user["id"] == *id).or_else(|| self.users.iter().find(|user| user["id"] == *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_wherever_their_rows_are() {
        let mut data = Data::new();
        for id in [7, 8, 9] {
            data.add_user_with_id(id, json!({}));
        }
        data.users.remove(0);
        data.users.push(json!({ "id": "a text" }));
        let found = |id: Value| data.user_of(&id).map(|user| user["id"].clone());
        for id in [json!(8), json!(9), json!("a text")] {
            assert_eq!(found(id.clone()), Some(id));
        }
        assert_eq!(found(json!(7)), None);
    }
}
