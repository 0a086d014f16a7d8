//! How a call is sent: to which node, how long it waits for its turn, and when it is repeated.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::Method;

use super::call::{Call, Response};
use super::error_mapping::{database_busy, stopping};
use super::{NocoBase, Node};
use crate::error::{Failure, FailureWithCause, is_out_of_files, with_causes};
use crate::nocobase::{NoPlace, Permit};

/// First and last pause before a call is repeated because NocoBase's database was busy (1.5 to 3 s in all).
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(800);
const BUSY_RETRIES: usize = 5;
/// Longest response that is read: `auth:check` and lists have a few KiB.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

impl NocoBase {
    pub(super) async fn send(&self, token: &str, call: &Call<'_>) -> Result<Response, FailureWithCause> {
        self.send_to(&self.nodes, Some(token), call).await
    }

    /// A call without a token.
    pub(super) async fn send_anonymously(&self, call: &Call<'_>) -> Result<Response, FailureWithCause> {
        self.send_to(&self.nodes, None, call).await
    }

    /// One call; repeated, up to [`BUSY_RETRIES`] times, if NocoBase's database was busy with another and has rolled this one
    /// back.
    pub(super) async fn send_to(
        &self,
        nodes: &[Node],
        token: Option<&str>,
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
        // Two calls that conflicted must not wait equally long.
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

    /// One call to the first node that accepts the connection and is neither starting nor stopping.
    async fn send_once(
        &self,
        nodes: &[Node],
        token: Option<&str>,
        call: &Call<'_>,
    ) -> Result<Response, FailureWithCause> {
        let auth = token
            .map(bearer)
            .transpose()
            .map_err(|_| call.failed(Failure::NocoBaseSecretWrong, "the token cannot be sent in a header"))?;
        let first = self.first_of(nodes);
        let mut failure = Failure::NocoBaseUnreachable;
        // Why the previous nodes could not be used.
        let mut reasons: Vec<String> = Vec::new();
        for i in 0..nodes.len() {
            let at = first.wrapping_add(i) % nodes.len().max(1);
            let Some(node) = nodes.get(at) else { break };
            let base = &node.base;
            let permit = match node.limiter.enter(call.turn).await {
                Ok(permit) => permit.sent(),
                Err(NoPlace::Crowded) => {
                    reasons.push(format!("{base}: NocoBase is at its limit (upstream.max_requests)"));
                    return Err(call.failed(Failure::NocoBaseBusy, &reasons.join("; ")));
                }
                Err(NoPlace::Away) => {
                    reasons.push(format!("{base}: NocoBase has stopped responding"));
                    failure = Failure::NocoBaseBusy;
                    continue;
                }
            };
            let began = Instant::now();
            // The response to a call that changes something is awaited: it may have been processed.
            let reads = call.method == Method::GET;
            let response = tokio::select! {
                response = self.attempt(base, auth.as_ref(), call) => response,
                () = node.limiter.until_silent(Duration::ZERO), if reads => {
                    permit.unused();
                    if let Some(calls) = &self.calls {
                        calls.done(call.action, "timeout", began.elapsed());
                    }
                    reasons.push(format!("{base}: NocoBase does not respond any more"));
                    failure = Failure::NocoBaseBusy;
                    continue;
                }
            };
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
                            "another NocoBase node accepted this call"
                        );
                    }
                    return Ok(response);
                }
                Err(error) => {
                    let error = error.without_url(); // its query contains phone numbers
                    let causes = with_causes(&error);
                    if error.is_timeout() && !error.is_connect() {
                        // Not repeated on another node: it may have been processed, and the member has waited long enough.
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
                        reasons.push(format!("{base}: NocoBase's response was interrupted: {causes}"));
                        // A call that changes something may have been processed already.
                        if call.method != Method::GET {
                            break;
                        }
                    }
                }
            }
        }
        Err(call.failed(failure, &reasons.join("; ")))
    }

    /// The node that is tried first: the one that responded last, unless it is overloaded and another is not.
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
        auth: Option<&HeaderValue>,
        call: &Call<'_>,
    ) -> Result<Response, reqwest::Error> {
        let mut request = self
            .http
            .request(call.method.clone(), format!("{base}{}", call.action))
            .headers(call.headers.iter().cloned().collect())
            .timeout(self.timeout)
            .query(&call.query);
        if let Some(auth) = auth {
            request = request.header(AUTHORIZATION, auth.clone());
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                // No longer JSON: fails as a response that is not understood.
                body.clear();
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut auth = HeaderValue::from_str(&format!("Bearer {token}"))?;
    auth.set_sensitive(true);
    Ok(auth)
}

/// The call has ended with this response.
fn give_back(permit: Permit, call: &Call<'_>, response: &Result<Response, reqwest::Error>) {
    match response {
        Ok(_) => permit.responded(call.action),
        Err(error) if error.is_timeout() && !error.is_connect() => drop(permit),
        Err(_) => permit.unused(),
    }
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

#[cfg(test)]
mod tests;
