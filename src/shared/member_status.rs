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

/// What a node has found out about a member. If its fields change, [`Purpose::MemberStatus`] needs another label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SharedStatus {
    /// When the request to WeCom began that confirmed that the member may use the app.
    good_at: UnixMillis,
    /// A department of the member, as of the same response.
    department: Option<u32>,
}

impl SharedStatus {
    /// Whether WeCom confirmed it after `from`.
    fn is_recent(self, now: UnixMillis, from: UnixMillis) -> bool {
        self.good_at > from && !self.good_at.is_from_the_future(now)
    }
}

/// The names of a member's keys in Redis. They depend on everything that decides who may use the app: results found with other
/// rules, or for another app, do not count.
pub(crate) struct MemberKey {
    status: String,
    lease: String,
}

/// What another node has learnt from WeCom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// When it asked.
    pub(crate) at: UnixMillis,
    /// A department of the member, if it knows one.
    pub(crate) department: Option<u32>,
}

/// Which node asks WeCom about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecheckTurn {
    /// This node.
    Ours,
    /// Another one, right now.
    Elsewhere,
    /// None: another one has asked, and the member may use the app.
    Good(Confirmed),
}

impl Shared {
    /// The keys of this member.
    pub(crate) fn member_key(&self, entry: &WeComEntry, userid: &str) -> MemberKey {
        let rules = format!("{:?}", (&entry.allow_users, &entry.allow_departments, &entry.allow_tags));
        // WeCom's userids are case-insensitive.
        let userid = userid.to_ascii_lowercase();
        let (api, secret) = (entry.api_base.as_str(), entry.secret.expose_secret());
        let hash = fingerprint(&[&entry.corp_id, &entry.agent_id, api, secret, &rules, &userid]);
        MemberKey { status: self.names.member_status(&hash), lease: self.names.member_status_lease(&hash) }
    }

    /// The keys of the lease for a list of this department's members; no userid has a slash.
    pub(crate) fn department_key(&self, entry: &WeComEntry, department: u32) -> MemberKey {
        self.member_key(entry, &format!("department/{department}"))
    }

    /// That the member may use the app, if a node has learnt it from WeCom after `from`.
    pub(crate) async fn confirmed(&self, member: &MemberKey, from: UnixMillis) -> Option<Confirmed> {
        let mut get = cmd("GET");
        get.arg(&member.status);
        let text = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await??;
        let context = member.status.as_bytes();
        let status = self.keyring.open::<SharedStatus>(Purpose::MemberStatus, context, &text);
        if status.is_none() {
            self.ignored(OPERATION, 1);
        }
        let SharedStatus { good_at, department } = status.filter(|status| status.is_recent(now(), from))?;
        Some(Confirmed { at: good_at, department })
    }

    /// Whether this node asks about a member; a confirmation after `from` counts. While Redis is unreachable, each node asks.
    pub(crate) async fn turn(&self, member: &MemberKey, from: UnixMillis) -> RecheckTurn {
        if let Some(confirmed) = self.confirmed(member, from).await {
            return RecheckTurn::Good(confirmed);
        }
        if self.lease(member).await { RecheckTurn::Ours } else { RecheckTurn::Elsewhere }
    }

    /// Whether this node asks: not if another does right now.
    pub(crate) async fn lease(&self, key: &MemberKey) -> bool {
        let mut take = cmd("SET");
        take.arg(&key.lease).arg("1").arg("NX").arg("EX").arg(LEASE.as_secs());
        !matches!(self.link.ask::<Option<String>>(OPERATION, &take).await, Some(None))
    }

    /// Publishes that WeCom has confirmed that the member may use the app. Kept for `every`.
    pub(crate) async fn good(&self, member: &MemberKey, confirmed: Confirmed, every: Duration) {
        let status = SharedStatus { good_at: confirmed.at, department: confirmed.department };
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
        let status = SharedStatus { good_at, department: Some(2) };
        let (now, from) = (good_at.plus(Duration::from_secs(899)), |ms| UnixMillis(ms));
        assert!(status.is_recent(now, from(good_at.0 - 1)));
        assert!(!status.is_recent(now, from(good_at.0)));
        // A clock that is slightly slow, and one that is wrong.
        assert!(status.is_recent(UnixMillis(good_at.0 - 300_000), from(0)));
        assert!(!status.is_recent(UnixMillis(good_at.0 - 300_001), from(0)));
    }
}
