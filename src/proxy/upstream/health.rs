//! NocoBase's health check: `GET <public path>api/__health_check` returns 200 `ok`, and 503 while NocoBase is starting. The body
//! counts: under any path outside its API, NocoBase returns 200 with its page.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::lb::Backend;
use pingora::lb::health_check::HealthCheck;
use pingora::prelude::{Error, ErrorType, HTTPStatus, HttpPeer, Result};

use super::node::{Node, NodeState};
use crate::config;

/// How long a node may take to respond to a health check.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a hanging node has accepted may be lost: from the second check on it is asked again after this time, so that it is found as
/// soon as it is back, and not when the lost request times out.
const AGAIN: Duration = Duration::from_millis(400);
/// Consecutive failures after which a node is skipped: one slow response is not an outage.
const FAILURES: usize = 2;
/// The body of a healthy node.
const HEALTHY: &[u8] = b"ok";
/// 2xx, but not with that body.
const NOT_NOCOBASE: ErrorType = ErrorType::Custom("not NocoBase's health check");

/// Runs health checks, and stores the results in the node.
pub(super) struct Check {
    nodes: Arc<[Node]>,
    began: Instant,
    connector: Connector,
    request: RequestHeader,
    connect_timeout: Duration,
}

impl Check {
    pub(super) fn new(
        nodes: Arc<[Node]>,
        began: Instant,
        upstream: &config::Upstream,
        public_path: &str,
    ) -> Result<Check> {
        // Without a file Pingora loads the system's trust store, and panics if that is broken. Checks use plain HTTP.
        let mut options = ConnectorOptions::new(1);
        options.ca_file = Some("/dev/null".into());
        let path = format!("{public_path}api/__health_check");
        let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
        request.insert_header("Host", "localhost")?;
        Ok(Check {
            nodes,
            began,
            connector: Connector::new(Some(options)),
            request,
            connect_timeout: upstream.connect_timeout.min(PATIENCE),
        })
    }

    /// One health check; of a node that `hangs`, with a request every [`AGAIN`], of which the first response counts.
    fn ask_repeatedly<'a>(
        &'a self,
        target: &'a Backend,
        hangs: bool,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let again = async {
                tokio::time::sleep(AGAIN).await;
                self.ask_repeatedly(target, hangs).await
            };
            tokio::select! {
                done = self.ask(target) => done,
                done = again, if hangs => done,
            }
        })
    }

    /// One request, over a new connection.
    async fn ask(&self, target: &Backend) -> Result<()> {
        let Some(address) = target.addr.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "no address");
        };
        let mut peer = HttpPeer::new(*address, false, String::new());
        peer.options.connection_timeout = Some(self.connect_timeout);
        peer.options.read_timeout = Some(PATIENCE);
        let (mut session, _) = self.connector.get_http_session(&peer).await?;
        session.write_request_header(Box::new(self.request.clone())).await?;
        session.finish_request_body().await?;
        session.set_read_timeout(peer.options.read_timeout);
        session.read_response_header().await?;
        match session.response_header().map_or(0, |head| head.status.as_u16()) {
            200..=299 => {}
            other => return Error::e_explain(HTTPStatus(other), "health check"),
        }
        let mut body = Vec::new();
        while let Some(piece) = session.read_response_body().await? {
            body.extend_from_slice(&piece);
            if body.len() > 2 * HEALTHY.len() {
                break;
            }
        }
        if body.trim_ascii() == HEALTHY { Ok(()) } else { Error::e_explain(NOT_NOCOBASE, "health check") }
    }
}

/// Was there neither a response nor a refusal? A hanging process accepts until its queue is full; then connecting times out.
fn is_silent(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::ConnectTimedout)
}

fn state_of(error: &Error) -> NodeState {
    match error.etype() {
        ErrorType::HTTPStatus(503) => NodeState::Starting,
        ErrorType::HTTPStatus(_) | ErrorType::InvalidHTTPHeader => NodeState::Unhealthy,
        kind if *kind == NOT_NOCOBASE => NodeState::Unhealthy,
        _ => NodeState::Unreachable,
    }
}

/// What an operator can do about a node in this state.
const fn remedy(state: NodeState) -> &'static str {
    match state {
        NodeState::Healthy => "",
        NodeState::Starting => "wait: NocoBase is starting or stopping",
        NodeState::Unhealthy => {
            "nocobase.public_path must be NocoBase's APP_PUBLIC_PATH, and upstream.nodes must lead to NocoBase itself: \
             GET <public_path>api/__health_check has to respond \"ok\""
        }
        NodeState::Unreachable => "start NocoBase; correct upstream.nodes; look at the firewall",
    }
}

/// Logs that a node does not work (`is_news`: another state than at the check before), or works again.
fn log(node: &Node, found: NodeState, is_news: bool) {
    let now = Instant::now();
    if found == NodeState::Healthy {
        if node.outage.lock().works(now) {
            tracing::info!(
                event = "upstream",
                node = node.name,
                state = found.name(),
                "NocoBase's node is back"
            );
        }
        return;
    }
    let left_out = node.outage.lock().failed(found, is_news, now);
    if let Some(left_out) = left_out {
        tracing::warn!(
            event = "upstream",
            node = node.name,
            state = found.name(),
            remedy = remedy(found),
            left_out = Some(left_out).filter(|lines| *lines > 0),
            "the NocoBase node is not healthy"
        );
    }
}

#[async_trait]
impl HealthCheck for Check {
    async fn check(&self, target: &Backend) -> Result<()> {
        let address = target.addr.as_inet();
        let node = self.nodes.iter().find(|n| Some(&n.address) == address);
        let hangs = node.is_some_and(|node| node.limiter.is_away());
        let done = tokio::time::timeout(PATIENCE, self.ask_repeatedly(target, hangs)).await;
        let done = done.unwrap_or_else(|_| Error::e_explain(ErrorType::ReadTimedout, "health check"));
        let found = done.as_ref().err().map_or(NodeState::Healthy, |e| state_of(e));
        if let Some(node) = node {
            let before = node.found(found, self.began.elapsed());
            // A node that hangs and one that is only busy look alike here; the latter responds to other requests.
            let hangs = done.as_ref().is_err_and(|e| is_silent(e)) && node.limiter.silence() >= PATIENCE;
            node.limiter.set_silent(hangs);
            log(node, found, before != found);
        }
        done
    }

    fn health_threshold(&self, success: bool) -> usize {
        if success { 1 } else { FAILURES }
    }
}
