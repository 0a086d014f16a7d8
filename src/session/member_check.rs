//! When to ask WeCom about a member again. All sessions of a member on this node share this, so that the cost is one call per
//! member, not per browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::time::UnixMillis;

/// Delay before the next attempt if a recheck was not completed.
const RETRY: Duration = Duration::from_secs(30);

/// WeCom's events arrive: a member who leaves is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Events {
    /// Since when without a gap.
    pub(crate) since: UnixMillis,
    /// How often members are looked up nevertheless.
    pub(crate) every: Duration,
}

/// What this node knows about a member's status in WeCom.
#[derive(Debug)]
pub(super) struct MemberCheck {
    /// [`UnixMillis`] at which WeCom was asked for its last good response; until there is one, of the first request seen.
    checked_at: AtomicU64,
    /// [`UnixMillis`] before which no recheck begins.
    not_before: AtomicU64,
    /// [`UnixMillis`] of WeCom's latest event about a change of the member; 0: none.
    changed_at: AtomicU64,
    running: AtomicBool,
    /// A department of the member in WeCom; 0: not known.
    department: AtomicU32,
    /// No recheck has been completed yet.
    first: AtomicBool,
    /// A random offset between two checks, in 65536ths.
    phase: u16,
}

impl MemberCheck {
    /// Seen for the first time at `now`.
    pub(super) fn new(now: UnixMillis, phase: u16) -> MemberCheck {
        MemberCheck {
            checked_at: AtomicU64::new(now.0),
            not_before: AtomicU64::new(0),
            changed_at: AtomicU64::new(0),
            running: AtomicBool::new(false),
            department: AtomicU32::new(0),
            first: AtomicBool::new(true),
            phase,
        }
    }

    /// Is a recheck due? The first after a random part of `every`, so that members whose first requests arrive together (after a
    /// restart, at nine o'clock) are spread over the whole time; from then on every `every`.
    pub(super) fn is_due(&self, now: UnixMillis, every: Duration) -> bool {
        let checked_at = self.checked_at();
        let wait = match self.first.load(Ordering::Acquire) {
            true => every.mul_f64(f64::from(self.phase) / 65_536.0),
            false => every,
        };
        let old = now.since(checked_at) >= wait || checked_at.is_from_the_future(now);
        (old || checked_at < self.changed_at())
            && now.0 >= self.not_before.load(Ordering::Acquire)
            && !self.running.load(Ordering::Acquire)
    }

    /// WeCom has reported a change of the member: what was found out before no longer counts.
    pub(super) fn changed(&self, at: UnixMillis) {
        self.changed_at.fetch_max(at.0, Ordering::AcqRel);
        self.not_before.store(0, Ordering::Release);
    }

    /// According to WeCom, the member is in this department.
    pub(super) fn is_in(&self, department: Option<u32>) {
        self.department.store(department.unwrap_or(0), Ordering::Relaxed);
    }

    fn checked_at(&self) -> UnixMillis {
        UnixMillis(self.checked_at.load(Ordering::Acquire))
    }

    /// A list of members that was requested at `at` names this one as active. False: this says too little, because an event has
    /// reported a change since WeCom was last asked about the member.
    pub(super) fn listed(&self, at: UnixMillis) -> bool {
        if self.checked_at() < self.changed_at() {
            return false;
        }
        self.confirmed_at(at);
        true
    }

    /// WeCom, asked at this time by this node or another, has confirmed the member. It may be before the first request: what counts is
    /// when WeCom was asked.
    fn confirmed_at(&self, at: UnixMillis) {
        if self.first.swap(false, Ordering::AcqRel) {
            self.checked_at.store(at.0, Ordering::Release);
        } else {
            self.checked_at.fetch_max(at.0, Ordering::AcqRel);
        }
    }

    fn changed_at(&self) -> UnixMillis {
        UnixMillis(self.changed_at.load(Ordering::Acquire))
    }

    /// Can a recheck that is due wait, because WeCom's events would have reported a change? Only if WeCom has confirmed the member
    /// since they arrive. If so, this is asked again half a minute later.
    pub(super) fn postpone(&self, now: UnixMillis, events: Events) -> bool {
        let checked_at = self.checked_at();
        let confirmed = !self.first.load(Ordering::Acquire)
            && checked_at >= events.since.max(self.changed_at())
            && now.since(checked_at) < events.every
            && !checked_at.is_from_the_future(now);
        if confirmed {
            self.not_before.fetch_max(now.plus(RETRY).0, Ordering::AcqRel);
        }
        confirmed
    }

    /// Exactly one caller gets the task, until it is completed or dropped.
    pub(super) fn order(self: &Arc<Self>, now: UnixMillis, every: Duration) -> Option<MemberRecheck> {
        if !self.is_due(now, every) || self.running.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(MemberRecheck { check: self.clone(), began: now, retry: RETRY.min(every) })
    }
}

/// The task of asking WeCom about a member. Dropped without a result, it is handed out again half a minute later; the sessions
/// continue meanwhile.
#[derive(Debug)]
#[must_use = "report how the recheck ended"]
pub(crate) struct MemberRecheck {
    check: Arc<MemberCheck>,
    began: UnixMillis,
    retry: Duration,
}

impl MemberRecheck {
    /// When the recheck began.
    pub(crate) const fn began(&self) -> UnixMillis {
        self.began
    }

    /// From what time on a confirmation that another node got from WeCom counts.
    pub(crate) fn counts_from(&self, every: Duration, events: Option<Events>) -> UnixMillis {
        let usual = self.began.minus(every);
        let earliest = match events {
            Some(events) if !self.check.first.load(Ordering::Acquire) => {
                self.began.minus(events.every).max(events.since).min(usual)
            }
            _ => usual,
        };
        earliest.max(self.check.changed_at())
    }

    /// A department of the member, whose list of members may say what is to be found out.
    pub(crate) fn department(&self) -> Option<u32> {
        let known = self.check.department.load(Ordering::Relaxed);
        (known != 0 && self.may_be_listed()).then_some(known)
    }

    /// May a list of members say what is to be found out? Not after an event about the member.
    pub(crate) fn may_be_listed(&self) -> bool {
        self.last_checked() >= self.check.changed_at()
    }

    /// When WeCom last confirmed the member, or the first request was seen.
    pub(crate) fn last_checked(&self) -> UnixMillis {
        self.check.checked_at()
    }

    /// According to WeCom, the member is in this department.
    pub(crate) fn is_in(&self, department: Option<u32>) {
        self.check.is_in(department);
    }

    /// WeCom has responded.
    pub(crate) fn answered(self) {
        let began = self.began;
        self.answered_at(began);
    }

    /// WeCom responded to another node, which asked at this time.
    pub(crate) fn answered_at(self, at: UnixMillis) {
        self.check.confirmed_at(at);
    }
}

impl Drop for MemberRecheck {
    fn drop(&mut self) {
        self.check.not_before.store(self.began.plus(self.retry).0, Ordering::Release);
        self.check.running.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const EVERY: Duration = Duration::from_secs(900);

    fn later(secs: u64) -> UnixMillis {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn people_seen_at_once_are_spread_over_the_whole_time_and_cost_one_call_each() {
        let members: Vec<_> = (0..900_u32)
            .map(|n| Arc::new(MemberCheck::new(NOW, u16::try_from(n * 65_536 / 900).unwrap())))
            .collect();
        let mut per_minute = Vec::new();
        let mut all = 0;
        for second in 0..3600 {
            if second % 60 == 0 {
                per_minute.push(0);
            }
            for member in &members {
                if let Some(order) = member.order(later(second), EVERY) {
                    order.answered();
                    *per_minute.last_mut().unwrap() += 1;
                    all += 1;
                }
            }
        }
        assert_eq!(all, 4 * 900, "people / recheck");
        assert!(per_minute.iter().all(|calls| (55..=65).contains(calls)), "{per_minute:?}");
    }

    #[test]
    fn another_nodes_check_counts_from_when_it_asked() {
        let member = Arc::new(MemberCheck::new(NOW, 0));
        let order = member.order(later(60), EVERY).unwrap();
        order.answered_at(later(10));
        assert!(!member.is_due(later(909), EVERY));
        assert!(member.is_due(later(910), EVERY));
        // Older than what this node knows: no change.
        member.order(later(910), EVERY).unwrap().answered_at(later(5));
        assert!(!member.is_due(later(939), EVERY) && member.is_due(later(940), EVERY));
    }

    /// A node that has just started has only seen the member's first request.
    #[test]
    fn another_nodes_check_from_before_the_first_request_counts_from_when_it_asked() {
        let member = Arc::new(MemberCheck::new(later(800), 0));
        let order = member.order(later(810), EVERY).unwrap();
        assert_eq!(order.counts_from(EVERY, None), NOW.minus(Duration::from_secs(90)));
        order.answered_at(NOW);
        assert!(!member.is_due(later(899), EVERY) && member.is_due(later(900), EVERY));
        // The same with a list of the department's members.
        let member = Arc::new(MemberCheck::new(later(800), 65_535));
        assert!(member.listed(NOW));
        assert!(!member.is_due(later(899), EVERY) && member.is_due(later(900), EVERY));
    }

    /// The list may be older than the event, or than the change.
    #[test]
    fn r15_a_list_does_not_confirm_a_member_about_whom_an_event_has_arrived() {
        let member = Arc::new(MemberCheck::new(NOW, 0));
        assert!(member.listed(later(10)));
        member.changed(later(20));
        assert!(!member.listed(later(30)) && member.is_due(later(40), EVERY));
        member.order(later(40), EVERY).unwrap().answered();
        assert!(member.listed(later(50)) && !member.is_due(later(949), EVERY));
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn while_events_arrive_a_member_is_looked_up_once_a_day() {
        let member = Arc::new(MemberCheck::new(NOW, 1000));
        let events = Events { since: NOW, every: DAY };
        let mut orders = Vec::new();
        for minute in 0..3 * 24 * 60 {
            let now = later(minute * 60);
            if member.is_due(now, EVERY) && !member.postpone(now, events) {
                orders.push(minute);
                member.order(now, EVERY).unwrap().answered();
            }
        }
        assert_eq!(orders, [1, 1 + 24 * 60, 1 + 2 * 24 * 60], "the first one as usual");
    }

    #[test]
    fn what_was_found_out_before_the_events_or_before_a_change_does_not_count() {
        let member = Arc::new(MemberCheck::new(NOW, 0));
        let events = |since| Events { since, every: DAY };
        assert!(!member.postpone(later(1000), events(NOW)), "not confirmed by WeCom yet");
        member.order(later(1000), EVERY).unwrap().answered();
        assert!(member.is_due(later(2000), EVERY));
        assert!(!member.postpone(later(2000), events(later(1001))), "events may have been lost before");
        assert!(member.postpone(later(2000), events(later(1000))));
        assert!(!member.is_due(later(2029), EVERY) && member.is_due(later(2030), EVERY), "asked again soon");
        // An event about this member: at once, however short ago the last confirmation was.
        member.order(later(2100), EVERY).unwrap().answered();
        assert!(!member.is_due(later(2200), EVERY));
        member.changed(later(2150));
        assert!(member.is_due(later(2200), EVERY) && !member.postpone(later(2200), events(NOW)));
        member.order(later(2200), EVERY).unwrap().answered();
        assert!(!member.is_due(later(2300), EVERY));
    }

    #[test]
    fn another_nodes_confirmation_counts_if_it_is_recent_or_events_vouch_for_it() {
        let member = Arc::new(MemberCheck::new(NOW, 0));
        let events = Some(Events { since: later(100), every: DAY });
        let order = member.order(later(50_000), EVERY).unwrap();
        assert_eq!(order.counts_from(EVERY, None), later(49_100));
        assert_eq!(order.counts_from(EVERY, events), later(49_100), "the first of this node");
        order.answered_at(later(49_200));
        let order = member.order(later(60_000), EVERY).unwrap();
        assert_eq!(order.counts_from(EVERY, events), later(100));
        assert_eq!(
            order.counts_from(EVERY, Some(Events { since: later(59_999), every: DAY })),
            later(59_100)
        );
        member.changed(later(59_500));
        assert_eq!(order.counts_from(EVERY, events), later(59_500));
        assert_eq!(order.counts_from(EVERY, None), later(59_500));
    }

    #[test]
    fn an_order_is_given_once_and_again_half_a_minute_after_it_failed() {
        let member = Arc::new(MemberCheck::new(NOW, 0));
        let order = member.order(NOW, EVERY).unwrap();
        assert!(member.order(later(900), EVERY).is_none());
        drop(order);
        assert!(member.order(later(29), EVERY).is_none());
        member.order(later(30), EVERY).unwrap().answered();
        assert!(!member.is_due(later(929), EVERY));
        assert!(member.is_due(later(930), EVERY));
    }
}
