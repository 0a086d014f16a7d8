//! The operator's listener: `/livez`, `/readyz`, `/servez`, `/version`, `/metrics`, by exact path, on its own port (R5) and
//! with its own thread and runtime, so that it responds even if everything else is stuck.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;

use super::ready::{Report, Status};

/// Called at each request for the status of the gate.
type Source = Arc<dyn Fn() -> Status + Send + Sync>;

/// Serves until `stopped`. The socket must be non-blocking.
///
/// # Errors
/// No thread or runtime can be started.
pub(crate) fn serve(
    listener: TcpListener,
    status: impl Fn() -> Status + Send + Sync + 'static,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source: Source = Arc::new(status);
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
                // An error means that the gate has stopped.
                let _ = stopped.wait_for(|s| *s).await;
            };
            if let Err(error) = axum::serve(listener, router(source)).with_graceful_shutdown(done).await {
                tracing::error!(%error, "listen.ops: stopped");
            }
        });
    })?;
    Ok(())
}

fn router(source: Source) -> axum::Router {
    axum::Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/servez", get(serves))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(source)
}

async fn version() -> Response {
    Json(json!({ "name": "wecom-gate", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// 200 while the gate can serve, with what is degraded and why; otherwise 503.
async fn ready(State(status): State<Source>) -> Response {
    let report = Report::new(&status());
    let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(report.json())).into_response()
}

/// For load balancers: 503 only while the gate is stopping. Without NocoBase or WeCom it still serves its own pages, which
/// explain more than a balancer's 503; so, unlike with `/readyz`, it stays in rotation.
async fn serves(State(status): State<Source>) -> Response {
    serving(&status()).into_response()
}

fn serving(status: &Status) -> (StatusCode, &'static str) {
    if status.stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") } else { (StatusCode::OK, "ok\n") }
}

async fn metrics(State(status): State<Source>) -> Response {
    let status = status();
    // Sets the readiness gauges.
    let _ = Report::new(&status);
    match status.metrics.text(status.sessions, status.in_flight) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::ops::ready::Degraded;

    #[test]
    fn balancers_are_sent_away_only_while_the_gate_stops() {
        let status = |stopping| Status {
            metrics: Arc::new(Metrics::new(&["wecom"]).unwrap()),
            stopping,
            nodes: vec![("n:1".into(), Some("unreachable"))],
            degraded: vec![Degraded::new("wecom_token", "wecom", "config")],
            sessions: 0,
            in_flight: 0,
        };
        assert_eq!(serving(&status(false)), (StatusCode::OK, "ok\n"));
        assert_eq!(serving(&status(true)), (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"));
        assert!(!Report::new(&status(false)).ready);
    }
}
