//! Each callback once, on whichever node it arrives first. WeCom's webviews may ask for the same one twice, and a load
//! balancer may lead the second to another node: that one gets the session of the first.

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

/// How long a node waits for what comes of a callback on another.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What stands for a callback.
#[derive(Debug, Clone, Copy)]
pub struct CallbackId {
    callback: Key,
    state: Key,
}

impl CallbackId {
    /// Of this callback.
    pub fn of(callback: &Callback<'_>) -> CallbackId {
        CallbackId { callback: callback.key(), state: callback.state_key() }
    }
}

/// Whose a callback is.
#[derive(Debug)]
pub enum Claim {
    /// This node's, since then: no other will carry it out. What comes of it is to be told by [`Shared::complete`].
    Ours(UnixMillis),
    /// It cannot be told: this node goes on by itself.
    Alone,
    /// Another node has carried it out, and this is the session.
    Session(Box<Session>),
    /// It was used on another node, and there is no session for this one.
    Used,
}

impl Shared {
    /// Before a callback is carried out here.
    pub async fn claim(&self, id: &CallbackId) -> Claim {
        let name = self.names.callback(&id.state);
        let at = now();
        let used = Used { callback: id.callback, at, outcome: None };
        let Ok(sealed) = self.keyring.seal(Purpose::Claim, name.as_bytes(), &used) else {
            return Claim::Alone;
        };
        let mut set = cmd("SET");
        // As long as any node could take the flow's cookie.
        set.arg(&name).arg(sealed).arg("NX").arg("EX").arg((LIFE + CLOCK_SKEW).as_secs());
        match self.link.ask::<Option<String>>(OPERATION, &set).await {
            None => return Claim::Alone,
            Some(Some(_)) => return Claim::Ours(at),
            Some(None) => {}
        }
        let mut get = cmd("GET");
        get.arg(&name);
        let until = Instant::now() + LONGEST_WAIT;
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
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// What came of a callback that was ours from then on.
    pub async fn complete(&self, id: &CallbackId, at: UnixMillis, session: Option<&Session>) {
        let name = self.names.callback(&id.state);
        let came = session
            .map_or(CallbackOutcome::Other, |session| CallbackOutcome::Session(Box::new(session.clone())));
        let used = Used { callback: id.callback, at, outcome: Some(came) };
        let Ok(sealed) = self.keyring.seal(Purpose::Claim, name.as_bytes(), &used) else { return };
        let mut set = cmd("SET");
        set.arg(&name).arg(sealed).arg("EX").arg((LIFE + CLOCK_SKEW).as_secs());
        self.link.ask::<()>(OPERATION, &set).await;
    }
}
