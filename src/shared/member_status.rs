//! Which members may still use the app, as far as one node has asked WeCom: the others need not ask again. So several nodes cost
//! WeCom no more calls than one, however requests are spread over them.

use std::time::Duration;

use redis::cmd;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::node::{Shared, now};
use super::payload::fingerprint;
use crate::config::WeComEntry;
use crate::metrics::RedisOperation::MemberStatus as OPERATION;
use crate::session::{Purpose, UnixMillis};

/// How long a node may take before another asks.
const LEASE: Duration = Duration::from_secs(15);

/// What a node has found out about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SharedStatus {
    /// When the request to WeCom began that confirmed that the member may use the app.
    good_at: UnixMillis,
}

impl SharedStatus {
    /// When WeCom confirmed it, if that is after `from`.
    fn recent(self, now: UnixMillis, from: UnixMillis) -> Option<UnixMillis> {
        (self.good_at > from && !self.good_at.is_from_the_future(now)).then_some(self.good_at)
    }
}

/// The names of a member's keys in Redis. They depend on everything that decides who may use the app: results found with other
/// rules, or for another app, do not count.
pub(crate) struct MemberKey {
    status: String,
    lease: String,
}

/// Which node asks WeCom about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecheckTurn {
    /// This node.
    Ours,
    /// Another one, right now.
    Elsewhere,
    /// None: a node has asked at this time, and the member may use the app.
    GoodAt(UnixMillis),
}

impl Shared {
    /// The keys of this member.
    pub(crate) fn member_key(&self, entry: &WeComEntry, userid: &str) -> MemberKey {
        let rules = format!("{:?}", (&entry.allow_users, &entry.allow_departments, &entry.allow_tags));
        let (api, secret) = (entry.api_base.as_str(), entry.secret.expose_secret());
        let hash = fingerprint(&[&entry.corp_id, &entry.agent_id, api, secret, &rules, userid]);
        MemberKey { status: self.names.member_status(&hash), lease: self.names.member_status_lease(&hash) }
    }

    /// Whether this node asks about a member; a confirmation after `from` counts. While Redis is unreachable, each node asks.
    pub(crate) async fn turn(&self, member: &MemberKey, from: UnixMillis) -> RecheckTurn {
        let mut get = cmd("GET");
        get.arg(&member.status);
        if let Some(Some(text)) = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await {
            let context = member.status.as_bytes();
            match self.keyring.open::<SharedStatus>(Purpose::MemberStatus, context, &text) {
                Some(status) => {
                    if let Some(at) = status.recent(now(), from) {
                        return RecheckTurn::GoodAt(at);
                    }
                }
                None => self.ignored(OPERATION, 1),
            }
        }
        let mut take = cmd("SET");
        take.arg(&member.lease).arg("1").arg("NX").arg("EX").arg(LEASE.as_secs());
        match self.link.ask::<Option<String>>(OPERATION, &take).await {
            Some(None) => RecheckTurn::Elsewhere,
            Some(Some(_)) | None => RecheckTurn::Ours,
        }
    }

    /// Publishes that WeCom, asked at this time, confirmed that the member may use the app. Kept for `every`.
    pub(crate) async fn good(&self, member: &MemberKey, good_at: UnixMillis, every: Duration) {
        let status = SharedStatus { good_at };
        let context = member.status.as_bytes();
        let Ok(sealed) = self.keyring.seal(Purpose::MemberStatus, context, &status) else { return };
        let mut set = cmd("SET");
        set.arg(&member.status).arg(sealed).arg("EX").arg(every.as_secs().max(1));
        self.link.ask::<()>(OPERATION, &set).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recent_status_counts() {
        let good_at = UnixMillis(1_000_000_000);
        let status = SharedStatus { good_at };
        let (now, from) = (good_at.plus(Duration::from_secs(899)), |ms| UnixMillis(ms));
        assert_eq!(status.recent(now, from(good_at.0 - 1)), Some(good_at));
        assert_eq!(status.recent(now, from(good_at.0)), None);
        // A clock that is slightly slow, and one that is wrong.
        assert_eq!(status.recent(UnixMillis(good_at.0 - 300_000), from(0)), Some(good_at));
        assert_eq!(status.recent(UnixMillis(good_at.0 - 300_001), from(0)), None);
    }
}
