//! How a call is made: with the access token, a bounded number of times, its errors told apart by class. Every
//! error is logged here, once, where WeCom's answer turns into one of ours.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use super::error::{Call, Class, WeComError};
use super::redact::redact;
use super::responses;
use super::rules::Rules;
use super::token::{Fetched, TokenCache, renew_after};
use super::transport::{RawResponse, Transport, TransportError, Tuning};
use crate::config::WeComEntry;
use crate::error::Level;
use crate::metrics::WeComCalls;
use crate::shared::{App, Shared, SharedToken, Token};

/// WeCom's own bound on tries when the system is busy (doc 90313, code -1).
pub(super) const TRIES_WHEN_BUSY: u32 = 3;

/// What the clones of one client share.
pub(super) struct Inner {
    pub(super) entry: WeComEntry,
    transport: Transport,
    tuning: Tuning,
    token: Arc<TokenCache>,
    pub(super) rules: Rules,
    /// Who counts, if anybody does.
    pub(super) calls: OnceLock<WeComCalls>,
    /// Who shares the access token with the other nodes, and the app for whom.
    pub(super) shared: OnceLock<(Arc<Shared>, App)>,
    /// Why there is no access token, as far as is known.
    pub(super) no_token: ArcSwapOption<WeComError>,
    /// Why the last other call failed, where that is not the member's doing.
    pub(super) no_answer: ArcSwapOption<WeComError>,
}

/// One call, without the access token.
pub(super) struct Request<'a> {
    pub(super) call: Call,
    pub(super) path: &'a str,
    pub(super) params: &'a [(&'a str, &'a str)],
    pub(super) body: Option<serde_json::Value>,
    /// What must never be logged.
    pub(super) hidden: &'a [&'a str],
    pub(super) tries_when_busy: u32,
}

impl<'a> Request<'a> {
    pub(super) fn get(call: Call, path: &'a str, params: &'a [(&'a str, &'a str)]) -> Self {
        Self { call, path, params, body: None, hidden: &[], tries_when_busy: TRIES_WHEN_BUSY }
    }
}

/// An error and what to write into the log with it (redacted).
type Failed = (WeComError, String);

impl Inner {
    pub(super) fn new(entry: &WeComEntry, tuning: Tuning) -> Result<Self, reqwest::Error> {
        let transport = Transport::new(&entry.api_base, entry.http_proxy.as_ref(), tuning)?;
        Ok(Self {
            entry: entry.clone(),
            transport,
            tuning,
            token: Arc::default(),
            rules: Rules::new(),
            calls: OnceLock::new(),
            shared: OnceLock::new(),
            no_token: ArcSwapOption::empty(),
            no_answer: ArcSwapOption::empty(),
        })
    }

    /// Goes on with the access token of `before`, if both are the same app.
    pub(super) fn after(mut self, before: &Inner) -> Self {
        let (old, new) = (&before.entry, &self.entry);
        let same = (&old.corp_id, &old.agent_id, &old.api_base, &old.http_proxy)
            == (&new.corp_id, &new.agent_id, &new.api_base, &new.http_proxy)
            && old.secret.expose_secret() == new.secret.expose_secret();
        if same {
            self.token = Arc::clone(&before.token);
            self.no_token = ArcSwapOption::new(before.no_token.load_full());
            self.no_answer = ArcSwapOption::new(before.no_answer.load_full());
        }
        self
    }

    /// One call with the access token: a refused token is replaced once, a busy system asked again.
    pub(super) async fn call<T: DeserializeOwned>(
        self: &Arc<Self>,
        request: &Request<'_>,
    ) -> Result<T, WeComError> {
        let mut token = self.token.get(|| obtain_token(Arc::clone(self), None)).await?;
        let mut replaced = false;
        let mut busy = 0;
        loop {
            let value = token.value.expose_secret();
            let mut params = vec![("access_token", value)];
            params.extend_from_slice(request.params);
            let mut hidden = vec![value, self.entry.secret.expose_secret()];
            hidden.extend_from_slice(request.hidden);
            let raw = self.send(request.call, request.path, &params, request.body.as_ref(), &hidden).await;
            let class = raw.as_ref().err().map(|(e, _)| e.class());
            if replaced && !matches!(class, Some(Class::Transport | Class::BadAnswer)) {
                self.token.report(&token, class != Some(Class::Token)).await;
            }
            let (error, text) = match raw.and_then(|body| read::<T>(request.call, &body)) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            match error.class() {
                Class::Token if !replaced => {
                    tracing::info!(
                        entry = self.entry.name,
                        call = request.call.name(),
                        errcode = error.errcode(),
                        "WeCom refuses the access token; fetching another"
                    );
                    let refused = Some(token.value.clone());
                    token = self.token.replace(&token, || obtain_token(Arc::clone(self), refused)).await?;
                    replaced = true;
                }
                Class::Transient if busy + 1 < request.tries_when_busy => {
                    busy += 1;
                    tokio::time::sleep(pause_when_busy(self.tuning.backoff, busy)).await;
                }
                _ => {
                    self.log(&error, &text);
                    return Err(error);
                }
            }
        }
    }

    /// One exchange, or two when the first did not even connect; gives the body of a success.
    async fn send(
        &self,
        call: Call,
        path: &str,
        params: &[(&str, &str)],
        body: Option<&serde_json::Value>,
        hidden: &[&str],
    ) -> Result<Vec<u8>, Failed> {
        let began = Instant::now();
        let result = self.exchange(call, path, params, body, hidden).await;
        self.note(call, result.as_ref().err().map(|(error, _)| error), began.elapsed());
        result
    }

    /// Counts a call, and remembers how it ended where an operator has to know.
    fn note(&self, call: Call, error: Option<&WeComError>, took: Duration) {
        if let Some(calls) = self.calls.get() {
            calls.done(&self.entry.name, call.name(), error.map_or("ok", |e| e.class().name()), took);
        }
        match error.map(WeComError::class) {
            // Says something about the person or the code; about WeCom only that it answers.
            _ if call == Call::GetToken => {}
            None | Some(Class::User | Class::Code | Class::Detail) => {
                if self.no_answer.load().is_some() {
                    self.no_answer.store(None);
                }
            }
            Some(_) => self.no_answer.store(error.map(|e| Arc::new(e.clone()))),
        }
    }

    async fn exchange(
        &self,
        call: Call,
        path: &str,
        params: &[(&str, &str)],
        body: Option<&serde_json::Value>,
        hidden: &[&str],
    ) -> Result<Vec<u8>, Failed> {
        let mut reply = self.transport.exchange(path, params, body).await;
        if let Err(TransportError::Unreachable { nothing_sent: true, .. }) = reply {
            reply = self.transport.exchange(path, params, body).await;
        }
        match reply {
            Ok(reply) => check_errcode(call, reply, hidden),
            Err(TransportError::Unreachable { cause, .. }) => {
                Err((WeComError::unreachable(call), redact(&cause, hidden)))
            }
            Err(TransportError::RateLimited) => Err((WeComError::rate_limited(call), "HTTP 429".into())),
            Err(TransportError::BadAnswer { cause }) => {
                Err((WeComError::bad_answer(call), redact(&cause, hidden)))
            }
        }
    }

    fn token_fetched(&self, error: Option<&WeComError>) {
        self.no_token.store(error.map(|e| Arc::new(e.clone())));
        if let Some(calls) = self.calls.get() {
            calls.token(&self.entry.name, error.map(|e| e.class().name()));
        }
    }

    /// One line per error, as loud as its failure says. `text` is redacted already.
    pub(super) fn log(&self, error: &WeComError, text: &str) {
        let entry = self.entry.name.as_str();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    entry,
                    call = error.call().name(),
                    label = error.failure().response().label,
                    class = error.class().name(),
                    errcode = error.errcode(),
                    errmsg = text,
                    remedy = error.remedy(),
                    "WeCom call failed"
                )
            };
        }
        match error.failure().response().level {
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
    }
}

/// The token that another node has fetched, unless WeCom has refused it; else one from WeCom.
async fn obtain_token(inner: Arc<Inner>, refused: Option<SecretString>) -> Result<Fetched, WeComError> {
    let Some((shared, app)) = inner.shared.get() else { return fetch_token(&inner).await };
    let lease = match shared.token(app, refused.as_ref()).await {
        Token::SharedToken(SharedToken { value, life }) => {
            inner.no_token.store(None);
            if let Some(calls) = inner.calls.get() {
                calls.token_shared(&inner.entry.name);
            }
            tracing::debug!(
                entry = inner.entry.name,
                seconds = life.as_secs(),
                "another node's access token"
            );
            return Ok(Fetched { value, life });
        }
        Token::Fetch(lease) => lease,
    };
    let fetched = fetch_token(&inner).await;
    let token = fetched.as_ref().ok().map(|f| (&f.value, f.life, renew_after(f.life)));
    shared.fetched(app, lease, token).await;
    fetched
}

/// `gettoken`: asked again when busy, else never; [`TokenCache`] decides about the next time.
async fn fetch_token(inner: &Inner) -> Result<Fetched, WeComError> {
    let secret = inner.entry.secret.expose_secret();
    let params = [("corpid", inner.entry.corp_id.as_str()), ("corpsecret", secret)];
    let mut tries = 1;
    let (error, text) = loop {
        let raw = inner.send(Call::GetToken, "/cgi-bin/gettoken", &params, None, &[secret]).await;
        match raw.and_then(|body| read::<responses::Token>(Call::GetToken, &body)) {
            Ok(token) if token.access_token.expose_secret().is_empty() => {
                break (WeComError::bad_answer(Call::GetToken), "an empty access token".to_owned());
            }
            Ok(token) => {
                let life = Duration::from_secs(u64::try_from(token.expires_in).unwrap_or(0).min(86_400));
                inner.token_fetched(None);
                tracing::debug!(entry = inner.entry.name, seconds = life.as_secs(), "new access token");
                return Ok(Fetched { value: token.access_token, life });
            }
            Err((error, _)) if error.class() == Class::Transient && tries < TRIES_WHEN_BUSY => {
                tokio::time::sleep(pause_when_busy(inner.tuning.backoff, tries)).await;
                tries += 1;
            }
            Err(failed) => break failed,
        }
    };
    inner.token_fetched(Some(&error));
    inner.log(&error, &text);
    Err(error)
}

/// Success is `errcode` absent or 0 in a 2xx answer; `errmsg` is never compared (doc 90664).
fn check_errcode(call: Call, reply: RawResponse, hidden: &[&str]) -> Result<Vec<u8>, Failed> {
    let status = reply.status.as_u16();
    let unreadable = |what: &str| (WeComError::bad_answer(call), format!("HTTP {status}: {what}"));
    match reply.body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => {}
        None => return Err(unreadable("an empty answer")),
        Some(b'<') => return Err(unreadable("HTML instead of JSON")),
        // Serde would read an array as a struct's fields in order.
        Some(_) => return Err(unreadable("not a JSON object")),
    }
    let envelope: responses::Envelope = serde_json::from_slice(&reply.body)
        .map_err(|_| unreadable("broken JSON, or errcode is no number"))?;
    if envelope.errcode != 0 {
        let errmsg = envelope.errmsg.unwrap_or_default();
        return Err((WeComError::from_errcode(call, envelope.errcode, &errmsg), redact(&errmsg, hidden)));
    }
    if !reply.status.is_success() {
        return Err(unreadable("not a success"));
    }
    Ok(reply.body)
}

/// The documented fields of a success. What serde says may quote a value (a token, R27): only a missing field's
/// name is passed on.
fn read<T: DeserializeOwned>(call: Call, body: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(body).map_err(|error| {
        let said = error.to_string();
        let what =
            if said.starts_with("missing field") { said } else { "a field of another type".to_owned() };
        (WeComError::bad_answer(call), format!("not the documented fields: {what}"))
    })
}

/// `backoff` times the try, and as much again at random, so that many do not come back at once.
pub(super) fn pause_when_busy(backoff: Duration, tries: u32) -> Duration {
    let base = backoff.saturating_mul(tries);
    let mut byte = [0u8];
    let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    if random.is_err() { base } else { base + base.mul_f32(f32::from(byte[0]) / 256.0) }
}
