//! Refused sign-ins, for the console of every node: a sealed list of the latest, from all nodes.

use std::net::IpAddr;
use std::time::Duration;

use redis::cmd;
use serde::{Deserialize, Serialize};

use super::node::Shared;
use crate::metrics::RedisOperation::Refusals as OPERATION;
use crate::session::{Purpose, UnixMillis};

/// Redis keeps this many ...
const MAX_ENTRIES: usize = 400;
/// ... until none has been added for this time.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A refused sign-in. If its fields change, [`Purpose::Refusal`] needs another label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedRefusal {
    pub(crate) at: UnixMillis,
    pub(crate) entry: Option<String>,
    pub(crate) userid: Option<String>,
    pub(crate) name: Option<String>,
    /// The failure's label.
    pub(crate) label: String,
    pub(crate) reason: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) client: Option<IpAddr>,
}

impl Shared {
    /// Adds these to the list. If Redis does not accept them, the other nodes never see them.
    pub(crate) async fn add_refusals(&self, refusals: &[SharedRefusal]) {
        let key = self.names.refusals();
        let mut push = cmd("RPUSH");
        push.arg(&key);
        let mut sealed = 0;
        for refusal in refusals {
            if let Ok(text) = self.keyring.seal(Purpose::Refusal, key.as_bytes(), refusal) {
                push.arg(text);
                sealed += 1;
            }
        }
        if sealed == 0 || self.link.ask::<()>(OPERATION, &push).await.is_none() {
            return;
        }
        let mut trim = cmd("LTRIM");
        trim.arg(&key).arg(-i64::try_from(MAX_ENTRIES).unwrap_or(i64::MAX)).arg(-1);
        self.link.ask::<()>(OPERATION, &trim).await;
        let mut expire = cmd("EXPIRE");
        expire.arg(&key).arg(KEPT.as_secs());
        self.link.ask::<()>(OPERATION, &expire).await;
    }

    /// Those of all nodes, in the order in which they were added; `None` while Redis is unreachable.
    pub(crate) async fn refusals(&self) -> Option<Vec<SharedRefusal>> {
        let key = self.names.refusals();
        let mut range = cmd("LRANGE");
        range.arg(&key).arg(0).arg(-1);
        let texts: Vec<Vec<u8>> = self.link.ask(OPERATION, &range).await?;
        let found = texts.len().min(MAX_ENTRIES);
        let opened: Vec<SharedRefusal> = texts
            .iter()
            .take(MAX_ENTRIES)
            .filter_map(|text| self.keyring.open(Purpose::Refusal, key.as_bytes(), text))
            .collect();
        if opened.len() < found {
            self.ignored(OPERATION, found - opened.len());
        }
        Some(opened)
    }
}
