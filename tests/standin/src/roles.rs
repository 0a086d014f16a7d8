//! Roles, their permissions for tables, and users' roles, as in NocoBase 2.2.15; only for its administrator.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::data::Data;
use crate::table::{param, row_number, taken};
use crate::{Node, error, token};

fn data(value: Value) -> Response {
    axum::Json(json!({ "data": value })).into_response()
}

/// The password form.
pub(crate) fn sign_in(node: &Node, body: &Bytes) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let data_ = node.data.lock();
    match data_.administrator {
        Some((id, account, password)) if body["account"] == account && body["password"] == password => {
            let token = token::mint(&node.secret, id, &uuid::Uuid::new_v4().to_string());
            data(json!({ "user": { "id": id }, "token": token }))
        }
        _ => error(401, "The username/email or password is incorrect, please re-enter", None),
    }
}

/// The calls of this file; `None`: another call.
pub(crate) fn call(
    all: &mut Data,
    action: &str,
    user: &Value,
    query: &str,
    body: &Value,
) -> Option<Response> {
    let known = ["roles:get", "roles:create", "roles:update", "roles:destroy"].contains(&action)
        || action.starts_with("roles/")
        || (action.starts_with("users/") && action.ends_with("/roles:set"));
    if !known {
        return None;
    }
    if all.administrator.is_none_or(|(id, ..)| user["id"] != id) {
        return Some(error(403, "No permissions", None));
    }
    let name = param(query, "filterByTk").unwrap_or_default();
    Some(match action {
        "roles:get" => data(all.roles.iter().find(|r| r["name"] == name).cloned().into()),
        "roles:create" => {
            if let Some(refused) = taken(&all.roles, body, &[(&["name"], "Role name")]) {
                return Some(refused);
            }
            all.roles.push(body.clone());
            data(body.clone())
        }
        "roles:update" => {
            for role in all.roles.iter_mut().filter(|r| r["name"] == name) {
                merge(role, body);
            }
            data(json!([]))
        }
        "roles:destroy" => {
            all.roles.retain(|r| r["name"] != name);
            all.in_force.clear();
            for user in &mut all.users {
                if let Some(roles) = user["roles"].as_array_mut() {
                    roles.retain(|r| r["name"] != name);
                }
            }
            data(json!(1))
        }
        _ if action.ends_with("/roles:set") => {
            let id: u64 = action.split(['/']).nth(1).and_then(|id| id.parse().ok()).unwrap_or(0);
            let names = body.as_array().into_iter().flatten();
            let names: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
            if let Some(row) = all.users.iter_mut().find(|u| u["id"] == id) {
                row["roles"] = names.into();
            }
            axum::Json(json!({})).into_response()
        }
        _ => resources(all, action, query, body),
    })
}

/// `roles/<name>/resources:...`
fn resources(all: &mut Data, action: &str, query: &str, body: &Value) -> Response {
    let role = action.split('/').nth(1).unwrap_or_default().to_owned();
    let row = row_number(query);
    let exists = all.roles.iter().any(|r| r["name"] == role.as_str());
    match action.rsplit(':').next().unwrap_or_default() {
        "list" => data(all.resources.iter().filter(|r| r["roleName"] == role.as_str()).cloned().collect()),
        "create" => {
            let id = 9_000 + all.resources.len() as u64;
            let mut made = body.clone();
            merge(&mut made, &json!({ "id": id, "roleName": role, "dataSourceKey": "main" }));
            all.resources.push(made.clone());
            if exists {
                all.in_force.insert(id);
            }
            data(made)
        }
        "update" => {
            for found in all.resources.iter_mut().filter(|r| r["id"] == row) {
                merge(found, body);
                if exists {
                    all.in_force.insert(row);
                }
            }
            data(json!([]))
        }
        "destroy" => {
            all.resources.retain(|r| r["id"] != row);
            data(json!(true))
        }
        other => panic!("the stand-in does not know {other}"),
    }
}

fn merge(row: &mut Value, with: &Value) {
    for (key, value) in with.as_object().into_iter().flatten() {
        row[key] = value.clone();
    }
}

/// `roles:check` of a user with one role.
pub(crate) fn check(all: &Data, user: &Value) -> Value {
    let name = user["roles"][0]["name"].as_str().unwrap_or_default();
    let role = all.roles.iter().find(|r| r["name"] == name).cloned().unwrap_or_default();
    let mut actions = BTreeMap::new();
    let in_force = |r: &&Value| r["id"].as_u64().is_some_and(|id| all.in_force.contains(&id));
    for row in all.resources.iter().filter(|r| r["roleName"] == name).filter(in_force) {
        for action in row["actions"].as_array().into_iter().flatten() {
            let fields = if action["name"] == "view" { "fields" } else { "whitelist" };
            let key = format!("{}:{}", row["name"].as_str().unwrap(), action["name"].as_str().unwrap());
            let value: Map<_, _> = [(fields.to_owned(), action["fields"].clone())].into_iter().collect();
            actions.insert(key, Value::Object(value));
        }
    }
    json!({ "role": name, "allowAll": name == "root", "strategy": role["strategy"], "snippets": role["snippets"],
        "actions": actions })
}
