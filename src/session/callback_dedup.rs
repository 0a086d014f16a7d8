//! Callbacks that have been processed. WeCom's webviews may request the same callback twice, at once or a moment later, and a
//! code is valid for one use: the second request gets the result of the first. Any other use of a used state is a replay (R18,
//! R19).

use std::future::Future;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use ring::digest::{Context, SHA256};

use crate::error::Failure;

use super::flow;
use super::time::{CLOCK_SKEW, UnixMillis};

/// How long the same callback gets the same result, counted from its first arrival.
pub(crate) const DEDUP_WINDOW: Duration = flow::KEPT_BRIEFLY;
/// Most callbacks remembered.
const CAPACITY: u64 = 100_000;

/// The values that identify a callback (R18).
#[derive(Clone, Copy)]
pub struct Callback<'a> {
    /// `code` of the callback.
    pub code: &'a str,
    /// `state` of the callback, checked (`PendingSignIns::check`).
    pub state: &'a str,
    /// The sealed flow cookie, which identifies the browser.
    pub cookie: &'a [u8],
}

impl std::fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callback(..)")
    }
}

/// Why a callback was not processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackRefused {
    /// Its state was used before: by another callback, or too long ago.
    Replayed,
    /// Its task ended without a result; a defect.
    Died,
}

impl From<CallbackRefused> for Failure {
    fn from(refused: CallbackRefused) -> Self {
        match refused {
            // The response that the browser would get if its flow cookie had been deleted.
            CallbackRefused::Replayed => Failure::FlowMissing,
            CallbackRefused::Died => Failure::Internal,
        }
    }
}

/// The key of a callback, or of a state: SHA-256.
pub(crate) type Key = [u8; 32];

impl Callback<'_> {
    /// Identifies this callback.
    pub fn key(&self) -> Key {
        key(&[self.code.as_bytes(), self.state.as_bytes(), self.cookie])
    }
    /// Identifies its state.
    pub fn state_key(&self) -> Key {
        key(&[self.state.as_bytes()])
    }
}

/// SHA-256 over the parts, each preceded by its length.
fn key(parts: &[&[u8]]) -> Key {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = Key::default();
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// The callbacks of this node. Between several nodes, replays are prevented by what they share in Redis; without Redis, or while
/// it is unreachable, by the flow cookie, which the first response deletes, and by WeCom's single-use code.
#[derive(Clone)]
pub struct CallbackDedup<T> {
    outcomes: moka::future::Cache<Key, T>,
    /// By state: the callback that used it first, and when.
    used: moka::sync::Cache<Key, (Key, UnixMillis)>,
}

impl<T> std::fmt::Debug for CallbackDedup<T> {
    // moka's own would print the results.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackDedup(..)")
    }
}

impl<T: Clone + Send + Sync + 'static> Default for CallbackDedup<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone + Send + Sync + 'static> CallbackDedup<T> {
    /// None yet.
    pub fn new() -> Self {
        CallbackDedup {
            outcomes: moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(DEDUP_WINDOW)
                .build(),
            // As long as any node might still accept the flow cookie of this state.
            used: moka::sync::Cache::builder()
                .max_capacity(CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(flow::LIFE + CLOCK_SKEW)
                .build(),
        }
    }

    /// Processes a callback once: the same callback at the same time waits for the first one's result, and within `DEDUP_WINDOW`
    /// it gets a copy. Uses up the state.
    ///
    /// The work continues when its request is dropped: webviews cancel the first request when they send the second, and a code
    /// cannot be used again (R23). Must be called within a tokio runtime.
    pub async fn once(
        &self,
        callback: Callback<'_>,
        now: UnixMillis,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CallbackRefused> {
        let (this, state) = (callback.key(), callback.state_key());
        let (first, at) = self.used.entry(state).or_insert_with(|| (this, now)).into_value();
        if first != this || now.since(at) >= DEDUP_WINDOW {
            return Err(CallbackRefused::Replayed);
        }
        let outcomes = self.outcomes.clone();
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| CallbackRefused::Died)?;
        let done = runtime.spawn(async move { outcomes.get_with(this, work).await });
        done.await.map_err(|_| CallbackRefused::Died)
    }
}

#[cfg(test)]
mod tests;
