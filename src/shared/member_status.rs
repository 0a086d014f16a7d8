//! Which members may still use the app, as far as one node has asked WeCom: the others need not ask again. So several nodes cost
//! WeCom no more calls than one, however requests are spread over them.

use std::time::Duration;

use redis::{Cmd, cmd, pipe};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::node::{Shared, now};
use super::payload::fingerprint;
use crate::config::WeComEntry;
use crate::metrics::RedisOperation::MemberStatus as OPERATION;
use crate::session::{Purpose, UnixMillis};

/// How long a node may take before another asks.
const LEASE: Duration = Duration::from_secs(15);
/// Most members that are published at once.
const AT_ONCE: usize = 100;

/// What a node has found out about a member. If its fields change, [`Purpose::MemberStatus`] needs another label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SharedStatus {
    /// When the request to WeCom began that confirmed that the member may use the app.
    good_at: UnixMillis,
    /// A department of the member, as of the same response.
    department: Option<u32>,
    /// The response was a list of the department's members.
    listed: bool,
}

impl SharedStatus {
    /// Whether this counts.
    fn is_enough(self, now: UnixMillis, wanted: Wanted) -> bool {
        self.good_at > wanted.from && !self.good_at.is_from_the_future(now) && (wanted.listed || !self.listed)
    }
}

/// The names of a member's keys in Redis. They depend on everything that decides who may use the app: results found with other
/// rules, or for another app, do not count.
pub(crate) struct MemberKey {
    status: String,
    lease: String,
}

/// What a node needs to know about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A confirmation after this time counts.
    pub(crate) from: UnixMillis,
    /// Also one by a list of members: not after an event about the member.
    pub(crate) listed: bool,
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

    /// That the member may use the app, if a node has learnt that from WeCom.
    pub(crate) async fn confirmed(&self, member: &MemberKey, wanted: Wanted) -> Option<Confirmed> {
        let mut get = cmd("GET");
        get.arg(&member.status);
        let text = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await??;
        let context = member.status.as_bytes();
        let status = self.keyring.open::<SharedStatus>(Purpose::MemberStatus, context, &text);
        if status.is_none() {
            self.ignored(OPERATION, 1);
        }
        let status = status.filter(|status| status.is_enough(now(), wanted))?;
        Some(Confirmed { at: status.good_at, department: status.department })
    }

    /// Whether this node asks about a member. While Redis is unreachable, each node asks.
    pub(crate) async fn turn(&self, member: &MemberKey, wanted: Wanted) -> RecheckTurn {
        if let Some(confirmed) = self.confirmed(member, wanted).await {
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
        let status = SharedStatus { good_at: confirmed.at, department: confirmed.department, listed: false };
        if let Some(set) = self.publish_member(member, status, every) {
            self.link.ask::<()>(OPERATION, &set).await;
        }
    }

    /// The same of several members, whom a list of a department's members has confirmed.
    pub(crate) async fn good_by_list(&self, members: &[MemberKey], confirmed: Confirmed, every: Duration) {
        let status = SharedStatus { good_at: confirmed.at, department: confirmed.department, listed: true };
        for members in members.chunks(AT_ONCE) {
            let mut commands = pipe();
            for set in members.iter().filter_map(|member| self.publish_member(member, status, every)) {
                commands.add_command(set).ignore();
            }
            self.link.send(OPERATION, &commands).await;
        }
    }

    fn publish_member(&self, member: &MemberKey, status: SharedStatus, every: Duration) -> Option<Cmd> {
        let sealed = self.keyring.seal(Purpose::MemberStatus, member.status.as_bytes(), &status).ok()?;
        let mut set = cmd("SET");
        set.arg(&member.status).arg(sealed).arg("EX").arg(every.as_secs().max(1));
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recent_status_counts() {
        let good_at = UnixMillis(1_000_000_000);
        let status = SharedStatus { good_at, department: Some(2), listed: false };
        let now = good_at.plus(Duration::from_secs(899));
        let from = |ms| Wanted { from: UnixMillis(ms), listed: false };
        assert!(status.is_enough(now, from(good_at.0 - 1)));
        assert!(!status.is_enough(now, from(good_at.0)));
        // A clock that is slightly slow, and one that is wrong.
        assert!(status.is_enough(UnixMillis(good_at.0 - 300_000), from(0)));
        assert!(!status.is_enough(UnixMillis(good_at.0 - 300_001), from(0)));
    }

    /// The node that requested the list may not know of the event.
    #[test]
    fn after_an_event_about_a_member_a_list_does_not_count() {
        let now = UnixMillis(1_000_000_000);
        for (listed, accepted, counts) in
            [(false, false, true), (false, true, true), (true, false, false), (true, true, true)]
        {
            let status = SharedStatus { good_at: now, department: None, listed };
            let wanted = Wanted { from: UnixMillis(0), listed: accepted };
            assert_eq!(status.is_enough(now, wanted), counts, "{listed} {accepted}");
        }
    }
}
