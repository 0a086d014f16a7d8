//! Events that WeCom sends: members who leave, departments and tags that change.

use std::time::Duration;

use moka::sync::Cache;

use super::sign_ins::SignIns;
use crate::wecom::event::{Event, Notice};

/// WeCom repeats an event up to three times within seconds.
const REPEATED: Duration = Duration::from_secs(15 * 60);
/// Most events remembered.
const CAPACITY: u64 = 10_000;

/// The events that have been acted upon, by entry and key.
#[derive(Clone)]
pub(super) struct SeenEvents(Cache<String, ()>);

impl SeenEvents {
    pub(super) fn new() -> SeenEvents {
        SeenEvents(Cache::builder().max_capacity(CAPACITY).time_to_live(REPEATED).build())
    }

    /// Is this its first arrival? Of any number of arrivals at once exactly one is (R34).
    fn is_first(&self, entry: &str, key: &str) -> bool {
        self.0.entry(format!("{entry}|{key}")).or_insert_with(|| ()).is_fresh()
    }
}

impl SignIns {
    /// Acts on an event. Delivery is not guaranteed by WeCom: the recheck of sessions in use does the same, later.
    pub(crate) fn on_event(&self, entry: &str, notice: Notice) {
        if !self.events.is_first(entry, &notice.key) {
            return;
        }
        tracing::info!(event = "wecom_event", entry, kind = kind(&notice.event), "event from WeCom");
        match notice.event {
            Event::Unsubscribe { userid } => {
                self.sessions.end_member(entry, &userid, "left the visible range")
            }
            Event::DeleteUser { userid } => self.sessions.end_member(entry, &userid, "deleted in WeCom"),
            Event::UpdateUser { userid, new_userid } => {
                self.forget_groups(entry);
                if new_userid.is_some() {
                    self.sessions.end_member(entry, &userid, "userid changed in WeCom");
                }
            }
            Event::PartyOrTagChanged => self.forget_groups(entry),
            Event::Other => {}
        }
    }

    fn forget_groups(&self, entry: &str) {
        if let Some((_, client)) = self.entry(entry) {
            client.drop_caches();
        }
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Unsubscribe { .. } => "unsubscribe",
        Event::DeleteUser { .. } => "delete_user",
        Event::UpdateUser { .. } => "update_user",
        Event::PartyOrTagChanged => "party_or_tag_changed",
        Event::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::SeenEvents;

    /// Enough rounds that a look followed by an insertion is caught in between on every machine tried.
    #[test]
    fn r34_of_arrivals_at_once_exactly_one_is_the_first() {
        const AT_ONCE: usize = 8;
        let (seen, start) = (SeenEvents::new(), Barrier::new(AT_ONCE));
        for round in 0..2_000 {
            let key = round.to_string();
            let arrive = || {
                start.wait();
                seen.is_first("main", &key)
            };
            let firsts = std::thread::scope(|threads| {
                let all: Vec<_> = (0..AT_ONCE).map(|_| threads.spawn(arrive)).collect();
                all.into_iter().map(|t| t.join().unwrap()).filter(|first| *first).count()
            });
            assert_eq!(firsts, 1, "round {round}");
        }
    }
}
