//! Attempts to link an account by its password: limits per member and per account. The requests
//! to NocoBase come from the gate's address, so that a limit of NocoBase's by address might not hold.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use super::gcra::{ADDRESSES, Address, Charge, Over, first, nanos, next};

/// Wrong attempts within this time, per member and per account.
pub(crate) const ATTEMPTS: u32 = 5;
pub(crate) const SPAN: Duration = Duration::from_secs(15 * 60);

/// The attempts of this node.
pub(super) struct Links {
    seen: Cache<String, Arc<Address>>,
    at_work: Arc<Mutex<HashSet<String>>>,
}

/// The charge for an attempt, given back when this is dropped; and the member's turn.
#[must_use]
pub(crate) struct LinkCharge {
    member: Charge,
    account: Charge,
    _turn: Turn,
}

impl LinkCharge {
    /// Keeps the charge. The turn ends.
    pub(crate) fn keep(self) {
        self.member.keep();
        self.account.keep();
    }
}

impl Links {
    pub(super) fn new() -> Links {
        Links {
            seen: Cache::builder().max_capacity(ADDRESSES).time_to_idle(SPAN).build(),
            at_work: Arc::default(),
        }
    }

    /// An attempt of this member for this account: charged before it is processed (R34), and one at a time per member, who could
    /// else get two users at once.
    pub(super) fn take(&self, member: &str, account: &str, now: u64) -> Result<LinkCharge, Over> {
        let [member, account] = counted(member, account);
        let turn = Turn::take(&self.at_work, &member).ok_or(Over { first: true })?;
        let member = self.charge(member, now)?;
        let account = self.charge(account, now)?;
        Ok(LinkCharge { member, account, _turn: turn })
    }

    fn charge(&self, key: String, now: u64) -> Result<Charge, Over> {
        let (span, seen) = (nanos(SPAN), self.seen.get_with(key, Arc::default));
        let every = span / u64::from(ATTEMPTS);
        let taken =
            seen.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| next(due, now, (every, span)));
        match taken {
            Ok(_) => Ok(Charge(Some((seen, every)))),
            Err(_) => Err(Over { first: first(&seen.logged_at, now) }),
        }
    }
}

/// What an attempt counts for: the member, and the account.
pub(crate) fn counted(member: &str, account: &str) -> [String; 2] {
    // Some databases compare case-insensitively.
    [format!("member {}", member.to_ascii_lowercase()), format!("account {}", account.trim().to_lowercase())]
}

/// No other attempt of this member is in progress.
struct Turn {
    at_work: Arc<Mutex<HashSet<String>>>,
    key: String,
}

impl Turn {
    fn take(at_work: &Arc<Mutex<HashSet<String>>>, key: &str) -> Option<Turn> {
        at_work.lock().insert(key.to_owned()).then(|| Turn { at_work: at_work.clone(), key: key.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.at_work.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// How many of these attempts are let through, each of them wrong.
    fn wrong(links: &Links, tries: usize, member: &str, account: &str, now: u64) -> usize {
        let taken = (0..tries).filter_map(|_| links.take(member, account, now).ok());
        taken.map(LinkCharge::keep).count()
    }

    #[test]
    fn r34_attempts_of_a_member_and_for_an_account_are_few() {
        let links = Links::new();
        assert_eq!(wrong(&links, 9, "wecom/zhangsan", "root", S), 5);
        assert_eq!(wrong(&links, 9, "WECOM/ZhangSan", "other", S), 0, "the same member");
        assert_eq!(wrong(&links, 9, "wecom/lisi", " ROOT ", S), 0, "the same account");
        assert_eq!(wrong(&links, 9, "wecom/lisi", "lisi", S), 5);
        // One more for each fifth of the time.
        assert_eq!(wrong(&links, 9, "wecom/zhangsan", "root", S + 3 * 60 * S), 1);
    }

    #[test]
    fn r34_what_was_not_deserved_is_given_back() {
        let links = Links::new();
        for _ in 0..50 {
            drop(links.take("wecom/zhangsan", "zhangsan", S).ok().unwrap());
        }
        assert_eq!(wrong(&links, 9, "wecom/zhangsan", "zhangsan", S), 5);
        // Refused for the account: the member is not charged.
        assert_eq!(wrong(&links, 9, "wecom/lisi", "zhangsan", S), 0);
        assert_eq!(wrong(&links, 9, "wecom/lisi", "lisi", S), 5);
    }

    #[test]
    fn r34_one_attempt_of_a_member_at_a_time() {
        let links = Links::new();
        let first = links.take("wecom/zhangsan", "a", S).ok().unwrap();
        assert!(links.take("wecom/ZHANGSAN", "b", S).is_err());
        let other = links.take("wecom/lisi", "c", S);
        assert!(other.is_ok());
        drop(first);
        assert!(links.take("wecom/zhangsan", "b", S).is_ok());
    }
}
