//! Events from WeCom: members who leave, departments and tags that change.

use super::clock::now;
use super::sessions::Sessions;
use super::sign_ins::SignIns;
use crate::session::{Events, UnixMillis};
use crate::shared::{Change, Ending};
use crate::wecom::event::{Event, Notice};

impl SignIns {
    /// Processes an event. WeCom does not guarantee delivery: the recheck of sessions in use has the same effect later.
    pub(crate) fn on_event(&self, entry: &str, notice: Notice) {
        if !self.events.is_first(entry, &notice.key) {
            return;
        }
        tracing::info!(event = "wecom_event", entry, kind = kind(&notice.event), "event from WeCom");
        let change = match notice.event {
            Event::Unsubscribe { userid } => {
                self.sessions.end_member(entry, &userid, "left the visible range");
                Change::None
            }
            Event::DeleteUser { userid } => {
                self.sessions.end_member(entry, &userid, "deleted in WeCom");
                Change::None
            }
            Event::UpdateUser { userid, new_userid } => {
                if new_userid.is_some() {
                    self.sessions.end_member(entry, &userid, "userid changed in WeCom");
                }
                Change::Member(userid)
            }
            Event::PartyOrTagChanged => Change::Any,
            Event::Other => Change::None,
        };
        let at = now();
        if self.sessions.note_event(entry, &change, at) || change != Change::None {
            self.sessions.publish(Ending::Event { entry: entry.to_owned(), change, at });
        }
    }
}

impl Sessions {
    /// Notes that an event has arrived at this node or another. Returns whether the other nodes should be told that events arrive.
    pub(super) fn note_event(&self, entry: &str, change: &Change, at: UnixMillis) -> bool {
        if *change != Change::None
            && let Some(client) = self.wecom.get(entry)
        {
            client.drop_caches();
        }
        match change {
            Change::None => {}
            Change::Member(userid) => self.cache.member_changed(entry, Some(userid), at),
            Change::Any if self.depends_on_groups(entry) => self.cache.member_changed(entry, None, at),
            Change::Any => {}
        }
        self.event_arrivals.note(entry, at)
    }

    /// The events of this entry, if members need not be looked up as often because of them: they arrive, they report everything
    /// that decides who may use the app (changes of departments and tags go to another app's callback), and this node learns of
    /// those that arrive at others.
    pub(super) fn events(&self, entry: &str, now: UnixMillis) -> Option<Events> {
        let every = self.config.session.recheck_with_events?;
        let others_are_heard = self.shared.as_ref().is_none_or(|shared| shared.trouble().is_none());
        if !others_are_heard || self.depends_on_groups(entry) {
            return None;
        }
        Some(Events { since: self.event_arrivals.since(entry, now)?, every })
    }

    /// Do departments or tags decide who may use the app?
    fn depends_on_groups(&self, entry: &str) -> bool {
        let entry = self.config.wecom.iter().find(|e| e.name == entry);
        entry.is_some_and(|e| !e.allow_departments.is_empty() || !e.allow_tags.is_empty())
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
