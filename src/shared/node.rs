//! This node's part: its connection, its keys, and the values that it has ignored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret as _;

use crate::config::{Config, Redis};
use crate::metrics::{self, RedisOperation};
use crate::session::{Keyring, UnixMillis};

use super::error::RedisError;
use super::ledger::Ledger;
use super::link::Link;
use super::names::Names;
use super::payload::fingerprint;

/// Shortest time between two warnings about values that were not sealed with our keys.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What this node shares with the others.
pub(crate) struct Shared {
    redis: Redis,
    pub(super) names: Names,
    pub(super) keyring: Arc<Keyring>,
    pub(super) link: Arc<Link>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) metrics: metrics::Redis,
    /// `session.recheck`.
    pub(super) recheck: Duration,
    /// Hash of NocoBase's secret and application, on which every session depends.
    pub(super) nocobase: String,
    /// There is a console, whose refused sign-ins are a list.
    pub(super) lists: bool,
    /// Time of the latest warning about ignored values, and how many there have been since.
    ignored: Mutex<(Option<Instant>, usize)>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("redis", &self.redis.address).finish_non_exhaustive()
    }
}

impl Shared {
    /// Replaces `before` after a change of the configuration; keeps the connection if the Redis is the same. `None` without
    /// `session.redis`. Opens no connection: [`Shared::run`] does.
    ///
    /// # Errors
    /// An address that passed validation but is not accepted by the client library; the error does not repeat it.
    pub(crate) fn after(
        before: Option<&Shared>,
        config: &Config,
        keyring: &Arc<Keyring>,
        metrics: &metrics::Redis,
    ) -> Result<Option<Arc<Shared>>, String> {
        let Some(redis) = &config.session.redis else { return Ok(None) };
        let names = match config.nocobase.beside_others {
            true => Names::of_application(&config.origin.url(), &config.nocobase.app),
            false => Names::new(&config.origin.url()),
        };
        let same = |b: &&Shared| b.names == names && b.redis.url.expose_secret() == redis.url.expose_secret();
        let (link, ledger) = match before.filter(same) {
            Some(before) => (before.link.clone(), before.ledger.clone()),
            None => {
                let link = Link::new(redis, metrics).map_err(|why| format!("session.redis: {why}"))?;
                (Arc::new(link), Arc::default())
            }
        };
        Ok(Some(Arc::new(Shared {
            redis: redis.clone(),
            names,
            keyring: keyring.clone(),
            link,
            ledger,
            metrics: metrics.clone(),
            recheck: config.session.recheck,
            nocobase: nocobase(config),
            lists: config.access.has_admins(),
            ignored: Mutex::default(),
        })))
    }

    /// Address of Redis and why it is unreachable; `None` while connected.
    pub(crate) fn trouble(&self) -> Option<(&str, RedisError)> {
        Some((&self.redis.address, self.link.trouble()?))
    }

    /// Waits until the first attempt to connect has ended, at most a second. [`Shared::run`] must be running.
    pub(crate) async fn tried(&self) {
        self.link.tried().await;
    }

    /// Counts ignored values, and logs them from time to time.
    pub(super) fn ignored(&self, operation: RedisOperation, count: usize) {
        self.metrics.ignored(operation, count);
        let mut ignored = self.ignored.lock();
        ignored.1 = ignored.1.saturating_add(count);
        if ignored.0.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            tracing::warn!(
                event = "redis",
                address = self.redis.address,
                operation = operation.name(),
                count = ignored.1,
                "values that were not sealed with session.keys are ignored"
            );
            *ignored = (Some(Instant::now()), 0);
        }
    }
}

fn nocobase(config: &Config) -> String {
    let secret = hex::encode(digest(&SHA256, config.nocobase.jwt_secret.expose_secret()));
    hex::encode(fingerprint(&[&secret, &config.nocobase.app]))
}

pub(super) fn now() -> UnixMillis {
    std::time::SystemTime::now().into()
}

#[cfg(test)]
mod tests;
