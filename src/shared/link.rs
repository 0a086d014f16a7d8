//! The connection to Redis, and whether there is one. Nobody waits for it to come: without one, every question has the
//! answer "none" at once.

use std::error::Error as _;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion,
    RedisError,
};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::config::Redis;
use crate::metrics::{self, RedisOperation};

/// What Redis does not do within this time it does not do.
pub(crate) const WAIT: Duration = Duration::from_secs(1);

pub(super) struct Link {
    client: Client,
    address: String,
    state: Mutex<State>,
    /// Wakes [`Link::broken`].
    broken: Notify,
    tried: watch::Sender<bool>,
    metrics: metrics::Redis,
}

struct State {
    connection: Option<MultiplexedConnection>,
    /// Which connection that is.
    number: u64,
    /// Why there is none.
    trouble: Why,
}

impl Link {
    pub(super) fn new(redis: &Redis, metrics: &metrics::Redis) -> Result<Link, Why> {
        let state = State { connection: None, number: 0, trouble: Why::NotYet };
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
    pub(super) fn trouble(&self) -> Option<Why> {
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
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, Why> {
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
    pub(super) fn is_away(&self, operation: RedisOperation, why: Why) {
        self.metrics.failed(operation);
        self.away(operation, why, None);
    }

    /// Whether that was news about the connection of this number.
    fn away(&self, operation: RedisOperation, why: Why, number: Option<u64>) -> bool {
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

fn client(redis: &Redis) -> Result<Client, Why> {
    let bad = |_| Why::Address;
    let info = redis.url.expose_secret().into_connection_info().map_err(bad)?;
    // What every version speaks.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    Client::open(info.set_redis_settings(settings)).map_err(bad)
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, Why> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    within(client.get_multiplexed_async_connection_with_config(&config)).await
}

/// A connection by itself, for `check`.
pub(super) async fn connect_to(redis: &Redis) -> Result<MultiplexedConnection, Why> {
    pingora_rustls::install_default_crypto_provider();
    connect(&client(redis)?).await
}

/// Not for longer than [`WAIT`].
pub(crate) async fn within<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Why> {
    match timeout(WAIT, work).await {
        Ok(done) => done.map_err(|e| Why::from(&e)),
        Err(_) => Err(Why::Slow),
    }
}

/// Why Redis does not do what it is asked, in words of our own and Redis' error codes: what Redis or the client library
/// say besides may repeat what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("not connected yet")]
    NotYet,
    #[error("the address cannot be used")]
    Address,
    #[error("the connection is refused")]
    Refused,
    #[error("no answer within a second")]
    Slow,
    #[error("the connection fails: {0}")]
    Io(String),
    #[error("the password is wrong")]
    Password,
    #[error("it asks for a password (NOAUTH)")]
    NoPassword,
    #[error("this user may not do what is needed (NOPERM)")]
    MayNot,
    #[error("it is a replica (READONLY)")]
    Replica,
    #[error("it is a cluster")]
    Cluster,
    #[error("the answer is not as Redis answers")]
    NotRedis,
    #[error("it answers {0}")]
    Code(String),
    #[error("it refuses")]
    Other,
}

impl From<&RedisError> for Why {
    fn from(error: &RedisError) -> Why {
        match error.kind() {
            _ if error.is_connection_refusal() => Why::Refused,
            ErrorKind::AuthenticationFailed => Why::Password,
            ErrorKind::Io => {
                // Of the system, or of TLS: about addresses and certificates.
                Why::Io(error.source().map_or_else(|| "closed".into(), ToString::to_string))
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Why::NotRedis,
            _ => match error.code() {
                Some("NOAUTH") => Why::NoPassword,
                Some("WRONGPASS") => Why::Password,
                Some("NOPERM") => Why::MayNot,
                Some("READONLY") => Why::Replica,
                Some("MOVED" | "CLUSTERDOWN" | "CROSSSLOT") => Why::Cluster,
                Some(code) if code.len() < 20 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
                    Why::Code(code.to_owned())
                }
                _ => Why::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn what_is_said_repeats_nothing() {
        for (kind, said) in [
            (ErrorKind::AuthenticationFailed, "the password is wrong"),
            (ErrorKind::Io, "the connection fails: closed"),
            (ErrorKind::Parse, "the answer is not as Redis answers"),
            (ErrorKind::Server(ServerErrorKind::ReadOnly), "it is a replica (READONLY)"),
            (ErrorKind::Server(ServerErrorKind::BusyLoading), "it answers LOADING"),
            (ErrorKind::Server(ServerErrorKind::Moved), "it is a cluster"),
            (ErrorKind::Client, "it refuses"),
        ] {
            let error = RedisError::from((kind, "CANARY", "CANARY".to_owned()));
            assert_eq!(Why::from(&error).to_string(), said);
        }
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Why::from(&RedisError::from(refused)), Why::Refused);
        let tls = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        let why = Why::from(&RedisError::from(tls)).to_string();
        assert_eq!(why, "the connection fails: invalid peer certificate: UnknownIssuer");
    }
}
