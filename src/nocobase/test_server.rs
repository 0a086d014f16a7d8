//! A NocoBase for unit tests: three tables with the real one's unique keys, its filters, its refusals as seen on
//! 2.2.15, and faults on demand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Minter, NocoBase};
use crate::config::{self, MatchBy, ServiceAccount, TokenDelivery};
use crate::error::{Failure, FailureWithCause};

pub(crate) const SECRET: &[u8] = b"the scripted's secret";

/// What happens to the next call of an action instead of, or around, its answer.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This answer instead.
    Answer(u16, &'static str),
    /// The real answer, later.
    Delay(Duration),
    /// Done, but the answer is lost.
    LoseAnswer,
}

#[derive(Default)]
pub(crate) struct Data {
    pub(crate) tables: HashMap<&'static str, Vec<Value>>,
    pub(crate) faults: HashMap<&'static str, VecDeque<Fault>>,
    pub(crate) hidden: HashSet<&'static str>,
    pub(crate) blocked: HashSet<String>,
    pub(crate) calls: Vec<String>,
    next_id: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) data: Arc<Mutex<Data>>,
}

impl Scripted {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let scripted = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(scripted.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (scripted, addr)
    }

    /// Puts a row in without any check.
    pub(crate) fn insert(&self, table: &'static str, row: Value) {
        self.data.lock().unwrap().tables.entry(table).or_default().push(row);
    }
    pub(crate) fn user(&self, id: u64, fields: Value) {
        let mut row =
            json!({"id": id, "nickname": null, "username": null, "phone": null, "email": null, "roles": []});
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.insert("users", row);
    }
    pub(crate) fn binding(&self, uuid: &str, user: u64) {
        self.insert("usersAuthenticators", json!({"uuid": uuid, "userId": user, "authenticator": "wecom"}));
    }
    pub(crate) fn fault(&self, action: &'static str, faults: &[Fault]) {
        self.data.lock().unwrap().faults.entry(action).or_default().extend(faults.iter().cloned());
    }
    pub(crate) fn rows(&self, table: &str) -> Vec<Value> {
        self.data.lock().unwrap().tables.get(table).cloned().unwrap_or_default()
    }
    pub(crate) fn calls(&self, action: &str) -> usize {
        self.data.lock().unwrap().calls.iter().filter(|c| *c == action).count()
    }
}

/// A result without the cause of its failure.
pub(crate) trait Plain<T> {
    fn plain(self) -> Result<T, Failure>;
}

impl<T> Plain<T> for Result<T, FailureWithCause> {
    fn plain(self) -> Result<T, Failure> {
        self.map_err(|failed| failed.failure)
    }
}

/// `[nocobase]` as most tests have it.
pub(crate) fn rules(match_by: &[MatchBy], auto_create_user: bool) -> config::NocoBase {
    config::NocoBase {
        jwt_secret: SECRET.to_vec().into(),
        service: ServiceAccount::User(1),
        app: "main".into(),
        public_path: "/".into(),
        token_delivery: TokenDelivery::Sealed,
        match_by: match_by.to_vec(),
        auto_create_user,
        default_roles: Vec::new(),
        identity_headers: false,
    }
}

/// A client for these nodes.
pub(crate) fn client(nodes: &[SocketAddr], rules: &config::NocoBase) -> NocoBase {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let upstream = config::Upstream {
        nodes: nodes.iter().map(SocketAddr::to_string).collect(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        health_interval: std::time::Duration::from_secs(2),
    };
    NocoBase::new(&upstream, rules, Arc::new(Minter::new(SECRET))).unwrap()
}

async fn answer(
    State(scripted): State<Scripted>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let action = uri.path().strip_prefix("/api/").unwrap_or("?").to_owned();
    let fault = {
        let mut data = scripted.data.lock().unwrap();
        data.calls.push(action.clone());
        data.faults.get_mut(action.as_str()).and_then(VecDeque::pop_front)
    };
    if let Some(Fault::Answer(status, text)) = fault {
        return (StatusCode::from_u16(status).unwrap(), text).into_response();
    }
    let (status, json) = scripted.act(&method, &action, &query, &headers, &body);
    match fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::LoseAnswer) => return (StatusCode::BAD_GATEWAY, "<html>lost</html>").into_response(),
        _ => {}
    }
    (StatusCode::from_u16(status).unwrap(), json.to_string()).into_response()
}

fn error(message: &str) -> Value {
    json!({ "errors": [{ "message": message }] })
}

fn code(code: &str) -> (u16, Value) {
    (401, json!({ "errors": [{ "message": "Your session has expired.", "code": code }] }))
}

impl Scripted {
    fn act(
        &self,
        method: &Method,
        action: &str,
        query: &HashMap<String, String>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (u16, Value) {
        let token = headers.get("authorization").and_then(|h| h.to_str().ok()?.strip_prefix("Bearer "));
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let Ok(who) = Minter::new(SECRET).verify(token.unwrap_or_default(), now) else {
            return code("INVALID_TOKEN");
        };
        let data = &mut *self.data.lock().unwrap();
        if who.jti.as_ref().is_some_and(|jti| data.blocked.contains(jti)) {
            return code("BLOCKED_TOKEN");
        }
        let users = data.tables.entry("users").or_default();
        let user = users.iter().find(|u| u["id"] == who.user_id.get()).cloned();
        let get = Method::GET;
        match (method, action) {
            (m, "auth:check") if m == get => match user {
                Some(user) => (200, json!({ "data": user })),
                None => code("NOT_EXIST_USER"),
            },
            (m, "auth:signOut") if m != get => {
                data.blocked.extend(who.jti);
                (200, json!({}))
            }
            (m, "users:list") if m == get => list(data, "users", query),
            (m, "usersAuthenticators:list") if m == get => list(data, "usersAuthenticators", query),
            (m, "issuedTokens:list") if m == get => list(data, "issuedTokens", query),
            (m, "users:create") if m != get => {
                data.next_id = data.next_id.max(100) + 1;
                let mut row = json!({"id": data.next_id, "nickname": null, "username": null, "phone": null, "email": null});
                let mut given: Map<String, Value> = serde_json::from_slice(body).unwrap();
                let roles = given.remove("roles").unwrap_or(json!(["member"]));
                let roles: Vec<Value> = roles
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|r| *r != "nosuch")
                    .map(|r| json!({"name": r}))
                    .collect();
                row.as_object_mut().unwrap().extend(given);
                row["roles"] = roles.into();
                create(data, "users", row, &[&["phone"], &["email"], &["username"]])
            }
            (m, "users:get") if m == get => {
                let id = query["filterByTk"].parse::<u64>().unwrap();
                let row = users.iter().find(|u| u["id"] == id);
                let row = row.map(|u| json!({ "id": id, "roles": u["roles"] }));
                (200, json!({ "data": row }))
            }
            (m, "users:update") if m != get => {
                let id = query["filterByTk"].parse::<u64>().unwrap();
                let given: Value = serde_json::from_slice(body).unwrap();
                let names = given["roles"].as_array().unwrap().iter().filter(|r| *r != "nosuch");
                let roles: Vec<Value> = names.map(|r| json!({"name": r})).collect();
                if let Some(row) = users.iter_mut().find(|u| u["id"] == id) {
                    row["roles"] = roles.into();
                }
                (200, json!({ "data": [] }))
            }
            (m, "usersAuthenticators:create") if m != get => {
                let row = serde_json::from_slice(body).unwrap();
                create(data, "usersAuthenticators", row, &[&["userId", "authenticator"]])
            }
            (m, "issuedTokens:create") if m != get => {
                create(data, "issuedTokens", serde_json::from_slice(body).unwrap(), &[&["id"]])
            }
            _ => (404, json!("Not Found")),
        }
    }
}

fn create(data: &mut Data, table: &'static str, row: Value, unique: &[&[&str]]) -> (u16, Value) {
    let rows = data.tables.entry(table).or_default();
    for key in unique {
        if rows.iter().any(|r| key.iter().all(|f| !row[f].is_null() && r[f] == row[f])) {
            return (400, error(&format!("{} already exists", key[0])));
        }
    }
    rows.push(row.clone());
    (200, json!({ "data": row }))
}

fn list(data: &Data, table: &str, query: &HashMap<String, String>) -> (u16, Value) {
    let filter: Value = serde_json::from_str(&query["filter"]).unwrap();
    let fields: Vec<&str> =
        query["fields"].split(',').chain(query.get("appends").map(String::as_str)).collect();
    let rows: Vec<Value> = data
        .tables
        .get(table)
        .into_iter()
        .flatten()
        .filter(|row| matches(&filter, row))
        .take(query.get("pageSize").map_or(20, |n| n.parse().unwrap()))
        .map(|row| {
            let keep = |k: &&str| !data.hidden.contains(*k);
            fields
                .iter()
                .filter(|k| keep(k))
                .map(|k| ((*k).to_owned(), row[*k].clone()))
                .collect::<Map<_, _>>()
                .into()
        })
        .collect();
    (200, json!({ "data": rows, "meta": { "count": rows.len() } }))
}

/// `filter` as NocoBase on SQLite understands it: `$in` and equality to the letter, `$startsWith` and
/// `$endWith` not, but these find nothing where LIKE would need an escape.
fn matches(filter: &Value, row: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(key, want)| match key.as_str() {
        "$and" => want.as_array().unwrap().iter().all(|f| matches(f, row)),
        "$or" => want.as_array().unwrap().iter().any(|f| matches(f, row)),
        field => {
            let have = &row[field];
            let special = |v: &Value| v.as_str().unwrap_or_default().contains(['_', '%']);
            let low = |v: &Value| v.as_str().unwrap_or_default().to_ascii_lowercase();
            match want.as_object() {
                None => have == want,
                Some(ops) => ops.iter().all(|(op, want)| match op.as_str() {
                    "$in" => want.as_array().unwrap().contains(have),
                    "$startsWith" => !special(want) && low(have).starts_with(&low(want)),
                    "$endWith" => !special(want) && low(have).ends_with(&low(want)),
                    other => panic!("{other}"),
                }),
            }
        }
    })
}
