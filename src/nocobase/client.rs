//! Calls to NocoBase's API: as the service account, or with a session's own token.
//!
//! Every response becomes a value, or a failure that says whose fault it is, with its cause: what an operator has to
//! do about it is known here.

mod call;
mod error_mapping;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backon::{ExponentialBuilder, Retryable};
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error_body::{Code, ErrorBody};
use super::{Class, Concurrency, Minted, Minter, NodeLimiter, Permit, Refused, Turn, UserId};
use crate::config;
use crate::error::{Failure, FailureWithCause, is_out_of_files};
use crate::metrics::NocoBaseCalls;
pub(super) use call::Call;
use call::Response;
pub(super) use error_mapping::{bad_response, denied};
use error_mapping::{
    causes, data_of, database_busy, session_token_refused, stopping, token_code, unexpected,
};

/// From the first byte sent to the last byte read. NocoBase responds to the calls below within milliseconds; what takes
/// longer than this would keep a member waiting who had better try again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Node closes idle connections after 5 s: closing ours earlier avoids sending into a connection that is just
/// being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// First and last pause before a call is tried again that found NocoBase's database busy (1.5 to 3 s in all).
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(800);
const BUSY_RETRIES: usize = 5;
/// Longest response that is read: `auth:check` and lists have a few KiB.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// What `auth:check` says of a session's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// It counts.
    Valid {
        /// Whom NocoBase takes it for.
        user_id: UserId,
    },
    /// The session is over: `BLOCKED_TOKEN`, `EXPIRED_SESSION` or `NOT_EXIST_USER`.
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
    /// The place before it.
    limiter: Arc<NodeLimiter>,
}

/// NocoBase's API.
pub(crate) struct NocoBase {
    http: reqwest::Client,
    public_path: String,
    nodes: Vec<Node>,
    /// The node that responded last: a node that is away costs one attempt, not one per call.
    preferred: AtomicUsize,
    service: Service,
    minter: Arc<Minter>,
    timeout: Duration,
    /// Who counts, if anybody does.
    calls: Option<NocoBaseCalls>,
}

impl fmt::Debug for NocoBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NocoBase")
            .field("nodes", &self.nodes.iter().map(|n| &n.base).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The result of a call of the service account, where NocoBase responded.
#[derive(Debug)]
pub(super) enum Done {
    /// `data` of a 2xx answer; `Null` without.
    Data(Value),
    /// 400: the values were not accepted (a duplicate, for one). The reasons are in the language of the request and
    /// without codes, so nothing can be decided by them.
    Rejected(ErrorBody),
}

impl NocoBase {
    /// `Failure::Internal` (and a log line) for a configuration that cannot be used.
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
        // Messages end up in the log: in one language, whatever the service account's is.
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

    /// The same with its calls counted.
    #[must_use]
    pub(crate) fn counted(mut self, calls: &NocoBaseCalls) -> Self {
        self.calls = Some(calls.clone());
        self
    }

    /// The same with its calls among all that each node has to do.
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

    /// Asks NocoBase about a session's freshly minted token. A secret that NocoBase does not share is an error, not
    /// the end of the session.
    pub(crate) async fn check(&self, token: &str, turn: Turn) -> Result<CheckOutcome, FailureWithCause> {
        let call = Call::get("auth:check").in_turn(turn);
        let response = self.send(token, &call).await?;
        match response.status {
            200 => {
                let data = data_of(&call, &response)?;
                // Without an id no user was recognised, whatever the status is.
                let Some(user_id) = data.get("id").and_then(user_id_of) else {
                    return Err(bad_response(&call, response.status, "no user id in the answer"));
                };
                Ok(CheckOutcome::Valid { user_id })
            }
            401 => match token_code(&response) {
                Some(code @ (Code::BlockedToken | Code::ExpiredSession | Code::NotExistUser)) => {
                    Ok(CheckOutcome::Ended(code))
                }
                // The token is good: an administrator gives the user a role, and the session goes on.
                Some(Code::UserHasNoRoles) => Err(Failure::NoRole.into()),
                code => Err(session_token_refused(&call, code)),
            },
            _ => Err(unexpected(&call, &response)),
        }
    }

    /// `tokenExpirationTime` of NocoBase's token policy: the age up to which it takes a session's token for fresh. `None`: the
    /// service account may not see the policy, or NocoBase has none.
    ///
    /// # Errors
    /// NocoBase does not answer, or is starting.
    pub(crate) async fn token_expiration(&self) -> Result<Option<Duration>, FailureWithCause> {
        let call = Call::get("tokenControlConfig:get")
            .query("filterByTk", "token-policy-config")
            .in_turn(Turn::of_call(Class::New));
        let response = match &self.service {
            Service::Token(token) => self.send(token.expose_secret(), &call).await?,
            Service::User(id) => self.send(self.minter.service(*id, now_s())?.as_str(), &call).await?,
        };
        if response.status != 200 {
            return Ok(None);
        }
        let policy = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
        let span = policy.pointer("/data/config/tokenExpirationTime").and_then(Value::as_str);
        Ok(span.and_then(policy_span))
    }

    /// Ends a session in NocoBase, on all its nodes and for good: the token's `jti` is blocked. A session that is
    /// over already is a success.
    ///
    /// Every node gets the call: each keeps a filter of blocked sessions in its own memory and looks into the shared table only
    /// for those that the filter has. A node that is away reads the table when it starts.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<(), FailureWithCause> {
        let call = Call::post("auth:signOut", None).in_turn(Turn::of_call(Class::Urgent));
        let mut done = None;
        let mut failed = None;
        for node in &self.nodes {
            let response = self.send_to(std::slice::from_ref(node), token, &call).await;
            match response.and_then(|response| signed_out(&call, &response)) {
                Ok(()) => done = Some(()),
                Err(failure) => failed = Some(failure),
            }
        }
        done.ok_or(failed.unwrap_or_else(|| Failure::NocoBaseUnreachable.into()))
    }

    /// Registers a session (`sid` = the `jti` of its tokens, a uuid), so that NocoBase knows and renews it.
    /// Done already is a success: the same sign-in may arrive twice.
    pub(crate) async fn register_session(
        &self,
        sid: &str,
        user: UserId,
        entry: &str,
        sign_in_ms: u64,
    ) -> Result<(), FailureWithCause> {
        let row = json!({
            "id": sid, "jti": sid, "signInTime": sign_in_ms, "issuedTime": sign_in_ms,
            "userId": user, "authenticator": entry,
        });
        let create = Call::post("issuedTokens:create", Some(row));
        let Done::Rejected(why) = self.service(&create).await? else { return Ok(()) };
        // Most likely "id already exists", but the wording depends on version and language: look.
        let list = Call::get("issuedTokens:list")
            .query("filter", json!({ "id": sid }).to_string())
            .query("fields", "id")
            .query("pageSize", "1");
        match self.service(&list).await? {
            Done::Data(Value::Array(rows)) if !rows.is_empty() => Ok(()),
            _ => Err(bad_response(&create, 400, &why.summary())),
        }
    }

    /// Whom the gate's own calls count for. `None`: not to be seen from `service_token`.
    pub(crate) fn service_user(&self) -> Option<UserId> {
        match &self.service {
            Service::User(id) => Some(*id),
            Service::Token(token) => {
                self.minter.verify(token.expose_secret(), now_s()).ok().map(|found| found.user_id)
            }
        }
    }

    /// A token of the service account: the configured one, or one minted for the configured user.
    pub(crate) fn service_token(&self) -> Result<SecretString, Failure> {
        match &self.service {
            Service::Token(token) => Ok(token.clone()),
            Service::User(id) => Ok(self.minter.service(*id, now_s())?.as_str().into()),
        }
    }

    /// A token of a session that NocoBase does not know, for the service account or, where that is not known, for user 1:
    /// shows whether NocoBase accepts the gate's signature.
    pub(crate) fn trial_token(&self) -> Result<Minted, Failure> {
        let user = self.service_user().or_else(|| UserId::new(1)).ok_or(Failure::Internal)?;
        let (now, sid) = (now_s(), uuid::Uuid::new_v4().to_string());
        self.minter.session(user, &sid, now.saturating_mul(1000), now)
    }

    /// A request to one node, with the headers of every call: for `check`, which looks at each node, and at responses of
    /// any kind. `path`: `resource:action`, and a query where there is one.
    pub(crate) fn request(&self, method: Method, node: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", base(node, &self.public_path))).timeout(self.timeout)
    }

    /// A request for NocoBase's index page.
    pub(super) fn page_request(&self, node: &str) -> reqwest::RequestBuilder {
        self.http.request(Method::GET, format!("http://{node}{}", self.public_path))
    }

    /// A call whose response is a list.
    pub(super) async fn service_list(&self, call: &Call<'_>) -> Result<Vec<Value>, FailureWithCause> {
        match self.service(call).await? {
            Done::Data(Value::Array(rows)) => Ok(rows),
            Done::Data(_) => Err(bad_response(call, 200, "no list in the answer")),
            Done::Rejected(why) => Err(bad_response(call, 400, &why.summary())),
        }
    }

    /// A call as the service account.
    pub(super) async fn service(&self, call: &Call<'_>) -> Result<Done, FailureWithCause> {
        let token = self.service_token()?;
        let response = self.send(token.expose_secret(), call).await?;
        match response.status {
            200..=299 => Ok(Done::Data(data_of(call, &response)?)),
            400 => Ok(Done::Rejected(ErrorBody::parse(&response.body).unwrap_or_default())),
            401 => Err(self.service_refused(call, token_code(&response))),
            403 => Err(denied(call)),
            _ => Err(unexpected(call, &response)),
        }
    }

    /// NocoBase does not take the service account's token.
    fn service_refused(&self, call: &Call<'_>, code: Option<Code>) -> FailureWithCause {
        let refused = |failure, reason: &str, service_user: Option<UserId>| {
            let mut failed = call.failed(failure, reason);
            failed.cause.answer = Some(code.map_or("401", Code::as_str));
            failed.cause.service_user = service_user.map(|id| id.to_string());
            failed
        };
        match (&self.service, code) {
            (Service::Token(_), Some(Code::InvalidToken)) => refused(
                Failure::NocoBaseSecretWrong,
                "NocoBase does not accept nocobase.service_token: make a new API key in NocoBase",
                None,
            ),
            (Service::Token(_), _) => refused(
                Failure::NocoBaseServiceDenied,
                "nocobase.service_token has been withdrawn, or its user is gone: make a new API key in NocoBase",
                None,
            ),
            (Service::User(id), Some(Code::NotExistUser)) => refused(
                Failure::NocoBaseServiceDenied,
                "nocobase.service_user is not a user of this NocoBase",
                Some(*id),
            ),
            (Service::User(_), code) => session_token_refused(call, code),
        }
    }

    async fn send(&self, token: &str, call: &Call<'_>) -> Result<Response, FailureWithCause> {
        self.send_to(&self.nodes, token, call).await
    }

    /// One call; again, up to [`BUSY_RETRIES`] times, if NocoBase's database was busy with another one: it has undone
    /// this one.
    async fn send_to(
        &self,
        nodes: &[Node],
        token: &str,
        call: &Call<'_>,
    ) -> Result<Response, FailureWithCause> {
        /// Why a call has no response yet.
        enum Attempt {
            Busy(Response),
            Failed(FailureWithCause),
        }
        let send = async || {
            let response = self.send_once(nodes, token, call).await.map_err(Attempt::Failed)?;
            if database_busy(&response) { Err(Attempt::Busy(response)) } else { Ok(response) }
        };
        // Two calls that collided must not wait equally long.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(BUSY_PAUSE)
            .with_max_delay(BUSY_PAUSE_MAX)
            .with_max_times(BUSY_RETRIES)
            .with_jitter();
        let sent = send.retry(pauses).when(|attempt| matches!(attempt, Attempt::Busy(_))).await;
        sent.or_else(|attempt| match attempt {
            Attempt::Busy(response) => Ok(response),
            Attempt::Failed(failed) => Err(failed),
        })
    }

    /// One call on the first node that takes the connection and is neither starting nor stopping.
    async fn send_once(
        &self,
        nodes: &[Node],
        token: &str,
        call: &Call<'_>,
    ) -> Result<Response, FailureWithCause> {
        let mut auth = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| call.failed(Failure::NocoBaseSecretWrong, "the token cannot be sent in a header"))?;
        auth.set_sensitive(true);
        let first = self.first_of(nodes);
        let mut failure = Failure::NocoBaseUnreachable;
        // Why the nodes before this one could not be used.
        let mut reasons: Vec<String> = Vec::new();
        for i in 0..nodes.len() {
            let at = first.wrapping_add(i) % nodes.len().max(1);
            let Some(node) = nodes.get(at) else { break };
            let base = &node.base;
            let permit = match node.limiter.enter(call.turn).await {
                Ok(permit) => permit.sent(),
                Err(Refused::Crowded) => {
                    reasons.push(format!(
                        "{base}: NocoBase has as much to do as it can (upstream.max_requests)"
                    ));
                    return Err(call.failed(Failure::NocoBaseBusy, &reasons.join("; ")));
                }
                Err(Refused::Away) => {
                    reasons.push(format!("{base}: NocoBase does not respond any more"));
                    failure = Failure::NocoBaseBusy;
                    continue;
                }
            };
            let began = Instant::now();
            let response = self.attempt(base, &auth, call).await;
            give_back(permit, call, &response);
            if let Some(calls) = &self.calls {
                calls.done(call.action, result(&response), began.elapsed());
            }
            match response {
                Ok(response) if response.status == 503 => {
                    reasons.push(format!("{base}: NocoBase is starting (503)"));
                    failure = Failure::NocoBaseStarting;
                }
                Ok(response) if call.method == Method::GET && stopping(&response) => {
                    reasons.push(format!("{base}: NocoBase is stopping (500)"));
                    failure = Failure::NocoBaseStarting;
                }
                Ok(response) => {
                    if i > 0 {
                        self.preferred.store(at, Ordering::Relaxed);
                    }
                    if !reasons.is_empty() {
                        let reason = reasons.join("; ");
                        tracing::warn!(
                            call = call.action,
                            base,
                            reason,
                            "another NocoBase node took this call"
                        );
                    }
                    return Ok(response);
                }
                Err(error) => {
                    let error = error.without_url(); // its query holds phone numbers
                    let causes = causes(&error);
                    if error.is_timeout() && !error.is_connect() {
                        // Not tried elsewhere: it may have been done, and the member has waited enough.
                        reasons.push(format!("{base}: NocoBase did not respond in time"));
                        return Err(call.failed(Failure::NocoBaseTimeout, &reasons.join("; ")));
                    }
                    failure = match is_out_of_files(&error) {
                        true => Failure::TooManyOpenFiles,
                        false => Failure::NocoBaseUnreachable,
                    };
                    if error.is_connect() {
                        reasons.push(format!("{base}: cannot connect to NocoBase: {causes}"));
                    } else {
                        reasons.push(format!("{base}: NocoBase broke off its response: {causes}"));
                        // What changes something may have been done already.
                        if call.method != Method::GET {
                            break;
                        }
                    }
                }
            }
        }
        Err(call.failed(failure, &reasons.join("; ")))
    }

    /// The node that is asked first: the one that responded last, unless it has too much to do and another has not.
    fn first_of(&self, nodes: &[Node]) -> usize {
        let preferred = self.preferred.load(Ordering::Relaxed);
        if nodes.len() < 2 || nodes.get(preferred).is_none_or(|node| node.limiter.has_room()) {
            return preferred;
        }
        nodes.iter().position(|node| node.limiter.has_room()).unwrap_or(preferred)
    }

    async fn attempt(
        &self,
        base: &str,
        auth: &HeaderValue,
        call: &Call<'_>,
    ) -> Result<Response, reqwest::Error> {
        let mut request = self
            .http
            .request(call.method.clone(), format!("{base}{}", call.action))
            .header(AUTHORIZATION, auth.clone())
            .timeout(self.timeout)
            .query(&call.query);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                // Not JSON any more: fails as a response that is not understood.
                body.clear();
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body })
    }
}

/// The call has ended so.
fn give_back(permit: Permit, call: &Call<'_>, response: &Result<Response, reqwest::Error>) {
    match response {
        Ok(_) => permit.responded(call.action),
        Err(error) if error.is_timeout() && !error.is_connect() => drop(permit),
        Err(_) => permit.unused(),
    }
}

/// Where a node has its API.
fn base(node: &str, public_path: &str) -> String {
    format!("http://{node}{public_path}api/")
}

/// The result of a call, for the metrics.
fn result(response: &Result<Response, reqwest::Error>) -> &'static str {
    match response {
        Ok(Response { status: 200..=399, .. }) => "ok",
        Ok(Response { status: 503, .. }) => "starting",
        Ok(Response { status: 500.., .. }) => "error",
        Ok(_) => "refused",
        Err(e) if e.is_connect() => "unreachable",
        Err(e) if e.is_timeout() => "timeout",
        Err(_) => "broken_off",
    }
}

/// Whether the session is over after this response. One that is over already is a success.
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

/// A span of time as NocoBase writes it, with one unit: `30m`, `1d`.
pub(crate) fn policy_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let ms = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "ms" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "w" | "week" | "weeks" => 604_800_000,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(ms)))
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
