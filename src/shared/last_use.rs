//! When each session was last used, and in which browser, for the console of every node: to the minute, sealed, under a name that
//! shows nothing of the session.

use std::time::Duration;

use redis::{cmd, pipe};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::node::Shared;
use crate::metrics::RedisOperation::LastUse as OPERATION;
use crate::session::{Purpose, UnixMillis};

/// Most values sent at once.
const BATCH: usize = 500;

/// The last use of a session. If its fields change, [`Purpose::LastUse`] needs another label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedUse {
    /// To the minute.
    pub(crate) at: UnixMillis,
    /// The number of the browser.
    pub(crate) browser: u8,
}

impl Shared {
    /// Publishes these for as long as `kept`. What Redis does not accept is published again with the next use.
    pub(crate) async fn add_uses(&self, uses: &[(Uuid, SharedUse)], kept: Duration) {
        for batch in uses.chunks(BATCH) {
            let mut commands = pipe();
            for (sid, used) in batch {
                let key = self.use_name(*sid);
                if let Ok(sealed) = self.keyring.seal(Purpose::LastUse, key.as_bytes(), used) {
                    commands.cmd("SET").arg(key).arg(sealed).arg("EX").arg(kept.as_secs().max(1)).ignore();
                }
            }
            if self.link.send(OPERATION, &commands).await.is_none() {
                return;
            }
        }
    }

    /// The last use that a node has published; `Err`: Redis is unreachable.
    pub(crate) async fn last_use(&self, sid: Uuid) -> Result<Option<SharedUse>, ()> {
        let key = self.use_name(sid);
        let mut get = cmd("GET");
        get.arg(&key);
        let Some(text) = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await.ok_or(())? else {
            return Ok(None);
        };
        let used = self.keyring.open(Purpose::LastUse, key.as_bytes(), &text);
        if used.is_none() {
            self.ignored(OPERATION, 1);
        }
        Ok(used)
    }

    fn use_name(&self, sid: Uuid) -> String {
        self.names.last_use(&self.keyring.blind(&["last use", &sid.to_string()]))
    }
}
