//! The operator's listener: `/livez`, `/readyz`, `/version`, `/metrics`, by exact path, on a port of its own (R5) and a
//! thread and runtime of its own, so that it answers when everything else is stuck.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use crate::proxy::Gate;

/// How long a node may take to say that it is well.
const PROBE: Duration = Duration::from_secs(2);

/// Listens, and serves until `stopped`. Returns the address as bound.
pub fn listen(
    address: SocketAddr,
    gate: Arc<Gate>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("wecom-gate-ops".into()).spawn(move || {
        runtime.block_on(async move {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%error, "listen.ops: cannot serve");
                    return;
                }
            };
            let done = async move {
                // An error means that the gate is gone: stop as well.
                let _ = stopped.wait_for(|s| *s).await;
            };
            if let Err(error) = axum::serve(listener, router(gate)).with_graceful_shutdown(done).await {
                tracing::error!(%error, "listen.ops: stopped");
            }
        });
    })?;
    Ok(bound)
}

fn router(gate: Arc<Gate>) -> axum::Router {
    axum::Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(gate)
}

async fn version() -> Response {
    Json(json!({ "name": "wecom-gate", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// Ready while the gate takes requests and at least one node of NocoBase is well; says what is not.
async fn ready(State(gate): State<Arc<Gate>>) -> Response {
    let mut nodes = serde_json::Map::new();
    let mut well = 0;
    for node in &gate.config.upstream.nodes {
        let state = probe(node, &gate.config.nocobase.public_path).await;
        well += usize::from(state.is_none());
        nodes.insert(node.clone(), json!(state.unwrap_or("ok")));
    }
    let stopping = gate.stopping.load(Ordering::Relaxed);
    let ready = well > 0 && !stopping;
    let status = match (ready, well == gate.config.upstream.nodes.len()) {
        (true, true) => "ok",
        (true, false) => "degraded",
        (false, _) => "unavailable",
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "status": status, "stopping": stopping, "upstream": nodes }))).into_response()
}

/// What is wrong with a node, if anything.
async fn probe(node: &str, public_path: &str) -> Option<&'static str> {
    let ask = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PROBE).build().ok()?;
        client.get(format!("http://{node}{public_path}api/__health_check")).send().await.ok()
    };
    match ask.await {
        Some(answer) if answer.status().is_success() => None,
        Some(answer) if answer.status() == 503 => Some("starting"),
        Some(_) => Some("unhealthy"),
        None => Some("unreachable"),
    }
}

async fn metrics(State(gate): State<Arc<Gate>>) -> Response {
    let text = format!(
        "# HELP wecom_gate_build_info Version of the running gate.\n\
         # TYPE wecom_gate_build_info gauge\n\
         wecom_gate_build_info{{version=\"{}\"}} 1\n\
         # HELP wecom_gate_requests_in_flight Requests that have begun and not ended; WebSockets do not count.\n\
         # TYPE wecom_gate_requests_in_flight gauge\n\
         wecom_gate_requests_in_flight {}\n",
        env!("CARGO_PKG_VERSION"),
        gate.in_flight.load(Ordering::Relaxed)
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
