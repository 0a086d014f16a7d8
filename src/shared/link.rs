//! The connection to Redis, and whether there is one. Nobody waits for it to come: without one, every question has the
//! answer "none" at once.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::error::RedisError;
use crate::config::Redis;
use crate::metrics::{self, RedisOperation};

/// What Redis does not do within this time it does not do.
pub(crate) const WAIT: Duration = Duration::from_secs(1);

pub(super) struct Link {
    client: Client,
    address: String,
    state: Mutex<LinkState>,
    /// Wakes [`Link::broken`].
    broken: Notify,
    tried: watch::Sender<bool>,
    metrics: metrics::Redis,
}

struct LinkState {
    connection: Option<MultiplexedConnection>,
    /// Which connection that is.
    number: u64,
    /// Why there is none.
    trouble: RedisError,
}

impl Link {
    pub(super) fn new(redis: &Redis, metrics: &metrics::Redis) -> Result<Link, RedisError> {
        let state = LinkState { connection: None, number: 0, trouble: RedisError::NotYet };
        Ok(Link {
            client: client(redis)?,
            address: redis.address.clone(),
            state: Mutex::new(state),
            broken: Notify::new(),
            tried: watch::Sender::new(false),
            metrics: metrics.clone(),
        })
    }

    /// Why there is no connection; `None` if there is one.
    pub(super) fn trouble(&self) -> Option<RedisError> {
        let state = self.state.lock();
        state.connection.is_none().then(|| state.trouble.clone())
    }

    /// Waits until a connection was tried; not for long.
    pub(super) async fn tried(&self) {
        let mut tried = self.tried.subscribe();
        // Whoever waits in vain goes on alone.
        let _ = timeout(WAIT, tried.wait_for(|tried| *tried)).await;
    }

    /// One more connection. Its questions have to be bounded by [`within`].
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        connect(&self.client).await
    }

    /// This connection is for everybody from now on.
    pub(super) fn is_up(&self, connection: MultiplexedConnection) {
        let was_away = {
            let mut state = self.state.lock();
            state.number += 1;
            state.connection.replace(connection).is_none()
        };
        // That the one before was broken does not count any more.
        pin!(self.broken.notified()).as_mut().enable();
        self.metrics.up(Some(true));
        if was_away {
            tracing::info!(event = "redis", address = self.address, "Redis is there: the nodes share");
        }
        self.tried.send_replace(true);
    }

    /// There is no connection, or it is not to be used any more.
    pub(super) fn is_away(&self, operation: RedisOperation, why: RedisError) {
        self.metrics.failed(operation);
        self.away(operation, why, None);
    }

    /// Whether that was news about the connection of this number.
    fn away(&self, operation: RedisOperation, why: RedisError, number: Option<u64>) -> bool {
        let mut state = self.state.lock();
        if number.is_some_and(|number| number != state.number) {
            return false; // there is a newer one already
        }
        let was_up = state.connection.take().is_some();
        let news = was_up || state.trouble != why;
        state.trouble.clone_from(&why);
        drop(state);
        self.metrics.up(Some(false));
        if news {
            tracing::warn!(
                event = "redis",
                address = self.address,
                operation = operation.name(),
                reason = %why,
                "Redis is away: this node goes on by itself"
            );
        }
        self.tried.send_replace(true);
        was_up
    }

    /// Waits until somebody finds that the connection does not work.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// The answer; `None` where there is none, and then none is waited for until there is another connection.
    pub(super) async fn ask<T: FromRedisValue>(&self, operation: RedisOperation, command: &Cmd) -> Option<T> {
        let (mut connection, number) = {
            let state = self.state.lock();
            (state.connection.clone()?, state.number)
        };
        match within(command.query_async(&mut connection)).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.metrics.failed(operation);
                if self.away(operation, why, Some(number)) {
                    self.broken.notify_one();
                }
                None
            }
        }
    }
}

fn client(redis: &Redis) -> Result<Client, RedisError> {
    let bad = |_| RedisError::Address;
    let info = redis.url.expose_secret().into_connection_info().map_err(bad)?;
    // What every version speaks.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    Client::open(info.set_redis_settings(settings)).map_err(bad)
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    within(client.get_multiplexed_async_connection_with_config(&config)).await
}

/// A connection by itself, for `check`.
pub(super) async fn connect_to(redis: &Redis) -> Result<MultiplexedConnection, RedisError> {
    pingora_rustls::install_default_crypto_provider();
    connect(&client(redis)?).await
}

/// Not for longer than [`WAIT`].
pub(crate) async fn within<T>(work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, RedisError> {
    match timeout(WAIT, work).await {
        Ok(done) => done.map_err(|e| RedisError::from(&e)),
        Err(_) => Err(RedisError::Slow),
    }
}
