//! NocoBase's health check: `GET <public path>api/__health_check` responds 200 `ok`, and 503 while NocoBase starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::lb::Backend;
use pingora::lb::health_check::{HealthCheck, HttpHealthCheck};
use pingora::prelude::{Error, ErrorType, HTTPStatus, Result};

use super::node::{Node, State};
use crate::config;

/// How long a node may take to respond to a health check.
const PATIENCE: Duration = Duration::from_secs(2);
/// Failures in a row until a node is passed over: one slow response is no outage.
const FAILURES: usize = 2;

/// Asks, and keeps what it found in the node.
pub(super) struct Check {
    nodes: Arc<[Node]>,
    began: Instant,
    http: HttpHealthCheck,
}

impl Check {
    pub(super) fn new(
        nodes: Arc<[Node]>,
        began: Instant,
        upstream: &config::Upstream,
        public_path: &str,
    ) -> Check {
        // Without a file Pingora loads the system's trust store, and panics when that is broken. Checks are plain HTTP.
        let mut options = ConnectorOptions::new(1);
        options.ca_file = Some("/dev/null".into());
        let mut http = HttpHealthCheck::new_custom("localhost", false, Connector::new(Some(options)));
        http.peer_template.options.connection_timeout = Some(upstream.connect_timeout.min(PATIENCE));
        http.peer_template.options.read_timeout = Some(PATIENCE);
        if let Ok(uri) = format!("{public_path}api/__health_check").parse() {
            http.req.set_uri(uri);
        }
        http.validator = Some(Box::new(|answer| match answer.status.as_u16() {
            200..=299 => Ok(()),
            other => Error::e_explain(HTTPStatus(other), "health check"),
        }));
        Check { nodes, began, http }
    }
}

fn state_of(error: &Error) -> State {
    match error.etype() {
        ErrorType::HTTPStatus(503) => State::Starting,
        ErrorType::HTTPStatus(_) | ErrorType::InvalidHTTPHeader => State::Unhealthy,
        _ => State::Unreachable,
    }
}

#[async_trait]
impl HealthCheck for Check {
    async fn check(&self, target: &Backend) -> Result<()> {
        let done = tokio::time::timeout(PATIENCE * 2, self.http.check(target)).await;
        let done = done.unwrap_or_else(|_| Error::e_explain(ErrorType::ReadTimedout, "health check"));
        let found = done.as_ref().err().map_or(State::Well, |e| state_of(e));
        let address = target.addr.as_inet();
        if let Some(node) = self.nodes.iter().find(|n| Some(&n.address) == address) {
            let before = node.found(found, self.began.elapsed());
            match (before, found) {
                _ if before == found => {}
                (_, State::Well) => {
                    tracing::info!(
                        event = "upstream",
                        node = node.name,
                        state = found.name(),
                        "NocoBase's node is back"
                    );
                }
                _ => tracing::warn!(
                    event = "upstream",
                    node = node.name,
                    state = found.name(),
                    "NocoBase's node is not well"
                ),
            }
        }
        done
    }

    fn health_threshold(&self, success: bool) -> usize {
        if success { 1 } else { FAILURES }
    }
}
