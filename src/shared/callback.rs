//! Each callback is processed once, by the node that it reaches first. WeCom's webviews may send the same one twice, and a load
//! balancer may send the second to another node, which then gets the session that the first has created.

use std::time::Duration;

use redis::cmd;
use tokio::time::{Instant, sleep};

use super::node::{Shared, now};
use super::payload::{CallbackOutcome, Used};
use crate::metrics::RedisOperation::Callback as OPERATION;
use crate::session::callback_dedup::{DEDUP_WINDOW, Key};
use crate::session::flow::LIFE;
use crate::session::time::CLOCK_SKEW;
use crate::session::{Callback, Purpose, Session, UnixMillis};

/// How long a node waits for another node to complete a callback.
const MAX_WAIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Identifies a callback without its secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallbackId {
    callback: Key,
    state: Key,
}

impl CallbackId {
    /// The id of this callback.
    pub(crate) fn of(callback: &Callback<'_>) -> CallbackId {
        CallbackId { callback: callback.key(), state: callback.state_key() }
    }
}

/// Who processes a callback.
#[derive(Debug)]
pub(crate) enum Claim {
    /// This node, from this time on, and no other. Must be followed by [`Shared::complete`].
    Ours(UnixMillis),
    /// Unknown, because Redis is unreachable: this node processes it.
    Alone,
    /// Another node has processed it, and this is the session.
    Session(Box<Session>),
    /// Another node has processed it, and this one gets no session for it.
    Used,
}

impl Shared {
    /// Claims a callback before it is processed here.
    pub(crate) async fn claim(&self, id: &CallbackId) -> Claim {
        let name = self.names.callback(&id.state);
        let at = now();
        let used = Used { callback: id.callback, at, outcome: None };
        let Ok(sealed) = self.keyring.seal(Purpose::Claim, name.as_bytes(), &used) else {
            return Claim::Alone;
        };
        let mut set = cmd("SET");
        // As long as any node may accept the cookie of the flow.
        set.arg(&name).arg(sealed).arg("NX").arg("EX").arg((LIFE + CLOCK_SKEW).as_secs());
        match self.link.ask::<Option<String>>(OPERATION, &set).await {
            None => return Claim::Alone,
            Some(Some(_)) => return Claim::Ours(at),
            Some(None) => {}
        }
        let mut get = cmd("GET");
        get.arg(&name);
        let until = Instant::now() + MAX_WAIT;
        loop {
            let Some(Some(text)) = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await else {
                return Claim::Alone;
            };
            let Some(first) = self.keyring.open::<Used>(Purpose::Claim, name.as_bytes(), &text) else {
                self.ignored(OPERATION, 1);
                return Claim::Alone;
            };
            if first.callback != id.callback || now().since(first.at) >= DEDUP_WINDOW {
                return Claim::Used;
            }
            match first.outcome {
                Some(CallbackOutcome::Session(session)) => return Claim::Session(session),
                Some(CallbackOutcome::Other) => return Claim::Used,
                None if Instant::now() >= until => return Claim::Used,
                None => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Publishes the result of a callback that this node claimed at this time.
    pub(crate) async fn complete(&self, id: &CallbackId, at: UnixMillis, session: Option<&Session>) {
        let name = self.names.callback(&id.state);
        let outcome = session
            .map_or(CallbackOutcome::Other, |session| CallbackOutcome::Session(Box::new(session.clone())));
        let used = Used { callback: id.callback, at, outcome: Some(outcome) };
        let Ok(sealed) = self.keyring.seal(Purpose::Claim, name.as_bytes(), &used) else { return };
        let mut set = cmd("SET");
        set.arg(&name).arg(sealed).arg("EX").arg((LIFE + CLOCK_SKEW).as_secs());
        self.link.ask::<()>(OPERATION, &set).await;
    }
}
