//! A stand-in for NocoBase where a test needs faults, races or the bytes of a request. It answers the calls that the
//! gate makes as NocoBase 2.2.15 does; what NocoBase really does is shown by the tests against the real one.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use wecom_gate::nocobase::Minter;

/// One request as the stand-in saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body_len: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// What goes wrong, and how often.
#[derive(Debug, Clone)]
pub struct Fault {
    /// `resource:action`, or a prefix of a path.
    pub on: String,
    pub status: u16,
    pub body: String,
    pub delay: Duration,
    /// The call is carried out first: only its answer is lost.
    pub done: bool,
    /// How many times still; `usize::MAX`: always.
    pub times: usize,
}

impl Fault {
    fn at(on: &str, times: usize) -> Fault {
        Fault { on: on.into(), status: 0, body: String::new(), delay: Duration::ZERO, done: false, times }
    }
}

#[derive(Default)]
pub struct Data {
    pub users: Vec<Value>,
    pub bindings: Vec<Value>,
    pub tokens: Vec<Value>,
    pub blocked: HashSet<String>,
    pub faults: Vec<Fault>,
    pub seen: Vec<Seen>,
    /// Text frames of all WebSockets.
    pub frames: Vec<String>,
    /// Has an answer told a token, in a header and in cookies?
    pub answered_with_token: bool,
    pub calls: HashMap<String, usize>,
    /// `data` of `roles:check`.
    pub role: Value,
    /// What it is, and behaves like (see [`shape`]).
    pub version: &'static str,
    /// Settings that the index page tells, besides those that it always does.
    pub settings: Vec<(&'static str, &'static str)>,
    /// The age up to which a session's token is fresh (`tokenExpirationTime`), and whether the service account may see it.
    /// `None`: whatever its age.
    pub token_policy: Option<(Duration, bool)>,
    /// Tokens that were renewed because of it.
    pub renewed: usize,
    /// NocoBase's own sign-up is open.
    pub sign_up: bool,
    next_id: u64,
}

/// What `roles:check` of NocoBase 2.2.15 says of the role of docs/install.md.
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

#[derive(Clone)]
pub struct NocoBase {
    pub address: SocketAddr,
    data: Arc<Mutex<Data>>,
    minter: Arc<Minter>,
    stop: Arc<Mutex<Option<tokio::sync::oneshot::Sender<()>>>>,
}

pub const SECRET: &str = "stand-in-secret-of-nocobase";
/// Where it says how it is.
pub const HEALTH: &str = "/api/__health_check";
/// User-Agent of the gate where it asks what NocoBase says of itself.
pub const ABOUT: &str = "wecom-gate/";
/// Answer of every page.
pub const PAGE: &str = "<!DOCTYPE html>\n<html>\n\n<head>\n  <meta charset=\"UTF-8\" />\n<script>window['__nocobase_api_client_storage_prefix__'] = 'NOCOBASE_';</script></head><body><div id=\"root\"></div></body></html>\n";

impl NocoBase {
    pub async fn start() -> NocoBase {
        Self::start_with(SECRET).await
    }

    pub async fn start_with(secret: &str) -> NocoBase {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nocobase = NocoBase {
            address,
            data: Arc::new(Mutex::new(Data {
                next_id: 100,
                role: least_role(),
                version: "2.2.15",
                ..Data::default()
            })),
            minter: Arc::new(Minter::new(secret.as_bytes())),
            stop: Arc::default(),
        };
        nocobase.serve(listener);
        nocobase
    }

    /// Another node of the same NocoBase: the same data at another address.
    pub async fn another_node(&self) -> NocoBase {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = NocoBase { address, stop: Arc::default(), ..self.clone() };
        node.serve(listener);
        node
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        *self.stop.lock().unwrap() = Some(stop);
        let app = Router::new().fallback(answer).with_state(self.clone().weak());
        tokio::spawn(async move {
            let done = async { stopped.await.unwrap_or(()) };
            axum::serve(listener, app).with_graceful_shutdown(done).await.unwrap();
        });
    }

    /// Nobody listens any more, until [`NocoBase::up`].
    pub async fn down(&self) {
        drop(self.stop.lock().unwrap().take());
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn up(&self) {
        self.serve(tokio::net::TcpListener::bind(self.address).await.unwrap());
    }

    /// Without the handle that keeps the server alive.
    fn weak(self) -> Shared {
        Shared { data: self.data, minter: self.minter }
    }

    pub fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    /// Adds a user; returns its id.
    pub fn user(&self, fields: Value) -> u64 {
        self.data().add_user(fields)
    }

    pub fn fail(&self, on: &str, status: u16, body: &str, times: usize) {
        self.fault(Fault { status, body: body.into(), ..Fault::at(on, times) });
    }

    /// Does what it is asked for, and then answers 502, as a proxy does before a NocoBase that has just died.
    pub fn lose_answer(&self, on: &str, times: usize) {
        let body = "<h1>Bad gateway</h1>".into();
        self.fault(Fault { status: 502, body, done: true, ..Fault::at(on, times) });
    }

    pub fn delay(&self, on: &str, delay: Duration, times: usize) {
        self.fault(Fault { delay, ..Fault::at(on, times) });
    }

    fn fault(&self, fault: Fault) {
        self.data().faults.push(fault);
    }

    pub fn heal(&self) {
        self.data().faults.clear();
    }

    /// How often `resource:action` was called.
    pub fn calls(&self, action: &str) -> usize {
        self.data().calls.get(action).copied().unwrap_or(0)
    }

    /// The last request to this path.
    pub fn last(&self, path: &str) -> Option<Seen> {
        self.data().seen.iter().rev().find(|s| s.target.split('?').next() == Some(path)).cloned()
    }

    pub fn count(&self, path: &str) -> usize {
        self.data().seen.iter().filter(|s| s.target.split('?').next() == Some(path)).count()
    }
}

impl Data {
    fn add_user(&mut self, mut fields: Value) -> u64 {
        self.next_id += 1;
        fields["id"] = json!(self.next_id);
        for column in ["nickname", "username", "email", "phone"] {
            fields.as_object_mut().unwrap().entry(column).or_insert(Value::Null);
        }
        self.users.push(fields);
        self.next_id
    }
}

#[derive(Clone)]
struct Shared {
    data: Arc<Mutex<Data>>,
    minter: Arc<Minter>,
}

fn error(status: u16, message: &str, code: Option<&str>) -> Response {
    let mut entry = json!({ "message": message });
    if let Some(code) = code {
        entry["code"] = json!(code);
    }
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({ "errors": [entry] }))).into_response()
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (body, body_len) = read(body).await;
    let fault = {
        let mut data = shared.data.lock().unwrap();
        // The gate asks all the time how NocoBase is; `seen` holds what somebody asked for.
        let about =
            parts.headers.get("user-agent").is_some_and(|a| a.as_bytes().starts_with(ABOUT.as_bytes()));
        if path != HEALTH && !about {
            data.seen.push(Seen {
                method: parts.method.clone(),
                target,
                headers: parts.headers.clone(),
                body_len,
            });
        }
        if let Some(action) = path.strip_prefix("/api/") {
            *data.calls.entry(action.to_owned()).or_default() += 1;
        }
        let hit = data
            .faults
            .iter_mut()
            .find(|f| f.times > 0 && (path.ends_with(&f.on) || path.starts_with(&f.on)));
        hit.map(|f| {
            f.times -= usize::from(f.times != usize::MAX);
            f.clone()
        })
    };
    if let Some(fault) = fault {
        tokio::time::sleep(fault.delay).await;
        if fault.done
            && let Some(action) = path.strip_prefix("/api/")
        {
            drop(api(&shared, action, &parts.headers, &query, &body));
        }
        if fault.status > 0 {
            let kind = if fault.body.starts_with('{') { "application/json" } else { "text/html" };
            return (StatusCode::from_u16(fault.status).unwrap(), [(header::CONTENT_TYPE, kind)], fault.body)
                .into_response();
        }
    }
    match path.strip_prefix("/api/") {
        Some(action) => api(&shared, action, &parts.headers, &query, &body),
        None if path == "/sse" => sse(),
        None if path == "/sse/open" => open(),
        None if path == "/ws" => match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| echo(shared, socket)),
            Err(refused) => refused.into_response(),
        },
        None if path.starts_with("/assets/") && !shape(&shared).root_bundles => asset(&parts.headers),
        None if path.starts_with("/slow/") => {
            let ms = path.trim_start_matches("/slow/").parse().unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            "at last".into_response()
        }
        None if path.starts_with("/files/") && shape(&shared).files => file(&shared, &parts.headers, &path),
        None if path.starts_with("/big/") => big(path.trim_start_matches("/big/").parse().unwrap_or(0)),
        None if is_root_bundle(&path) && shape(&shared).root_bundles => asset(&parts.headers),
        None => {
            let head = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::LAST_MODIFIED, "Sat, 21 Nov 2026 00:00:00 GMT"),
            ];
            (head, page(&shared)).into_response()
        }
    }
}

/// How the versions of NocoBase differ, as seen on running ones.
#[derive(Clone, Copy)]
struct Shape {
    /// Scripts beside the pages (`/umi.<hash>.js`), not in `/assets/`.
    root_bundles: bool,
    /// `/files/...`, and cookies that open them.
    files: bool,
    /// A modern client below `/v`, of which the page tells the prefix.
    modern: bool,
    /// `issuedTokens`.
    issued_tokens: bool,
}

fn shape(shared: &Shared) -> Shape {
    let version = shared.data.lock().unwrap().version;
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Shape {
        root_bundles: number < (2, 1),
        files: number >= (2, 2),
        modern: number >= (2, 1),
        issued_tokens: number >= (1, 6),
    }
}

fn is_root_bundle(path: &str) -> bool {
    path.starts_with("/umi.") || path.ends_with(".async.js")
}

/// The index page, with its settings.
fn page(shared: &Shared) -> String {
    let shape = shape(shared);
    let mut settings =
        vec![("public_path", "/"), ("api_base_url", "/api/"), ("ws_url", ""), ("ws_path", "/ws")];
    if shape.modern {
        settings.extend([("modern_client_prefix", "v"), ("app_client_entry_mode", "legacy-default")]);
    }
    settings.extend(shared.data.lock().unwrap().settings.iter().copied());
    // The last one of a name counts.
    let mut said = String::new();
    for (i, (name, value)) in settings.iter().enumerate() {
        if settings[i + 1..].iter().all(|(later, _)| later != name) {
            said.push_str(&format!("window['__nocobase_{name}__'] = '{value}';\n"));
        }
    }
    let script = if shape.root_bundles { "/umi.0a1b2c3d.js" } else { "/assets/index-93181bbb.js" };
    PAGE.replace("<script>", &format!("<script>{said}"))
        .replace("</script>", &format!("</script><script src=\"{script}\"></script>"))
}

/// Keeps what an API call may send; of more only the length.
async fn read(body: Body) -> (Bytes, usize) {
    const KEPT: usize = 1 << 20;
    let (mut kept, mut length) = (Vec::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        length += piece.len();
        if length <= KEPT {
            kept.extend_from_slice(&piece);
        }
    }
    (kept.into(), length)
}

/// So many bytes, made while they are sent.
fn big(length: usize) -> Response {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let stream = futures_util::stream::unfold(length, |left| async move {
        let now = left.min(PIECE.len());
        (now > 0).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(&PIECE[..now])), left - now))
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(stream)).into_response()
}

/// A file with an ETag.
fn asset(headers: &HeaderMap) -> Response {
    let tags = [(header::ETAG, "\"v1\""), (header::CACHE_CONTROL, "public, max-age=600")];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|t| t == "\"v1\"") {
        return (StatusCode::NOT_MODIFIED, tags).into_response();
    }
    (tags, [(header::CONTENT_TYPE, "text/javascript")], "export default 1;\n").into_response()
}

/// Writes down every frame, and sends it back.
async fn echo(shared: Shared, mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = &message {
            shared.data.lock().unwrap().frames.push(text.to_string());
        }
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// One event, and then none, with the connection open.
fn open() -> Response {
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"data: 0\n\n"))]);
    let body = Body::from_stream(first.chain(futures_util::stream::pending()));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn sse() -> Response {
    let (tx, rx) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        for i in 0..4 {
            if tx.send(Ok(Bytes::from(format!("data: {i}\n\n")))).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let stream =
        futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|item| (item, rx)) });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    all.split(';').find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn file(shared: &Shared, headers: &HeaderMap, path: &str) -> Response {
    let ok = cookie(headers, "nb_auth_token_main").is_some_and(|t| who(shared, Some(&t)).is_ok());
    if ok { format!("content of {path}").into_response() } else { error(403, "No permissions", None) }
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The user and `jti` of a token, as NocoBase judges it.
fn who(
    shared: &Shared,
    token: Option<&str>,
) -> Result<(Value, Option<String>), (&'static str, &'static str)> {
    let token = token
        .filter(|t| !t.is_empty())
        .ok_or(("Unauthenticated. Please sign in to continue.", "EMPTY_TOKEN"))?;
    let verified = shared
        .minter
        .verify(token, now_s())
        .map_err(|_| ("Your session has expired. Please sign in again.", "INVALID_TOKEN"))?;
    let data = shared.data.lock().unwrap();
    if verified.jti.as_ref().is_some_and(|j| data.blocked.contains(j)) {
        return Err(("Your session has expired. Please sign in again.", "BLOCKED_TOKEN"));
    }
    let user = data
        .users
        .iter()
        .find(|u| u["id"] == json!(verified.user_id.get()))
        .cloned()
        .ok_or(("User not found. Please sign in again to continue.", "NOT_EXIST_USER"))?;
    Ok((user, verified.jti))
}

fn bearer(headers: &HeaderMap, query: &str) -> Option<String> {
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "));
    header.map(str::to_owned).or_else(|| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == "token").map(|(_, v)| v.into_owned())
    })
}

fn api(shared: &Shared, action: &str, headers: &HeaderMap, query: &str, body: &Bytes) -> Response {
    if action == "__health_check" {
        return "ok".into_response();
    }
    if action == "public" {
        return axum::Json(json!({ "data": "public" })).into_response();
    }
    if action == "app:getInfo" {
        let version = shared.data.lock().unwrap().version;
        return axum::Json(json!({ "data": { "version": version, "name": "main" } })).into_response();
    }
    if action == "authenticators:publicList" {
        let form = json!([{ "field": "username", "show": true, "required": true }]);
        let options = json!({ "allowSignUp": shared.data.lock().unwrap().sign_up, "signupForm": form });
        return axum::Json(json!({ "data": [{ "name": "basic", "options": options }] })).into_response();
    }
    let token = bearer(headers, query);
    let (user, jti) = match who(shared, token.as_deref()) {
        Ok(found) => found,
        Err((message, code)) => return error(401, message, Some(code)),
    };
    let renewed = match renew(shared, token.as_deref().unwrap_or_default(), jti.as_deref()) {
        Ok(renewed) => renewed,
        Err((message, code)) => return error(401, message, Some(code)),
    };
    let mut answer = signed_in(shared, action, user, jti, query, body);
    if renewed {
        answer.headers_mut().insert("x-new-token", header::HeaderValue::from_static("a.b.c"));
    }
    answer
}

/// What NocoBase makes of a session's token that is older than its policy allows: it renews it and gives the session another
/// id, once; whoever comes with the old id again, and no fresher token, is refused. Says whether it was renewed.
fn renew(shared: &Shared, token: &str, jti: Option<&str>) -> Result<bool, (&'static str, &'static str)> {
    let mut data = shared.data.lock().unwrap();
    let (Some((fresh, _)), Some(jti)) = (data.token_policy, jti) else { return Ok(false) };
    let issued = claims(token)["iat"].as_u64().unwrap_or(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    if now.saturating_sub(Duration::from_secs(issued)) <= fresh {
        return Ok(false);
    }
    match data.tokens.iter_mut().find(|row| row["jti"] == jti) {
        Some(row) => {
            row["jti"] = json!(uuid::Uuid::new_v4().to_string());
            data.renewed += 1;
            Ok(true)
        }
        None => Err(("Your session has expired. Please sign in again.", "TOKEN_RENEW_FAILED")),
    }
}

/// What a token says, unchecked.
pub fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap_or_default();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

fn signed_in(
    shared: &Shared,
    action: &str,
    user: Value,
    jti: Option<String>,
    query: &str,
    body: &Bytes,
) -> Response {
    let issued_tokens = shape(shared).issued_tokens;
    let mut data = shared.data.lock().unwrap();
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let filter: Value = url::form_urlencoded::parse(query.as_bytes())
        .find(|(n, _)| n == "filter")
        .and_then(|(_, v)| serde_json::from_str(&v).ok())
        .unwrap_or(json!({}));
    match action {
        "auth:check" => {
            let mut user = user;
            if user["roles"] == json!([]) {
                let says = "The current user has no roles. Please try another account.";
                return error(401, says, Some("USER_HAS_NO_ROLES_ERR"));
            }
            user["roles"] = json!([{ "name": data.role["role"] }]);
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
        "roles:check" => axum::Json(json!({ "data": data.role })).into_response(),
        // No rows are made of an empty list.
        _ if action.ends_with(":create") && body == json!([]) => {
            axum::Json(json!({ "data": [] })).into_response()
        }
        "auth:signOut" => {
            data.blocked.extend(jti);
            axum::Json(json!({})).into_response()
        }
        "auth:syncCookies" => {
            data.answered_with_token = true;
            let cookies = [
                "nb_auth_token_main=a.b.c; Path=/; HttpOnly",
                "nb_csrf_token_main=c; Path=/",
                "nb_authenticator_main=basic; Path=/",
            ];
            let mut answer = axum::Json(json!({})).into_response();
            for cookie in cookies {
                answer.headers_mut().append(header::SET_COOKIE, header::HeaderValue::from_static(cookie));
            }
            answer.headers_mut().insert("x-new-token", header::HeaderValue::from_static("a.b.c"));
            answer
        }
        "users:list" => list(&data.users, &filter),
        "usersAuthenticators:list" => list(&data.bindings, &filter),
        "issuedTokens:list" if issued_tokens => list(&data.tokens, &filter),
        "users:get" => {
            let row = data.users.iter().find(|u| u["id"] == row_number(query));
            let row =
                row.map(|u| json!({ "id": u["id"], "roles": u["roles"].as_array().unwrap_or(&vec![]) }));
            axum::Json(json!({ "data": row })).into_response()
        }
        // As NocoBase does it: who is not there is not changed, and roles that it does not know are left out.
        "users:update" => {
            let wanted = body["roles"].as_array().cloned().unwrap_or_default();
            if wanted.contains(&json!("root")) {
                return error(500, "No permissions", None);
            }
            let known =
                wanted.into_iter().filter(|role| !role.as_str().unwrap_or_default().starts_with("nosuch"));
            let roles: Vec<Value> = known.map(|name| json!({ "name": name })).collect();
            if let Some(row) = data.users.iter_mut().find(|u| u["id"] == row_number(query)) {
                row["roles"] = json!(roles);
            }
            axum::Json(json!({ "data": [] })).into_response()
        }
        "users:create" => {
            for (field, name) in [("phone", "Phone"), ("username", "Username"), ("email", "Email")] {
                let taken = !body[field].is_null() && data.users.iter().any(|u| u[field] == body[field]);
                if taken {
                    return error(400, &format!("{name} already exists"), None);
                }
            }
            let mut row = body;
            if let Some(roles) = row["roles"].as_array() {
                row["roles"] = roles.iter().map(|name| json!({ "name": name })).collect();
            }
            let id = data.add_user(row);
            let made = data.users.iter().find(|u| u["id"] == json!(id)).cloned();
            axum::Json(json!({ "data": made })).into_response()
        }
        "usersAuthenticators:create" => {
            let same =
                |b: &Value| b["authenticator"] == body["authenticator"] && b["userId"] == body["userId"];
            if data.bindings.iter().any(same) {
                return error(400, "authenticator already exists", None);
            }
            data.bindings.push(body.clone());
            axum::Json(json!({ "data": body })).into_response()
        }
        _ if action.starts_with("issuedTokens:") && !issued_tokens => error(404, "Not Found", None),
        "issuedTokens:create" => {
            if data.tokens.iter().any(|t| t["id"] == body["id"]) {
                return error(400, "id already exists", None);
            }
            data.tokens.push(body.clone());
            axum::Json(json!({ "data": body })).into_response()
        }
        _ => axum::Json(json!({ "data": { "action": action, "as": user["id"] } })).into_response(),
    }
}

/// `filterByTk`; 0: none.
fn row_number(query: &str) -> u64 {
    let mut all = url::form_urlencoded::parse(query.as_bytes());
    all.find(|(n, _)| n == "filterByTk").and_then(|(_, v)| v.parse().ok()).unwrap_or(0)
}

fn list(rows: &[Value], filter: &Value) -> Response {
    let found: Vec<&Value> = rows.iter().filter(|r| matches(r, filter)).collect();
    axum::Json(json!({ "data": found, "meta": { "count": found.len(), "page": 1 } })).into_response()
}

/// The part of NocoBase's filters that the gate uses.
fn matches(row: &Value, filter: &Value) -> bool {
    let Some(filter) = filter.as_object() else { return true };
    filter.iter().all(|(key, want)| match key.as_str() {
        "$and" => want.as_array().unwrap().iter().all(|f| matches(row, f)),
        "$or" => want.as_array().unwrap().iter().any(|f| matches(row, f)),
        field => field_matches(&row[field], want),
    })
}

fn field_matches(value: &Value, want: &Value) -> bool {
    let lower = |v: &Value| v.as_str().unwrap_or_default().to_lowercase();
    let plain = |v: &Value| !v.as_str().unwrap_or_default().contains(['_', '%', '\\']);
    let Some(operators) = want.as_object() else { return value == want };
    operators.iter().all(|(operator, want)| match operator.as_str() {
        "$in" => want.as_array().unwrap().contains(value),
        "$eq" => value == want,
        // LIKE without regard to case, and with SQLite's habit of finding nothing by what is special to it.
        "$startsWith" => plain(want) && lower(value).starts_with(&lower(want)),
        "$endWith" => plain(want) && lower(value).ends_with(&lower(want)),
        "$includes" => plain(want) && lower(value).contains(&lower(want)),
        other => panic!("the stand-in does not know {other}"),
    })
}
