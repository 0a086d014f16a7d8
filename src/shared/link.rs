//! The connection to Redis and its state. Nothing waits for a connection: without one, every command fails at once, so that a
//! sign-in is not delayed while Redis is unreachable. (`redis::aio::ConnectionManager` would queue commands meanwhile.)

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, Pipeline, ProtocolVersion,
};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::error::RedisError;
use crate::config::Redis;
use crate::error::{Outage, STEADY};
use crate::metrics::{self, RedisOperation};

/// Longest wait for one command.
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
    /// Number of the connection: distinguishes an old one from its successor.
    number: u64,
    /// Why there is no connection.
    trouble: RedisError,
    outage: Outage<()>,
}

impl Link {
    pub(super) fn new(redis: &Redis, metrics: &metrics::Redis) -> Result<Link, RedisError> {
        let trouble = RedisError::NotYet;
        let state = LinkState { connection: None, number: 0, trouble, outage: Outage::new() };
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

    /// Waits until the first attempt to connect has ended, at most [`WAIT`].
    pub(super) async fn tried(&self) {
        let mut tried = self.tried.subscribe();
        // After the time limit the node starts without Redis.
        let _ = timeout(WAIT, tried.wait_for(|tried| *tried)).await;
    }

    /// Opens another connection. Its commands must be limited by [`within`].
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        connect(&self.client).await
    }

    /// All commands use this connection from now on.
    pub(super) fn is_up(&self, connection: MultiplexedConnection) {
        let is_first = {
            let mut state = self.state.lock();
            state.number += 1;
            state.outage.works(Instant::now());
            state.connection = Some(connection);
            state.trouble == RedisError::NotYet && state.number == 1
        };
        // A notice about the previous connection is outdated.
        pin!(self.broken.notified()).as_mut().enable();
        self.metrics.up(Some(true));
        // Later, when it has held for a while: `holds`.
        if is_first {
            self.log_connected();
        }
        self.tried.send_replace(true);
    }

    fn log_connected(&self) {
        tracing::info!(event = "redis", address = self.address, "connected to Redis: the nodes share again");
    }

    /// Never completes. Logs the end of an outage when the connection has worked for a while; dropped with the connection.
    pub(super) async fn holds(&self) {
        tokio::time::sleep(STEADY).await;
        if self.state.lock().outage.works(Instant::now()) {
            self.log_connected();
        }
        std::future::pending().await
    }

    /// There is no connection, or it must not be used any more.
    pub(super) fn is_away(&self, operation: RedisOperation, why: RedisError) {
        self.metrics.failed(operation);
        self.away(operation, why, None);
    }

    /// Returns whether the connection with this number was in use until now.
    fn away(&self, operation: RedisOperation, why: RedisError, number: Option<u64>) -> bool {
        let mut state = self.state.lock();
        if number.is_some_and(|number| number != state.number) {
            return false; // it has a successor already
        }
        let was_up = state.connection.take().is_some();
        let news = was_up || state.trouble != why;
        state.trouble.clone_from(&why);
        let left_out = state.outage.failed((), news, Instant::now());
        drop(state);
        self.metrics.up(Some(false));
        if let Some(left_out) = left_out {
            let left_out = Some(left_out).filter(|lines| *lines > 0);
            tracing::warn!(
                event = "redis",
                address = self.address,
                operation = operation.name(),
                reason = %why,
                left_out,
                "Redis is unreachable: this node works on its own"
            );
        }
        self.tried.send_replace(true);
        was_up
    }

    /// Waits until a command finds that the connection is broken.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Sends a command. `None` without a connection, or if the command fails; after that all commands fail at once until there is
    /// a new connection.
    pub(super) async fn ask<T: FromRedisValue>(&self, operation: RedisOperation, command: &Cmd) -> Option<T> {
        let (mut connection, number) = self.connection()?;
        self.noted(operation, number, within(command.query_async(&mut connection)).await)
    }

    /// Sends several commands at once, whose replies are not needed; otherwise as [`Link::ask`].
    pub(super) async fn send(&self, operation: RedisOperation, commands: &Pipeline) -> Option<()> {
        self.ask_all(operation, commands).await
    }

    /// The same, with their replies.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        operation: RedisOperation,
        commands: &Pipeline,
    ) -> Option<T> {
        let (mut connection, number) = self.connection()?;
        self.noted(operation, number, within(commands.query_async(&mut connection)).await)
    }

    /// The connection and its number.
    fn connection(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.state.lock();
        Some((state.connection.clone()?, state.number))
    }

    fn noted<T>(&self, operation: RedisOperation, number: u64, result: Result<T, RedisError>) -> Option<T> {
        match result {
            Ok(reply) => Some(reply),
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
    // Every version supports it.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    Client::open(info.set_redis_settings(settings)).map_err(bad)
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    within(client.get_multiplexed_async_connection_with_config(&config)).await
}

/// A single connection, for `check`.
pub(super) async fn connect_to(redis: &Redis) -> Result<MultiplexedConnection, RedisError> {
    pingora_rustls::install_default_crypto_provider();
    connect(&client(redis)?).await
}

/// Limits a command to [`WAIT`].
pub(crate) async fn within<T>(work: impl Future<Output = redis::RedisResult<T>>) -> Result<T, RedisError> {
    match timeout(WAIT, work).await {
        Ok(done) => done.map_err(|e| RedisError::from(&e)),
        Err(_) => Err(RedisError::Slow),
    }
}
