//! Events from WeCom: members who leave, departments and tags that change.

use super::sign_ins::SignIns;
use crate::wecom::event::{Event, Notice};

impl SignIns {
    /// Processes an event. WeCom does not guarantee delivery: the recheck of sessions in use has the same effect later.
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
