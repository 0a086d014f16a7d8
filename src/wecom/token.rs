//! The app's access token: fetched by one caller at a time, renewed before it expires, replaced when WeCom refuses it, and not
//! requested again immediately after a failure (repeated wrong secrets get an address banned for an hour).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::Expiry;
use moka::sync::Cache;
use secrecy::SecretString;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::error::{Call, Class, WeComError};

/// The token is renewed this long before it expires (half its lifetime, if that is shorter).
const MARGIN: Duration = Duration::from_secs(200);
/// Even a token whose lifetime is shorter or zero is used this long, so that `gettoken` is never called in quick succession.
const MIN_LIFETIME: Duration = Duration::from_secs(5);
/// Pause after the first failure that an operator must fix; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a temporary failure: long enough for all waiting calls to share one result.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for a refresh that another call has begun.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// One access token and its validity.
pub(super) struct AccessToken {
    pub(super) value: SecretString,
    serial: u64,
    renew_at: Instant,
    end: Instant,
}

/// How much of its lifetime passes before a token is renewed.
pub(super) fn renew_after(life: Duration) -> Duration {
    life - MARGIN.min(life / 2)
}

/// The result of `gettoken`: the token and its `expires_in`.
pub(super) struct Fetched {
    pub(super) value: SecretString,
    pub(super) life: Duration,
}

type Refreshed = Result<Arc<AccessToken>, WeComError>;

/// The one token of one app.
pub(super) struct TokenCache {
    /// Moka drops the token when it expires, so that no useless secret stays in memory. `state` ensures that there is one fetch
    /// at a time: moka's own gives up after 200 dropped waiters, and could not pause after a failure.
    current: Cache<(), Arc<AccessToken>>,
    state: Arc<Mutex<RefreshState>>,
    /// Name of the entry, for log lines about a renewal in the background.
    entry: String,
}

struct UntilItsEnd;

impl Expiry<(), Arc<AccessToken>> for UntilItsEnd {
    fn expire_after_create(
        &self,
        (): &(),
        token: &Arc<AccessToken>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(token.end.saturating_duration_since(Instant::now()))
    }
    fn expire_after_update(
        &self,
        (): &(),
        token: &Arc<AccessToken>,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(token.end.saturating_duration_since(Instant::now()))
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        let current = Cache::builder().max_capacity(1).expire_after(UntilItsEnd).build();
        TokenCache { current, state: Arc::default(), entry: String::new() }
    }
}

/// Held while a refresh is in flight.
#[derive(Default)]
struct RefreshState {
    serial: u64,
    /// Consecutive failures of `gettoken`.
    failures: u32,
    /// No `gettoken` until then; all calls get this error instead.
    paused: Option<(Instant, WeComError)>,
    /// Consecutive fresh tokens that WeCom refused.
    refusals: u32,
    refused_serial: u64,
    /// Refused tokens are not replaced until then.
    no_replacement_until: Option<Instant>,
}

impl TokenCache {
    /// The token of this entry's app.
    pub(super) fn of(entry: &str) -> Self {
        TokenCache { entry: entry.to_owned(), ..TokenCache::default() }
    }

    /// The token, from the cache or from `fetch`.
    pub(super) async fn get<F, Fut>(&self, fetch: F) -> Result<Arc<AccessToken>, WeComError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched, WeComError>> + Send + 'static,
    {
        let now = Instant::now();
        if let Some(token) = self.current.get(&())
            && now < token.end
        {
            // Valid, but about to expire: the first call renews it in the background.
            if now >= token.renew_at
                && let Ok(state) = Arc::clone(&self.state).try_lock_owned()
                && !state.is_paused(now)
                && self.current.get(&()).is_some_and(|t| t.serial == token.serial)
            {
                let (fetch, entry) = (fetch(), self.entry.clone());
                drop(self.refresh(state, async move { fetch.await.inspect_err(|error| error.log(&entry)) }));
            }
            return Ok(token);
        }
        let state = self.lock().await?;
        let now = Instant::now();
        if let Some(token) = self.current.get(&())
            && now < token.end
        {
            return Ok(token);
        }
        state.check_pause(now)?;
        finished(self.refresh(state, fetch())).await
    }

    /// A token instead of `stale`, which WeCom refused: a newer one from the cache, or a fetched one. Clears the cache only if it
    /// still holds `stale`.
    pub(super) async fn replace<F, Fut>(
        &self,
        stale: &AccessToken,
        fetch: F,
    ) -> Result<Arc<AccessToken>, WeComError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched, WeComError>> + Send + 'static,
    {
        let state = self.lock().await?;
        let now = Instant::now();
        if let Some(token) = self.current.get(&())
            && token.serial != stale.serial
            && now < token.end
        {
            return Ok(token);
        }
        if state.no_replacement_until.is_some_and(|until| now < until) {
            return Err(WeComError::from_errcode(Call::GetToken, 40014, ""));
        }
        self.current.invalidate(&());
        state.check_pause(now)?;
        finished(self.refresh(state, fetch())).await
    }

    /// Whether WeCom accepted a token from [`TokenCache::replace`]. While it refuses even fresh ones, they are not replaced
    /// immediately: a misconfigured app must not use up the quota of `gettoken`.
    pub(super) async fn report(&self, token: &AccessToken, accepted: bool) {
        let Ok(mut state) = self.lock().await else { return };
        if accepted {
            state.refusals = 0;
            state.no_replacement_until = None;
        } else if state.refused_serial != token.serial {
            state.refused_serial = token.serial;
            state.refusals = state.refusals.saturating_add(1);
            state.no_replacement_until = Some(Instant::now() + growing_pause(state.refusals));
        }
    }

    async fn lock(&self) -> Result<OwnedMutexGuard<RefreshState>, WeComError> {
        timeout(MAX_WAIT, Arc::clone(&self.state).lock_owned())
            .await
            .map_err(|_| WeComError::unreachable(Call::GetToken))
    }

    /// Runs as a separate task: a browser that disconnects must not undo the count of failures (R23).
    fn refresh<Fut>(&self, mut state: OwnedMutexGuard<RefreshState>, fetch: Fut) -> JoinHandle<Refreshed>
    where
        Fut: Future<Output = Result<Fetched, WeComError>> + Send + 'static,
    {
        let current = self.current.clone();
        let work = async move {
            match fetch.await {
                Ok(fetched) => {
                    let now = Instant::now();
                    let life = fetched.life.max(MIN_LIFETIME);
                    state.serial += 1;
                    state.failures = 0;
                    state.paused = None;
                    let token = Arc::new(AccessToken {
                        value: fetched.value,
                        serial: state.serial,
                        renew_at: now + renew_after(life),
                        end: now + life,
                    });
                    current.insert((), Arc::clone(&token));
                    Ok(token)
                }
                Err(error) => {
                    let pause = match error.class() {
                        Class::Transport | Class::Transient => SHORT_PAUSE,
                        _ => {
                            state.failures = state.failures.saturating_add(1);
                            growing_pause(state.failures)
                        }
                    };
                    state.paused = Some((Instant::now() + pause, error.clone()));
                    Err(error)
                }
            }
        };
        tokio::spawn(work.in_current_span())
    }
}

impl RefreshState {
    fn is_paused(&self, now: Instant) -> bool {
        self.check_pause(now).is_err()
    }

    fn check_pause(&self, now: Instant) -> Result<(), WeComError> {
        match &self.paused {
            Some((until, error)) if now < *until => Err(error.repeated()),
            _ => Ok(()),
        }
    }
}

async fn finished(refresh: JoinHandle<Refreshed>) -> Refreshed {
    refresh.await.unwrap_or_else(|_| Err(WeComError::unreachable(Call::GetToken)))
}

/// 5 s, 10 s, 20 s, 40 s, 60 s, 60 s, ...
fn growing_pause(times: u32) -> Duration {
    let factor = 1u32 << times.saturating_sub(1).min(10);
    FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests;
