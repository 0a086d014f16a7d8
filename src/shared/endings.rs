//! Sessions that have ended, published by each node to the others: a stream in Redis, which each node continues to read
//! where it stopped. So a node that was disconnected misses nothing that the stream still holds.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cmd;
use redis::streams::{StreamRangeReply, StreamReadReply};
use tokio::time::{sleep, timeout};

use super::error::RedisError;
use super::ledger::Position;
use super::link::{WAIT, within};
use super::node::{Shared, now};
use super::payload::Ending;
use super::probe::refused;
use crate::metrics::RedisOperation;
use crate::session::{Purpose, UnixMillis};

/// How long Redis blocks a read that finds nothing new. The next read then shows that Redis still responds.
const LISTEN: Duration = Duration::from_secs(1);
/// How often [`Shared::all_published`] checks.
const LOOK: Duration = Duration::from_millis(10);
/// Pause before connecting again.
const RETRY: Duration = Duration::from_secs(1);
/// Redis drops endings beyond about this number ...
const MOST: usize = 50_000;
/// ... and all of them if none has been added for this time.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most endings in one response.
const AT_ONCE: usize = 1000;
/// Endings published within this time before the connection broke are published again: Redis may have lost them in a
/// crash or a failover.
const UNSURE_MS: u64 = 60_000;
/// The one field of an entry.
const FIELD: &str = "e";

impl Shared {
    /// Publishes an ending to the other nodes, at once or as soon as Redis is connected. Does not wait.
    pub(crate) fn publish(&self, ending: Ending) {
        self.ledger.outbox.lock().add(ending, now());
        self.ledger.news.notify_one();
    }

    /// Waits until everything published is in Redis, at most this long; returns whether it is.
    pub(crate) async fn all_published(&self, patience: Duration) -> bool {
        let published = async {
            while self.ledger.outbox.lock().next().is_some() {
                sleep(LOOK).await;
            }
        };
        timeout(patience, published).await.is_ok()
    }

    /// Connects, reconnecting after a failure; publishes, and passes what it reads to `on_event` (including what this node has
    /// published itself). Runs until it is dropped.
    pub(crate) async fn run(&self, on_event: impl Fn(Ending)) {
        loop {
            match self.connect().await {
                Ok((publishing, listening)) => {
                    // Whatever is published from now on is read over this connection.
                    let since = now();
                    self.link.is_up(publishing.clone());
                    tokio::select! {
                        why = self.listen(listening, since, &on_event) => self.link.is_away(RedisOperation::Listen, why),
                        why = self.publish_loop(publishing) => self.link.is_away(RedisOperation::Publish, why),
                        // The failed command has been logged already.
                        () = self.link.broken() => {}
                        () = self.link.holds() => {}
                    }
                }
                Err(why) => self.link.is_away(RedisOperation::Connect, why),
            }
            self.ledger.gap();
            sleep(RETRY).await;
        }
    }

    /// Opens two connections, one of which waits for new entries, and tests that Redis supports everything needed.
    async fn connect(&self) -> Result<(MultiplexedConnection, MultiplexedConnection), RedisError> {
        let mut publishing = self.link.connect().await?;
        let listening = self.link.connect().await?;
        // Otherwise the state would change with every command that Redis refuses.
        if let Some((_, why)) = refused(&mut publishing, &self.names, self.lists).await?.into_iter().next() {
            return Err(why);
        }
        let mut newest = cmd("XREVRANGE");
        newest.arg(self.names.endings()).arg("+").arg("-").arg("COUNT").arg(1);
        let newest: StreamRangeReply = within(newest.query_async(&mut publishing)).await?;
        let newest = newest.ids.first().and_then(|entry| position(&entry.id)).unwrap_or_default();
        {
            let mut read_to = self.ledger.read_to.lock();
            if newest < *read_to {
                // Redis has lost the stream: a new one may begin at any number.
                *read_to = Position::default();
            }
        }
        if let Some(last) = *self.ledger.last_answer.lock() {
            self.ledger.outbox.lock().republish_since(UnixMillis(last.0.saturating_sub(UNSURE_MS)));
        }
        Ok((publishing, listening))
    }

    async fn listen(
        &self,
        mut connection: MultiplexedConnection,
        since: UnixMillis,
        on_event: &impl Fn(Ending),
    ) -> RedisError {
        let name = self.names.endings();
        let (listening, mut caught_up) = (self.ledger.listening(since), false);
        loop {
            let (ms, n) = *self.ledger.read_to.lock();
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(AT_ONCE);
            if caught_up {
                read.arg("BLOCK").arg(LISTEN.as_millis() as u64);
            }
            read.arg("STREAMS").arg(&name).arg(format!("{ms}-{n}"));
            let response =
                timeout(LISTEN + WAIT, read.query_async::<Option<StreamReadReply>>(&mut connection));
            let entries = match response.await {
                Ok(Ok(response)) => response.map(|a| a.keys).unwrap_or_default(),
                Ok(Err(error)) => return RedisError::from(&error),
                Err(_) => return RedisError::Slow,
            };
            *self.ledger.last_answer.lock() = Some(now());
            let (mut ignored, mut count) = (0, 0);
            for entry in entries.into_iter().flat_map(|key| key.ids) {
                count += 1;
                let Some(at) = position(&entry.id) else { return RedisError::NotRedis };
                let text: Option<Vec<u8>> = entry.get(FIELD);
                let ending = text.and_then(|t| self.keyring.open(Purpose::Ending, name.as_bytes(), &t));
                match ending {
                    Some(ending) => on_event(ending),
                    None => ignored += 1,
                }
                *self.ledger.read_to.lock() = at;
            }
            caught_up = count < AT_ONCE;
            listening.caught_up(caught_up);
            if ignored > 0 {
                self.ignored(RedisOperation::Listen, ignored);
            }
        }
    }

    async fn publish_loop(&self, mut connection: MultiplexedConnection) -> RedisError {
        let name = self.names.endings();
        loop {
            let next = self.ledger.outbox.lock().next();
            let Some((serial, ending)) = next else {
                self.ledger.news.notified().await;
                continue;
            };
            if let Ok(sealed) = self.keyring.seal(Purpose::Ending, name.as_bytes(), &ending) {
                let mut add = redis::pipe();
                if let Some((mark, kept)) = self.mark_of(&ending) {
                    add.cmd("SET").arg(mark).arg("1").arg("EX").arg(kept.as_secs()).ignore();
                }
                add.cmd("XADD").arg(&name).arg("MAXLEN").arg("~").arg(MOST).arg("*").arg(FIELD).arg(sealed);
                add.ignore().cmd("EXPIRE").arg(&name).arg(KEPT.as_secs()).ignore();
                if let Err(why) = within(add.query_async::<()>(&mut connection)).await {
                    return why;
                }
            }
            self.ledger.outbox.lock().mark_published(serial);
        }
    }
}

/// Parses `ms-n`, the form of Redis's entry ids.
fn position(id: &str) -> Option<Position> {
    let (ms, n) = id.split_once('-')?;
    Some((ms.parse().ok()?, n.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered() {
        assert_eq!(position("1700000000000-3"), Some((1_700_000_000_000, 3)));
        assert!(position("9-1") < position("10-0") && position("10-2") < position("10-10"));
        for odd in ["", "1", "1-", "-1", "a-b", "1-2-3", "99999999999999999999-0"] {
            assert_eq!(position(odd), None, "{odd}");
        }
    }
}
