//! `/api/resource:action`.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::roles;
use crate::table::{list, matches, param, row_number, taken};
use crate::version::Shape;
use crate::{Node, error, token};

/// The response to a call of the API.
pub(crate) fn call(node: &Node, action: &str, headers: &HeaderMap, query: &str, body: &Bytes) -> Response {
    if action == "__health_check" {
        return "ok".into_response();
    }
    if action == "public" {
        return axum::Json(json!({ "data": "public" })).into_response();
    }
    if action == "app:getInfo" {
        let version = node.data.lock().version;
        return axum::Json(json!({ "data": { "version": version, "name": "main" } })).into_response();
    }
    if action == "authenticators:publicList" {
        let form = json!([{ "field": "username", "show": true, "required": true }]);
        let options = json!({ "allowSignUp": node.data.lock().sign_up, "signupForm": form });
        return axum::Json(
            json!({ "data": [{ "name": "basic", "authType": "Email/Password", "options": options }] }),
        )
        .into_response();
    }
    if action == "auth:signIn" {
        return sign_in(node, body);
    }
    let token = token::bearer(headers, query);
    let (user, jti) = match token::who(node, token.as_deref()) {
        Ok(found) => found,
        Err((message, code)) => return error(401, message, Some(code)),
    };
    let renewed = match token::renew(node, token.as_deref().unwrap_or_default(), jti.as_deref()) {
        Ok(renewed) => renewed,
        Err((message, code)) => return error(401, message, Some(code)),
    };
    let mut response = signed_in(node, action, user, jti, query, body);
    if renewed {
        response.headers_mut().insert("x-new-token", header::HeaderValue::from_static("a.b.c"));
    }
    response
}

/// NocoBase's own sign-in, by username and password.
fn sign_in(node: &Node, raw: &Bytes) -> Response {
    let body: Value = serde_json::from_slice(raw).unwrap_or(Value::Null);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let jti = uuid::Uuid::new_v4().to_string();
    let token_cookies = Shape::of(node).token_cookies;
    let mut data = node.data.lock();
    let is_theirs = |user: &&Value| {
        user["username"] == body["account"]
            && user["password"] == body["password"]
            && body["password"].is_string()
    };
    let Some(user) = data.users.iter().find(is_theirs).cloned() else {
        drop(data);
        return roles::sign_in(node, raw);
    };
    data.tokens.push(
        json!({ "jti": jti, "userId": user["id"], "signInTime": u64::try_from(now.as_millis()).unwrap() }),
    );
    let token = token::signed(&node.secret, &user, &jti, now, 24 * 3600);
    let mut response = axum::Json(json!({ "data": { "user": user, "token": token } })).into_response();
    if token_cookies {
        for cookie in [
            format!("nb_auth_token_main={token}; Path=/; HttpOnly"),
            "nb_authenticator_main=basic; Path=/".into(),
        ] {
            response.headers_mut().append(header::SET_COOKIE, header::HeaderValue::try_from(cookie).unwrap());
        }
    }
    response
}

fn signed_in(
    node: &Node,
    action: &str,
    user: Value,
    jti: Option<String>,
    query: &str,
    body: &Bytes,
) -> Response {
    let issued_tokens = Shape::of(node).issued_tokens;
    let mut data = node.data.lock();
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if let Some(done) = roles::call(&mut data, action, &user, query, &body) {
        return done;
    }
    let hidden = |field: &str| data.hidden.contains(field);
    match action {
        "auth:check" => {
            let mut user = user;
            if user["roles"] == json!([]) {
                let message = "The current user has no roles. Please try another account.";
                return error(401, message, Some("USER_HAS_NO_ROLES_ERR"));
            }
            if data.roles.is_empty() && user["roles"].is_null() {
                user["roles"] = json!([{ "name": data.role["role"] }]);
            }
            axum::Json(json!({ "data": user })).into_response()
        }
        "tokenControlConfig:get" => match data.token_policy {
            Some((fresh, true)) => {
                let config = json!({ "tokenExpirationTime": format!("{}ms", fresh.as_millis()),
                    "sessionExpirationTime": "7d", "expiredTokenRenewLimit": "1d" });
                axum::Json(json!({ "data": { "key": "token-policy-config", "config": config } }))
                    .into_response()
            }
            _ => error(403, "No permissions", None),
        },
        "roles:check" if data.roles.is_empty() => axum::Json(json!({ "data": data.role })).into_response(),
        "roles:check" => axum::Json(json!({ "data": roles::check(&data, &user) })).into_response(),
        // An empty list creates no rows.
        _ if action.ends_with(":create") && body == json!([]) => {
            axum::Json(json!({ "data": [] })).into_response()
        }
        "auth:signOut" => {
            data.blocked.extend(jti);
            axum::Json(json!({})).into_response()
        }
        "auth:syncCookies" => {
            data.sent_tokens = true;
            let cookies = [
                "nb_auth_token_main=a.b.c; Path=/; HttpOnly",
                "nb_csrf_token_main=c; Path=/",
                "nb_authenticator_main=basic; Path=/",
            ];
            let mut response = axum::Json(json!({})).into_response();
            for cookie in cookies {
                response.headers_mut().append(header::SET_COOKIE, header::HeaderValue::from_static(cookie));
            }
            response.headers_mut().insert("x-new-token", header::HeaderValue::from_static("a.b.c"));
            response
        }
        "users:list" => list(&data.users, query, hidden),
        "usersAuthenticators:list" => list(&data.bindings, query, hidden),
        "issuedTokens:list" if issued_tokens => list(&data.tokens, query, hidden),
        "users:get" => {
            let row = data.users.iter().find(|u| u["id"] == row_number(query));
            let row =
                row.map(|u| json!({ "id": u["id"], "roles": u["roles"].as_array().unwrap_or(&vec![]) }));
            axum::Json(json!({ "data": row })).into_response()
        }
        // As in NocoBase: a user that does not exist is not an error, and unknown roles are left out.
        "users:update" => {
            if body["roles"].as_array().is_some_and(|roles| roles.contains(&json!("root"))) {
                return error(500, "No permissions", None);
            }
            for key in ["email", "nickname"].into_iter().filter(|key| body[*key].is_string()) {
                let others = |u: &&Value| u["id"] != row_number(query) && u["email"] == body["email"];
                if key == "email" && data.users.iter().any(|u| others(&u)) {
                    return error(400, "Email already exists", None);
                }
                if let Some(row) = data.users.iter_mut().find(|u| u["id"] == row_number(query)) {
                    row[key] = body[key].clone();
                }
            }
            if body["roles"].is_null() {
                return axum::Json(json!({ "data": [] })).into_response();
            }
            let roles = known_roles(&body["roles"]);
            if let Some(row) = data.users.iter_mut().find(|u| u["id"] == row_number(query)) {
                row["roles"] = roles;
            }
            axum::Json(json!({ "data": [] })).into_response()
        }
        "users:create" => {
            let keys: [(&[&str], &str); 3] =
                [(&["phone"], "Phone"), (&["username"], "Username"), (&["email"], "Email")];
            if let Some(refused) = taken(&data.users, &body, &keys) {
                return refused;
            }
            let mut row = body;
            row["roles"] = match &row["roles"] {
                Value::Null => json!([{ "name": "member" }]),
                names => known_roles(names),
            };
            let id = data.add_user(row);
            let made = data.users.iter().find(|u| u["id"] == json!(id)).cloned();
            axum::Json(json!({ "data": made })).into_response()
        }
        "usersAuthenticators:create" => {
            if let Some(refused) =
                taken(&data.bindings, &body, &[(&["userId", "authenticator"], "authenticator")])
            {
                return refused;
            }
            data.bindings.push(body.clone());
            axum::Json(json!({ "data": body })).into_response()
        }
        "usersAuthenticators:destroy" => {
            if data.undeletable && user["id"] != 2 {
                return error(403, "No permissions", None);
            }
            let filter: Value = serde_json::from_str(&param(query, "filter").unwrap()).unwrap();
            let before = data.bindings.len();
            data.bindings.retain(|row| !matches(row, &filter));
            axum::Json(json!({ "data": before - data.bindings.len() })).into_response()
        }
        _ if action.starts_with("issuedTokens:") && !issued_tokens => error(404, "Not Found", None),
        "issuedTokens:create" => {
            if let Some(refused) = taken(&data.tokens, &body, &[(&["id"], "id")]) {
                return refused;
            }
            data.tokens.push(body.clone());
            axum::Json(json!({ "data": body })).into_response()
        }
        _ => axum::Json(json!({ "data": { "action": action, "as": user["id"] } })).into_response(),
    }
}

/// These roles as a user's row has them, except `nosuch...`, which NocoBase does not know.
fn known_roles(names: &Value) -> Value {
    let names = names.as_array().into_iter().flatten();
    let known = names.filter(|name| !name.as_str().unwrap_or_default().starts_with("nosuch"));
    known.map(|name| json!({ "name": name })).collect()
}
