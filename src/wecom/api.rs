//! How calls to WeCom's API are made: with the access token, with a bounded number of attempts, and with errors sorted into
//! classes. Every error is logged once, here, where WeCom's response becomes an error of the gate.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use backon::{ExponentialBuilder, Retryable as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use super::error::{Call, Class, WeComError};
use super::redact::redact;
use super::responses;
use super::token::{AccessToken, Fetched, TokenCache, renew_after};
use super::transport::{RawResponse, Transport, TransportError, Tuning};
use crate::config::WeComEntry;
use crate::metrics::WeComCalls;
use crate::shared::{App, Shared, SharedToken, Token};

/// Most attempts while the system is busy, as WeCom asks for (doc 90313, code -1).
const TRIES_WHEN_BUSY: u32 = 3;

/// A call whose connection broke is repeated once, if the first attempt took at most half of this time; the second attempt ends
/// within it. A person is waiting.
const REPEAT_WITHIN: Duration = Duration::from_secs(3);

/// WeCom's API as one `[[wecom]]` entry uses it: connections, access token, counters.
pub(super) struct Api {
    pub(super) entry: WeComEntry,
    transport: Transport,
    tuning: Tuning,
    token: Arc<TokenCache>,
    /// Counters of calls, once set.
    pub(super) calls: OnceLock<WeComCalls>,
    /// Shares the access token of this app with the other nodes.
    pub(super) shared: OnceLock<(Arc<Shared>, App)>,
    /// Why the last request for an access token failed; `None` if it succeeded.
    pub(super) token_error: ArcSwapOption<WeComError>,
    /// Why the last other call failed, unless the cause was the member or the code.
    pub(super) call_error: ArcSwapOption<WeComError>,
}

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) call: Call,
    pub(super) path: &'a str,
    /// Without the access token, which is added when the call is made.
    pub(super) params: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a serde_json::Value>,
    /// Values that must never be logged.
    pub(super) hidden: &'a [&'a str],
    pub(super) tries_when_busy: u32,
}

impl<'a> Request<'a> {
    pub(super) fn get(call: Call, path: &'a str, params: &'a [(&'a str, &'a str)]) -> Self {
        Self { call, path, params, body: None, hidden: &[], tries_when_busy: TRIES_WHEN_BUSY }
    }
}

/// An error and its redacted text for the log.
type Failed = (WeComError, String);

impl Api {
    pub(super) fn new(entry: &WeComEntry, tuning: Tuning) -> Result<Self, reqwest::Error> {
        let transport = Transport::new(&entry.api_base, entry.http_proxy.as_ref(), tuning)?;
        Ok(Self {
            entry: entry.clone(),
            transport,
            tuning,
            token: Arc::new(TokenCache::of(&entry.name)),
            calls: OnceLock::new(),
            shared: OnceLock::new(),
            token_error: ArcSwapOption::empty(),
            call_error: ArcSwapOption::empty(),
        })
    }

    /// Takes over the access token of `before`, if both are the same app.
    pub(super) fn after(mut self, before: &Api) -> Self {
        let (old, new) = (&before.entry, &self.entry);
        let same = (&old.corp_id, &old.agent_id, &old.api_base, &old.http_proxy)
            == (&new.corp_id, &new.agent_id, &new.api_base, &new.http_proxy)
            && old.secret.expose_secret() == new.secret.expose_secret();
        if same {
            self.token = Arc::clone(&before.token);
            self.token_error = ArcSwapOption::new(before.token_error.load_full());
            self.call_error = ArcSwapOption::new(before.call_error.load_full());
        }
        self
    }

    /// One call with the access token: a refused token is replaced once, and a call to a busy system is repeated.
    pub(super) async fn call<T: DeserializeOwned>(
        self: &Arc<Self>,
        request: &Request<'_>,
    ) -> Result<T, WeComError> {
        // Counted over both tokens.
        let mut tries = Tries::new(request.tries_when_busy);
        let token = self.token.get(|| obtain_token(Arc::clone(self), None)).await?;
        let mut result = self.call_with(request, &token, false, &mut tries).await;
        if let Err((error, _)) = &result
            && error.class() == Class::Token
        {
            tracing::info!(
                entry = self.entry.name,
                call = request.call.name(),
                errcode = error.errcode(),
                "WeCom refuses the access token; fetching another"
            );
            let refused = Some(token.value.clone());
            let token = self.token.replace(&token, || obtain_token(Arc::clone(self), refused)).await?;
            result = self.call_with(request, &token, true, &mut tries).await;
        }
        result.map_err(|(error, text)| error.because(text))
    }

    /// An image, requested without the access token.
    pub(super) async fn picture(&self, address: url::Url) -> Result<Vec<u8>, String> {
        self.transport.picture(address).await
    }

    /// Fetches an access token if there is none.
    pub(super) async fn obtain(self: &Arc<Self>) -> Result<(), WeComError> {
        self.token.get(|| obtain_token(Arc::clone(self), None)).await.map(drop)
    }

    /// The call with this token, repeated while WeCom is busy. `replaced`: the token replaces a refused one.
    async fn call_with<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        token: &AccessToken,
        replaced: bool,
        tries: &mut Tries,
    ) -> Result<T, Failed> {
        let value = token.value.expose_secret();
        let mut params = vec![("access_token", value)];
        params.extend_from_slice(request.params);
        let mut hidden = vec![value, self.entry.secret.expose_secret()];
        hidden.extend_from_slice(request.hidden);
        let attempt = async || {
            let raw = self.send(&Request { params: &params, hidden: &hidden, ..*request }).await;
            let class = raw.as_ref().err().map(|(e, _)| e.class());
            if replaced && !matches!(class, Some(Class::Transport | Class::BadAnswer)) {
                self.token.report(token, class != Some(Class::Token)).await;
            }
            raw.and_then(|body| read::<T>(request.call, &body))
        };
        tries.run(self.tuning.backoff, attempt).await
    }

    /// One exchange, or two if the connection of the first broke; returns the body of a success.
    async fn send(&self, request: &Request<'_>) -> Result<Vec<u8>, Failed> {
        let began = Instant::now();
        let result = self.exchange(request).await;
        self.note(request.call, result.as_ref().err().map(|(error, _)| error), began.elapsed());
        result
    }

    /// Counts a call, and keeps its result if an operator has to know.
    fn note(&self, call: Call, error: Option<&WeComError>, took: Duration) {
        if let Some(calls) = self.calls.get() {
            calls.done(&self.entry.name, call.name(), error.map_or("ok", |e| e.class().name()), took);
        }
        match error.map(WeComError::class) {
            // The token has a state of its own, and no sign-in needs a list, or the app's name and picture.
            _ if matches!(call, Call::GetToken | Call::Agent | Call::UserList) => {}
            None | Some(Class::User | Class::Code | Class::Detail) => {
                if self.call_error.load().is_some() {
                    self.call_error.store(None);
                }
            }
            Some(_) => self.call_error.store(error.map(|e| Arc::new(e.clone()))),
        }
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Vec<u8>, Failed> {
        let Request { call, path, params, body, hidden, .. } = *request;
        let began = Instant::now();
        let once = async || self.transport.exchange(path, params, body).await;
        let (failed, broken) = match read_reply(call, once().await, hidden) {
            Ok(body) => return Ok(body),
            Err(failed) => failed,
        };
        // A code can be used once: it is sent again only if nothing was sent.
        let again = match broken {
            Broken::NothingSent => true,
            Broken::Midway => call != Call::UserInfo && began.elapsed() < REPEAT_WITHIN / 2,
            Broken::No => false,
        };
        if !again {
            return Err(failed);
        }
        tracing::debug!(
            entry = self.entry.name,
            call = call.name(),
            error = failed.1,
            "repeating the WeCom call"
        );
        let left = REPEAT_WITHIN.saturating_sub(began.elapsed());
        let second = match broken {
            Broken::Midway => match tokio::time::timeout(left, once()).await {
                Ok(reply) => reply,
                Err(_) => return Err(failed),
            },
            _ => once().await,
        };
        read_reply(call, second, hidden).map_err(|(failed, _)| failed)
    }

    fn token_fetched(&self, error: Option<&WeComError>) {
        self.token_error.store(error.map(|e| Arc::new(e.clone())));
        if let Some(calls) = self.calls.get() {
            calls.token(&self.entry.name, error.map(|e| e.class().name()));
        }
    }
}

/// The token that another node has fetched, unless WeCom has refused it; otherwise one from WeCom.
async fn obtain_token(api: Arc<Api>, refused: Option<SecretString>) -> Result<Fetched, WeComError> {
    let Some((shared, app)) = api.shared.get() else { return fetch_token(&api).await };
    let lease = match shared.token(app, refused.as_ref()).await {
        Token::SharedToken(SharedToken { value, life }) => {
            api.token_error.store(None);
            if let Some(calls) = api.calls.get() {
                calls.token_shared(&api.entry.name);
            }
            tracing::debug!(
                entry = api.entry.name,
                seconds = life.as_secs(),
                "using an access token that another node has fetched"
            );
            return Ok(Fetched { value, life });
        }
        Token::Fetch(lease) => lease,
    };
    let fetched = fetch_token(&api).await;
    let token = fetched.as_ref().ok().map(|f| (&f.value, f.life, renew_after(f.life)));
    shared.fetched(app, lease, token).await;
    fetched
}

/// `gettoken`: repeated only while WeCom is busy; [`TokenCache`] decides when it is called next.
async fn fetch_token(api: &Api) -> Result<Fetched, WeComError> {
    let secret = api.entry.secret.expose_secret();
    let params = [("corpid", api.entry.corp_id.as_str()), ("corpsecret", secret)];
    let hidden = [secret];
    let request = Request { hidden: &hidden, ..Request::get(Call::GetToken, "/cgi-bin/gettoken", &params) };
    let attempt = async || {
        let raw = api.send(&request).await;
        match raw.and_then(|body| read::<responses::Token>(Call::GetToken, &body))? {
            token if token.access_token.expose_secret().is_empty() => {
                Err((WeComError::bad_answer(Call::GetToken), "an empty access token".to_owned()))
            }
            token => Ok(token),
        }
    };
    match Tries::new(TRIES_WHEN_BUSY).run(api.tuning.backoff, attempt).await {
        Ok(token) => {
            let life = Duration::from_secs(u64::try_from(token.expires_in).unwrap_or(0).min(86_400));
            api.token_fetched(None);
            tracing::debug!(entry = api.entry.name, seconds = life.as_secs(), "new access token");
            Ok(Fetched { value: token.access_token, life })
        }
        Err((error, text)) => {
            let error = error.because(text);
            api.token_fetched(Some(&error));
            Err(error)
        }
    }
}

/// The attempts left while WeCom is busy.
struct Tries(u32);

impl Tries {
    fn new(tries: u32) -> Self {
        Tries(tries)
    }

    /// Makes a call, repeatedly while WeCom is busy.
    async fn run<T, F>(&mut self, backoff: Duration, call: impl FnMut() -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        call.retry(busy_backoff(backoff)).when(|failed| self.again(failed)).await
    }

    /// Whether a call that failed like this is repeated.
    fn again(&mut self, (error, _): &Failed) -> bool {
        self.0 = self.0.saturating_sub(1);
        error.class() == Class::Transient && self.0 > 0
    }
}

/// Has a connection broken, so that the same call may succeed over another?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// WeCom has responded, or the time limit was reached.
    No,
    /// Before anything was sent.
    NothingSent,
    /// Afterwards: the call may have been processed.
    Midway,
}

/// The body of a success, or the error and whether the connection broke: a reset, a 5xx from an intermediary, a response that
/// ends early.
fn read_reply(
    call: Call,
    reply: Result<RawResponse, TransportError>,
    hidden: &[&str],
) -> Result<Vec<u8>, (Failed, Broken)> {
    match reply {
        Ok(reply) => {
            let cut_off = is_cut_off(&reply);
            check_errcode(call, reply, hidden)
                .map_err(|failed| if cut_off { midway(failed) } else { (failed, Broken::No) })
        }
        Err(TransportError::Unreachable { cause, nothing_sent, timed_out }) => {
            let failed = (WeComError::unreachable(call), redact(&cause, hidden));
            Err(match (nothing_sent, timed_out) {
                (true, _) => (failed, Broken::NothingSent),
                (false, true) => (failed, Broken::No),
                (false, false) => midway(failed),
            })
        }
        Err(TransportError::RateLimited) => {
            Err(((WeComError::rate_limited(call), "HTTP 429".into()), Broken::No))
        }
        Err(TransportError::TooLong) => {
            Err(((WeComError::too_long(call), "a response of more than 1 MiB".into()), Broken::No))
        }
        Err(TransportError::BadAnswer { cause }) => {
            Err(((WeComError::bad_answer(call), redact(&cause, hidden)), Broken::No))
        }
    }
}

fn midway((error, text): Failed) -> (Failed, Broken) {
    ((error.broken_midway(), text), Broken::Midway)
}

/// Does a successful response end before its JSON does, or before it begins?
fn is_cut_off(reply: &RawResponse) -> bool {
    reply.status.is_success()
        && serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_err_and(|e| e.is_eof())
}

/// Success is `errcode` absent or 0 in a 2xx response; `errmsg` is never compared (doc 90664).
fn check_errcode(call: Call, reply: RawResponse, hidden: &[&str]) -> Result<Vec<u8>, Failed> {
    let status = reply.status.as_u16();
    let unreadable = |what: &str| (WeComError::bad_answer(call), format!("HTTP {status}: {what}"));
    match reply.body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => {}
        None => return Err(unreadable("an empty response")),
        Some(b'<') => return Err(unreadable("HTML instead of JSON")),
        // Serde would read an array as the fields of a struct, in order.
        Some(_) => return Err(unreadable("not a JSON object")),
    }
    let envelope: responses::Envelope = serde_json::from_slice(&reply.body)
        .map_err(|_| unreadable("broken JSON, or errcode is not a number"))?;
    if envelope.errcode != 0 {
        let errmsg = envelope.errmsg.unwrap_or_default();
        return Err((WeComError::from_errcode(call, envelope.errcode, &errmsg), redact(&errmsg, hidden)));
    }
    if !reply.status.is_success() {
        return Err(unreadable("not a success"));
    }
    Ok(reply.body)
}

/// The documented fields of a successful response. serde's message may quote a value (a token, R27): only the name of a missing
/// field is passed on.
fn read<T: DeserializeOwned>(call: Call, body: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(body).map_err(|error| {
        let said = error.to_string();
        let what =
            if said.starts_with("missing field") { said } else { "a field of another type".to_owned() };
        (WeComError::bad_answer(call), format!("not the documented fields: {what}"))
    })
}

/// `backoff` before the second attempt, twice that before the third, plus a random part of up to the same length, so that many
/// clients do not retry at once.
pub(super) fn busy_backoff(backoff: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(backoff).with_factor(2.0).with_jitter().without_max_times()
}
