//! The gate's role and user in NocoBase, created with the administrator's session, which `init` ends.

use std::fmt;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error::InitError;
use super::plan::{Action, Fields, InNocoBase, ROLE, Right, SNIPPETS, USER};
use crate::nocobase::NocoBase;
use crate::nocobase::error_body::ErrorBody;

/// A signed-in administrator.
pub(super) struct Administrator<'a> {
    nocobase: &'a NocoBase,
    node: &'a str,
    token: SecretString,
}

impl fmt::Debug for Administrator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator").field("node", &self.node).finish_non_exhaustive()
    }
}

impl<'a> Administrator<'a> {
    /// Signs in with NocoBase's own password form.
    pub(super) async fn sign_in(
        nocobase: &'a NocoBase,
        node: &'a str,
        account: &str,
        password: &SecretString,
    ) -> Result<Self, InitError> {
        let body = json!({ "account": account, "password": password.expose_secret() });
        let request = nocobase
            .request(Method::POST, node, "auth:signIn")
            .header("X-Authenticator", "basic")
            .json(&body);
        let response = send("auth:signIn", request).await?;
        let token = response.pointer("/token").and_then(Value::as_str);
        let token =
            token.ok_or_else(|| refused("auth:signIn", "no token in its response"))?.to_owned().into();
        Ok(Self { nocobase, node, token })
    }

    /// Ends the administrator's session. Errors are ignored: the session also ends by itself.
    pub(super) async fn sign_out(self) {
        let _ = self.post("auth:signOut", &json!({})).await;
    }

    /// What exists in NocoBase already.
    ///
    /// `known`: the user named in the configuration.
    pub(super) async fn existing(&self, known: Option<u64>) -> Result<InNocoBase, InitError> {
        let role = self.get(&format!("roles:get?filterByTk={ROLE}")).await?;
        let role_is_bare = role.get("name").map(|_| {
            let list = |at: &str| -> Vec<&str> {
                let list = role.pointer(at).and_then(Value::as_array);
                list.into_iter().flatten().filter_map(Value::as_str).collect()
            };
            let mut snippets = list("/snippets");
            snippets.sort_unstable();
            snippets == SNIPPETS && list("/strategy/actions").is_empty()
        });
        let rows = self.get(&format!("roles/{ROLE}/resources:list?paginate=false&appends=actions")).await?;
        let rights = rows.as_array().into_iter().flatten().filter_map(right).collect();
        let mut user = None;
        if let Some(id) = known {
            user = self.user(&json!({ "id": id, "username": USER })).await?;
        }
        if user.is_none() {
            user = self.user(&json!({ "username": USER })).await?;
        }
        Ok(InNocoBase { role_is_bare, rights, user })
    }

    async fn user(&self, filter: &Value) -> Result<Option<(u64, Vec<String>)>, InitError> {
        let filter = url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect::<String>();
        let rows = self.get(&format!("users:list?pageSize=1&appends=roles&filter={filter}")).await?;
        let Some(row) = rows.get(0) else { return Ok(None) };
        let roles = row.get("roles").and_then(Value::as_array).into_iter().flatten();
        let roles = roles.filter_map(|r| r.get("name")?.as_str()).map(str::to_owned).collect();
        Ok(row.get("id").and_then(Value::as_u64).map(|id| (id, roles)))
    }

    /// The number of users with a phone number, and of all users.
    pub(super) async fn phones(&self) -> Result<(u64, u64), InitError> {
        let count = async |filter: &str| {
            let path = format!("users:list?pageSize=1&fields=id&filter={filter}");
            let request = self.nocobase.request(Method::GET, self.node, &path);
            let response = whole(&path, request.bearer_auth(self.token.expose_secret())).await?;
            Ok::<_, InitError>(response.pointer("/meta/count").and_then(Value::as_u64).unwrap_or(0))
        };
        // {"phone":{"$notEmpty":true}}
        Ok((count("%7B%22phone%22%3A%7B%22%24notEmpty%22%3Atrue%7D%7D").await?, count("%7B%7D").await?))
    }

    /// Does one of the actions in NocoBase. Returns the id of the gate's user if it was created.
    pub(super) async fn carry_out(&self, action: &Action) -> Result<Option<u64>, InitError> {
        let role = json!({
            "name": ROLE, "title": "WeCom gate", "hidden": false, "default": false,
            "snippets": SNIPPETS, "strategy": { "actions": [] },
        });
        match action {
            Action::MakeRole => self.post("roles:create", &role).await?,
            Action::RepairRole => self.post(&format!("roles:update?filterByTk={ROLE}"), &role).await?,
            Action::GiveRights { table, fields } => {
                self.post(&format!("roles/{ROLE}/resources:create"), &rights(table, fields)).await?
            }
            Action::RepairRights { id, table, fields } => {
                let path = format!("roles/{ROLE}/resources:update?filterByTk={id}");
                self.post(&path, &rights(table, fields)).await?
            }
            Action::RemoveDuplicate { id, .. } => {
                self.post(&format!("roles/{ROLE}/resources:destroy?filterByTk={id}"), &json!({})).await?
            }
            Action::MakeUser => {
                let user = json!({ "username": USER, "nickname": "WeCom gate", "roles": [ROLE] });
                let made = self.post("users:create", &user).await?;
                let id = made.get("id").and_then(Value::as_u64);
                return id.map(Some).ok_or_else(|| refused("users:create", "no id in its response"));
            }
            Action::SetRole { user } => self.post(&format!("users/{user}/roles:set"), &json!([ROLE])).await?,
            _ => Value::Null,
        };
        Ok(None)
    }

    async fn get(&self, path: &str) -> Result<Value, InitError> {
        let request = self.nocobase.request(Method::GET, self.node, path);
        send(path, request.bearer_auth(self.token.expose_secret())).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, InitError> {
        let request = self.nocobase.request(Method::POST, self.node, path).json(body);
        send(path, request.bearer_auth(self.token.expose_secret())).await
    }
}

fn rights(table: &str, fields: &Fields) -> Value {
    let actions: Vec<_> = fields
        .iter()
        .map(|(name, fields)| json!({ "name": name, "fields": fields, "scope": null }))
        .collect();
    json!({ "name": table, "usingActionsConfig": true, "actions": actions })
}

/// A row of permissions; `None`: for another data source.
fn right(row: &Value) -> Option<Right> {
    if row.get("dataSourceKey").and_then(Value::as_str).is_some_and(|key| key != "main") {
        return None;
    }
    let id = match row.get("id")? {
        Value::String(id) => id.clone(),
        id => id.to_string(),
    };
    let fields = |action: &Value| {
        let list = action.get("fields").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let actions = row.get("actions").and_then(Value::as_array).into_iter().flatten();
    Some(Right {
        id,
        table: row.get("name")?.as_str()?.to_owned(),
        own: row.get("usingActionsConfig") == Some(&json!(true)),
        fields: actions.filter_map(|a| Some((a.get("name")?.as_str()?.to_owned(), fields(a)))).collect(),
    })
}

/// `data` of a 2xx response.
async fn send(path: &str, request: reqwest::RequestBuilder) -> Result<Value, InitError> {
    Ok(whole(path, request).await?.get("data").cloned().unwrap_or_default())
}

/// A 2xx response, as JSON.
async fn whole(path: &str, request: reqwest::RequestBuilder) -> Result<Value, InitError> {
    let call = path.split('?').next().unwrap_or(path);
    let lost = |e: reqwest::Error| {
        let what = if e.is_timeout() { "no response in time" } else { "the connection is lost" };
        refused(call, what)
    };
    let response = request.send().await.map_err(lost)?;
    let status = response.status();
    let body = response.bytes().await.map_err(lost)?;
    if !status.is_success() {
        let words = ErrorBody::parse(&body).unwrap_or_default().summary();
        return Err(refused(call, &format!("HTTP {} {words}", status.as_u16())));
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

fn refused(call: &str, problem: &str) -> InitError {
    InitError::NocoBase { call: call.to_owned(), problem: problem.trim_end().to_owned() }
}
