//! Calls to NocoBase's API: as the service account, or with a session's own token.
//!
//! Every response becomes a value, or a failure with its cause, including what an operator has to do about it.

mod call;
mod error_mapping;
mod password;
mod send;
mod service;
mod token_policy;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::error_body::Code;
use super::{Class, Concurrency, Minter, NodeLimiter, Turn, UserId};
use crate::config;
use crate::error::{Failure, FailureWithCause};
use crate::metrics::NocoBaseCalls;
pub(super) use call::Call;
use call::Response;
pub(super) use error_mapping::{bad_response, with_all};
use error_mapping::{data_of, session_token_refused, token_code, unexpected};
pub(crate) use password::{AUTHENTICATOR, OwnSession, PasswordAnswer, PasswordLogin};
pub(super) use service::ServiceOutcome;

/// From the first byte sent to the last byte read. NocoBase responds to these calls within milliseconds; after this time a member
/// had better try again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Node.js closes idle connections after 5 s: closing ours earlier avoids sending on a connection that is just being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The result of `auth:check` for a session's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// The token is accepted.
    Valid {
        /// The user that it identifies.
        user_id: UserId,
    },
    /// The session has ended: `BLOCKED_TOKEN`, `EXPIRED_SESSION` or `NOT_EXIST_USER`.
    Ended(Code),
}

/// How the gate itself signs in.
enum Service {
    Token(SecretString),
    User(UserId),
}

/// A node, as this client knows it.
struct Node {
    /// `http://node/public/path/api/`
    base: String,
    /// Its request limit.
    limiter: Arc<NodeLimiter>,
}

/// NocoBase's API.
pub(crate) struct NocoBase {
    http: reqwest::Client,
    public_path: String,
    nodes: Vec<Node>,
    /// The node that responded last: a node that is down costs one attempt, not one per call.
    preferred: AtomicUsize,
    service: Service,
    minter: Arc<Minter>,
    timeout: Duration,
    /// The counters, if there are any.
    calls: Option<NocoBaseCalls>,
}

impl fmt::Debug for NocoBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NocoBase")
            .field("nodes", &self.nodes.iter().map(|n| &n.base).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl NocoBase {
    /// `Failure::Internal` (and a log line) if the configuration cannot be used.
    pub(crate) fn new(
        upstream: &config::Upstream,
        nocobase: &config::NocoBase,
        minter: Arc<Minter>,
    ) -> Result<Self, Failure> {
        let service = match &nocobase.service {
            config::ServiceAccount::Token(token) => Service::Token(token.clone()),
            config::ServiceAccount::User(id) => Service::User(UserId::new(*id).ok_or_else(|| {
                tracing::error!(id, "nocobase.service_user is not the id of a user");
                Failure::Internal
            })?),
        };
        let unusable = |error: &dyn fmt::Display| {
            tracing::error!(%error, "cannot set up the client for NocoBase");
            Failure::Internal
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Messages are logged: always in the same language, whatever the service account's.
        headers.insert(HeaderName::from_static("x-locale"), HeaderValue::from_static("en-US"));
        if nocobase.app != "main" {
            let app = HeaderValue::from_str(&nocobase.app).map_err(|e| unusable(&e))?;
            headers.insert(HeaderName::from_static("x-app"), app);
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(upstream.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .http1_only()
            .default_headers(headers)
            .build()
            .map_err(|e| unusable(&e))?;
        let node = |name: &String| Node {
            base: base(name, &nocobase.public_path),
            limiter: Arc::new(NodeLimiter::new(config::MaxRequests::Unbounded, None)),
        };
        let nodes = upstream.nodes.iter().map(node).collect();
        let public_path = nocobase.public_path.clone();
        let preferred = AtomicUsize::new(0);
        Ok(Self { http, public_path, nodes, preferred, service, minter, timeout: CALL_TIMEOUT, calls: None })
    }

    /// The same with another limit for a whole call (default: 10 s).
    #[cfg(test)]
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client, counting its calls.
    #[must_use]
    pub(crate) fn counted(mut self, calls: &NocoBaseCalls) -> Self {
        self.calls = Some(calls.clone());
        self
    }

    /// The same client, with its calls within the limits of each node.
    #[must_use]
    pub(crate) fn limited(mut self, concurrency: &Concurrency) -> Self {
        for node in &mut self.nodes {
            let name = node.base.strip_prefix("http://").and_then(|rest| rest.split('/').next());
            if let Some(limiter) = name.and_then(|name| concurrency.of(name)) {
                node.limiter = limiter;
            }
        }
        self
    }

    /// Asks NocoBase about a session's freshly minted token. If NocoBase has another secret, that is an error, not the end of the
    /// session.
    pub(crate) async fn check(&self, token: &str, turn: Turn) -> Result<CheckOutcome, FailureWithCause> {
        let call = Call::get("auth:check").in_turn(turn);
        let response = self.send(token, &call).await?;
        match response.status {
            200 => {
                let data = data_of(&call, &response)?;
                // Without an id no user was recognised, whatever the status.
                let Some(user_id) = data.get("id").and_then(user_id_of) else {
                    return Err(bad_response(&call, response.status, "no user id in the response"));
                };
                Ok(CheckOutcome::Valid { user_id })
            }
            401 => match token_code(&response) {
                Some(code @ (Code::BlockedToken | Code::ExpiredSession | Code::NotExistUser)) => {
                    Ok(CheckOutcome::Ended(code))
                }
                // The token is valid: once an administrator gives the user a role, the session continues.
                Some(Code::UserHasNoRoles) => Err(Failure::NoRole.into()),
                code => Err(session_token_refused(&call, code)),
            },
            _ => Err(unexpected(&call, &response)),
        }
    }

    /// Ends a session in NocoBase, on all its nodes and for good: the token's `jti` is blocked. A session that has ended already is
    /// a success.
    ///
    /// Every node gets the call: each keeps a filter of blocked sessions in its own memory, and reads the shared table only for
    /// ids in that filter. A node that is down reads the table when it starts.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<(), FailureWithCause> {
        let call = Call::post("auth:signOut", None).in_turn(Turn::of_call(Class::Urgent));
        let mut done = None;
        let mut failed = None;
        for node in &self.nodes {
            let response = self.send_to(std::slice::from_ref(node), Some(token), &call).await;
            match response.and_then(|response| signed_out(&call, &response)) {
                Ok(()) => done = Some(()),
                Err(failure) => failed = Some(failure),
            }
        }
        done.ok_or(failed.unwrap_or_else(|| Failure::NocoBaseUnreachable.into()))
    }

    /// A request to one node, with the headers of every call: for `check`, which tests each node and interprets all responses
    /// itself. `path`: `resource:action`, with a query if there is one.
    pub(crate) fn request(&self, method: Method, node: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", base(node, &self.public_path))).timeout(self.timeout)
    }

    /// A request for NocoBase's index page.
    pub(super) fn page_request(&self, node: &str) -> reqwest::RequestBuilder {
        self.http.request(Method::GET, format!("http://{node}{}", self.public_path))
    }
}

/// URL of a node's API.
fn base(node: &str, public_path: &str) -> String {
    format!("http://{node}{public_path}api/")
}

/// Whether the session has ended after this response; one that had ended already is a success.
fn signed_out(call: &Call<'_>, response: &Response) -> Result<(), FailureWithCause> {
    match response.status {
        200..=299 => Ok(()),
        401 => match token_code(response) {
            Some(Code::BlockedToken | Code::ExpiredSession | Code::NotExistUser) => Ok(()),
            code => Err(session_token_refused(call, code)),
        },
        _ => Err(unexpected(call, response)),
    }
}

/// Unix seconds.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

pub(super) fn user_id_of(value: &Value) -> Option<UserId> {
    serde::Deserialize::deserialize(value).ok()
}

#[cfg(test)]
mod tests;
