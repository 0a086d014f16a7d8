//! A stand-in for NocoBase in the gate's tests: unit tests and those with the whole gate. For tests that need faults, races, or
//! the bytes of a request. It responds to the gate's calls as NocoBase 2.2.15 does; the tests against the real NocoBase show what
//! that really does.
//!
//! - `data`: its tables, and recorded requests
//! - `fault`: deliberate faults
//! - `hang`: it accepts and never responds
//! - `api`, `table`: `/api/…`: actions, lists and filters
//! - `port`: ports that a test can reuse
//! - `roles`: roles, their permissions, users' roles, and the administrator's sign-in by password
//! - `token`: which user a token belongs to
//! - `version`: differences between versions of NocoBase
//! - `work`: its capacity
//! - `site`: pages, files, streams, WebSockets
//!
//! It shares no code with the gate, so that a mistake in the gate is not repeated here.
//!
//! Must never: be part of a deployment.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod api;
mod data;
mod fault;
mod hang;
mod port;
mod roles;
mod site;
mod table;
mod token;
mod version;
mod work;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use futures_util::StreamExt as _;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

pub use data::{Data, ReceivedRequest};
pub use fault::Fault;
pub use port::free;
pub use token::claims;
pub use work::WorkDone;

/// Its secret for tokens, unless a test gives another.
pub const SECRET: &str = "stand-in-secret-of-nocobase";
/// Path of its health check.
pub const HEALTH: &str = "/api/__health_check";
/// Beginning of the gate's `User-Agent` in its calls for NocoBase's version and settings.
pub const ABOUT: &str = "wecom-gate/";
/// Body of every page, without its settings.
pub const PAGE: &str = "<!DOCTYPE html>\n<html>\n\n<head>\n  <meta charset=\"UTF-8\" />\n<script>window['__nocobase_api_client_storage_prefix__'] = 'NOCOBASE_';</script></head><body><div id=\"root\"></div></body></html>\n";

/// One node. A clone is another handle to it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct NocoBase {
    /// Where it listens.
    pub address: SocketAddr,
    node: Node,
    stop: Arc<Mutex<Option<tokio::sync::oneshot::Sender<()>>>>,
}

/// What its tasks need; not a handle, which would keep the server running.
#[derive(Clone)]
struct Node {
    data: Arc<Mutex<Data>>,
    secret: Arc<str>,
    /// The application that the data belongs to.
    app: Arc<str>,
    /// The other applications of the multi-app manager, which all have the same secret.
    others: Arc<Mutex<HashMap<String, Arc<Mutex<Data>>>>>,
    /// Whether this node hangs.
    hang: Arc<hang::Hang>,
    /// Connections to this node so far.
    connections: Arc<AtomicUsize>,
}

impl Node {
    /// The application that a request is for; `None`: none has that name. Names in a request are ignored unless there are other
    /// applications.
    fn of_request(&self, parts: &axum::http::request::Parts) -> Option<Node> {
        let others = self.others.lock();
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        let below = |root: &str| path.strip_prefix(root)?.split('/').next().filter(|name| !name.is_empty());
        let name = below("/files/")
            .or_else(|| below("/api/__app/"))
            .or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("__appName=")))
            .or_else(|| parts.headers.get("x-app")?.to_str().ok())
            .unwrap_or("main");
        if others.is_empty() || name == "main" {
            return Some(self.clone());
        }
        let data = others.get(name)?.clone();
        Some(Node { data, app: name.into(), ..self.clone() })
    }
}

impl NocoBase {
    /// With [`SECRET`], on a free local port.
    pub async fn start() -> NocoBase {
        Self::start_with(SECRET).await
    }

    /// With this secret for tokens.
    pub async fn start_with(secret: &str) -> NocoBase {
        let listener = port::listen().await;
        let address = listener.local_addr().unwrap();
        let nocobase = NocoBase {
            address,
            node: Node {
                data: Arc::new(Mutex::new(Data::new())),
                secret: secret.into(),
                app: "main".into(),
                others: Arc::default(),
                hang: Arc::default(),
                connections: Arc::default(),
            },
            stop: Arc::default(),
        };
        nocobase.serve(listener);
        nocobase
    }

    /// Another node of the same NocoBase: the same data at another address.
    pub async fn another_node(&self) -> NocoBase {
        let listener = port::listen().await;
        let address = listener.local_addr().unwrap();
        let node = Node { hang: Arc::default(), connections: Arc::default(), ..self.node.clone() };
        let node = NocoBase { address, node, stop: Arc::default() };
        node.serve(listener);
        node
    }

    /// Another application of the multi-app manager at the same address, with its own data; created at the first call.
    pub fn application(&self, name: &str) -> NocoBase {
        let data = self
            .node
            .others
            .lock()
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Mutex::new(Data::new())))
            .clone();
        NocoBase { node: Node { data, app: name.into(), ..self.node.clone() }, ..self.clone() }
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        *self.stop.lock() = Some(stop);
        let app = Router::new().fallback(respond).with_state(self.node.clone());
        let connections = self.node.connections.clone();
        let listener = listener.tap_io(move |_| {
            connections.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move {
            let done = async { stopped.await.unwrap_or(()) };
            axum::serve(listener, app).with_graceful_shutdown(done).await.unwrap();
        });
    }

    /// Stops listening, until [`NocoBase::up`].
    pub async fn down(&self) {
        drop(self.stop.lock().take());
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Listens again, at the same address.
    pub async fn up(&self) {
        self.serve(tokio::net::TcpListener::bind(self.address).await.unwrap());
    }

    /// Its data, to read and to change.
    pub fn data(&self) -> MutexGuard<'_, Data> {
        self.node.data.lock()
    }

    /// The rows of one of its three tables. Unlike [`NocoBase::data`] this may be called twice in one expression.
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let data = self.data();
        match table {
            "users" => data.users.clone(),
            "usersAuthenticators" => data.bindings.clone(),
            "issuedTokens" => data.tokens.clone(),
            _ => panic!("no table {table}"),
        }
    }

    /// Adds a user; returns its id.
    pub fn user(&self, fields: Value) -> u64 {
        self.data().add_user(fields)
    }

    /// Adds a user with this id.
    pub fn user_with_id(&self, id: u64, fields: Value) {
        self.data().add_user_with_id(id, fields);
    }

    /// Binds a member of the entry `wecom` to a user, without any check.
    pub fn bind(&self, userid: &str, user: u64) {
        self.data().bindings.push(json!({ "authenticator": "wecom", "uuid": userid, "userId": user }));
    }

    /// The next `times` calls of `on` (`resource:action`, or a prefix of a path) have this fault, after those planned before.
    /// `usize::MAX`: all calls.
    pub fn fault(&self, on: &str, fault: Fault, times: usize) {
        self.data().faults.push(fault::Planned { on: on.into(), fault, times });
    }

    /// The next `times` calls get this response instead.
    pub fn fail(&self, on: &str, status: u16, body: &str, times: usize) {
        self.fault(on, Fault::response(status, body), times);
    }

    /// The next `times` calls take effect and then get 502, as from a proxy in front of a NocoBase that has just stopped.
    pub fn lose_response(&self, on: &str, times: usize) {
        self.fault(on, Fault::lost(), times);
    }

    /// The next `times` calls are delayed before they take effect.
    pub fn delay(&self, on: &str, delay: Duration, times: usize) {
        self.fault(on, Fault::slow(delay), times);
    }

    /// From now on it processes this many requests at once, each for this long; health checks and calls for its version are not
    /// limited.
    pub fn capacity(&self, at_once: usize, each: Duration) {
        self.data().work = Some(work::Work::new(None, at_once, each));
    }

    /// The same for calls of one action only (`resource:action`); the others are not limited.
    pub fn capacity_of(&self, action: &str, at_once: usize, each: Duration) {
        self.data().work = Some(work::Work::new(Some(action), at_once, each));
    }

    /// Its statistics since [`NocoBase::capacity`].
    pub fn done(&self) -> WorkDone {
        self.data().work.as_ref().unwrap().done()
    }

    /// From now on it accepts and never responds, also to health checks. What arrives meanwhile is lost.
    pub fn hang(&self) {
        self.node.hang.begin();
    }

    /// It responds to new requests again.
    pub fn recover(&self) {
        self.node.hang.end();
    }

    /// How many client requests it has accepted while it hung.
    pub fn swallowed(&self) -> usize {
        self.node.hang.swallowed()
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.node.connections.load(Ordering::Relaxed)
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.data().faults.clear();
    }

    /// How often `resource:action` was called.
    pub fn calls(&self, action: &str) -> usize {
        self.data().calls.get(action).copied().unwrap_or(0)
    }

    /// The last request to this path.
    pub fn last(&self, path: &str) -> Option<ReceivedRequest> {
        self.data().requests.iter().rev().find(|s| s.target.split('?').next() == Some(path)).cloned()
    }

    /// How many requests to this path it has seen.
    pub fn count(&self, path: &str) -> usize {
        self.data().requests.iter().filter(|s| s.target.split('?').next() == Some(path)).count()
    }
}

/// An error in NocoBase's format.
fn error(status: u16, message: &str, code: Option<&str>) -> Response {
    let mut entry = json!({ "message": message });
    if let Some(code) = code {
        entry["code"] = json!(code);
    }
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({ "errors": [entry] }))).into_response()
}

async fn respond(State(node): State<Node>, request: Request) -> Response {
    node.hang.swallow(request.headers().contains_key("x-request-id")).await;
    let (mut parts, body) = request.into_parts();
    let Some(node) = node.of_request(&parts) else {
        let body = json!({ "error": { "status": 404, "message": "application not found", "code": "APP_NOT_FOUND" } });
        return (StatusCode::NOT_FOUND, axum::Json(body)).into_response();
    };
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let api = version::api(&node);
    let (body, body_len) = read(body).await;
    let (fault, work) = {
        let mut data = node.data.lock();
        // The gate calls for health, version and settings at any time; `seen` contains only what a test sent.
        let agent = parts.headers.get(header::USER_AGENT);
        let about = agent.is_some_and(|a| a.as_bytes().starts_with(ABOUT.as_bytes()));
        if path != HEALTH && !about && !data.unrecorded {
            let (method, headers) = (parts.method.clone(), parts.headers.clone());
            data.requests.push(ReceivedRequest { method, target, headers, body_len });
        }
        if let Some(action) = path.strip_prefix(&api) {
            *data.calls.entry(action.to_owned()).or_default() += 1;
        }
        let work =
            data.work.clone().filter(|work| path != HEALTH && !about && work.limits(path.strip_prefix(&api)));
        (fault::take(&mut data.faults, &path), work)
    };
    if let Some(work) = work {
        work.on_one().await;
    }
    let call = |action: &str| api::call(&node, action, &parts.headers, &query, &body);
    let action = path.strip_prefix(&api);
    if let Some(fault) = fault {
        let done = action.filter(|_| fault.carried_out).map(call);
        tokio::time::sleep(fault.delay).await;
        if fault.status > 0 {
            let kind = if fault.body.starts_with('{') { "application/json" } else { "text/html" };
            return (StatusCode::from_u16(fault.status).unwrap(), [(header::CONTENT_TYPE, kind)], fault.body)
                .into_response();
        }
        if let Some(done) = done {
            return done;
        }
    }
    match action {
        Some(action) => call(action),
        None => site::respond(node.clone(), &mut parts).await,
    }
}

/// Keeps a body up to the limit of API calls; of a longer one only the length.
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
