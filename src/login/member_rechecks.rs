//! Asks WeCom again, in the background, whether signed-in members may still use the app: all of them through one queue per entry,
//! few at a time, spread over `session.recheck`; members of one department together, if there are several
//! ([`super::department_rechecks`]). While WeCom is overloaded, limits the rate or is unreachable, only one probe at a time is sent,
//! with growing pauses; sessions continue meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::News;
use super::clock::now;
use super::recheck_queue::{Due, Joined, Queue};
use super::sessions::Sessions;
use crate::audit::{Actor, Source};
use crate::config::WeComEntry;
use crate::error::Failure;
use crate::session::{CachedSession, MemberRecheck, Session, UnixMillis};
use crate::shared::{Confirmed, Ending, MemberKey, RecheckTurn, Shared, Wanted};
use crate::wecom::{MemberStatus, WeComError};

impl Sessions {
    /// Asks WeCom about this session's member, if that is due.
    pub(super) fn recheck_member_if_due(
        self: &Arc<Self>,
        now: UnixMillis,
        session: &Session,
        seen: &CachedSession,
    ) {
        let every = self.config.session.recheck;
        if !seen.is_member_due(now, every) || !self.wecom.contains_key(&session.entry) {
            return;
        }
        let events = self.events(&session.entry, now);
        if events.is_some_and(|events| seen.postpone_member_recheck(now, events)) {
            return;
        }
        let queue = self.member_rechecks.of(&session.entry);
        if !queue.allows() {
            return;
        }
        let Some(order) = seen.due_member_recheck(now, every) else { return };
        let department = queue.department(&order, now, every);
        let due = Due { session: session.clone(), order };
        let Some(department) = department else { return self.recheck_alone(due, &queue) };
        match queue.join(department, self.generation, due) {
            Joined::Waits => {}
            Joined::First(group) => self.recheck_together(department, group, &session.entry, &queue),
            Joined::Alone(due) => self.recheck_alone(due, &queue),
        }
    }

    /// How long the next call has to wait.
    pub(super) fn wait(&self, queue: &Queue) -> Duration {
        let people = u32::try_from(self.cache.members()).unwrap_or(u32::MAX).max(1);
        queue.wait(self.config.session.recheck / people)
    }

    /// Asks about one member, when it is this call's turn.
    pub(super) fn recheck_alone(self: &Arc<Self>, due: Due, queue: &Arc<Queue>) {
        let (sessions, queue, wait) = (self.clone(), queue.clone(), self.wait(queue));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            sessions.recheck_member(&due.session, &queue, due.order).await;
        });
    }

    async fn recheck_member(self: &Arc<Self>, session: &Session, queue: &Queue, order: MemberRecheck) {
        let Some(client) = self.wecom.get(&session.entry) else { return };
        let Ok(_permit) = queue.at_once.acquire().await else { return };
        let shared = self.shared_member(session);
        let every = self.config.session.recheck;
        if let Some((shared, member)) = &shared {
            match shared.turn(member, self.wanted(&session.entry, &order)).await {
                RecheckTurn::Ours => {}
                RecheckTurn::Good(confirmed) => return known_elsewhere(order, confirmed),
                // Its result will be available when this recheck is due again.
                RecheckTurn::Elsewhere => return,
            }
        }
        // If dropped, the recheck is soon due again: a failure on WeCom's side ends no session.
        let Some(ticket) = queue.begin() else { return };
        let result = client.member_status(&session.userid).await;
        if let Some(news) = queue.end(&ticket, result.as_ref().err()) {
            log(&session.entry, &news, result.as_ref().err());
        }
        match result {
            Ok(MemberStatus::Gone(failure)) => {
                order.answered();
                self.member_gone(session, failure);
            }
            Ok(MemberStatus::Good { department }) => {
                let good_at = order.began();
                order.is_in(department);
                order.answered();
                if let Some((shared, member)) = &shared {
                    let kept = self.config.session.recheck_with_events.unwrap_or(every);
                    shared.good(member, Confirmed { at: good_at, department }, kept).await;
                }
            }
            Err(_) => {}
        }
    }

    /// What another node may have found out for this recheck.
    pub(super) fn wanted(&self, entry: &str, order: &MemberRecheck) -> Wanted {
        let from = order.counts_from(self.config.session.recheck, self.events(entry, now()));
        Wanted { from, listed: order.may_be_listed() }
    }

    /// Where the nodes share what they know about this session's member.
    fn shared_member(&self, session: &Session) -> Option<(&Arc<Shared>, MemberKey)> {
        let (shared, entry) = self.shared_entry(&session.entry)?;
        Some((shared, shared.member_key(entry, &session.userid)))
    }

    /// The same for all members of an entry.
    pub(super) fn shared_entry(&self, name: &str) -> Option<(&Arc<Shared>, &WeComEntry)> {
        let entry = self.config.wecom.iter().find(|entry| entry.name == name)?;
        Some((self.shared.as_ref()?, entry))
    }

    /// WeCom reports that this session's member may no longer use the app: all of the member's sessions end.
    fn member_gone(self: &Arc<Self>, session: &Session, failure: Failure) {
        let reason = failure.response().label;
        self.ended_by(Actor::WeCom, session, reason, &Source::default());
        let at = now();
        let (entry, userid) = (session.entry.clone(), session.userid.clone());
        self.publish(Ending::Member { entry, userid, at });
        let others = self.cache.end_member(&session.entry, &session.userid, at);
        if !others.is_empty() {
            self.member_ended(Actor::WeCom, &session.entry, &session.userid, reason, others);
        }
    }
}

/// Another node has asked.
pub(super) fn known_elsewhere(order: MemberRecheck, confirmed: Confirmed) {
    order.is_in(confirmed.department);
    order.answered_at(confirmed.at.min(now()));
}

/// One line when WeCom begins to fail, one per minute, and one when it is back.
pub(super) fn log(entry: &str, news: &News, error: Option<&WeComError>) {
    const PAUSED: &str = "WeCom cannot be asked whether members may still use the app: their sessions continue, and one call at \
                          a time tries again";
    let (seconds, paused) = match news {
        News::Began => (0, true),
        News::GoesOn(lasted) => (lasted.as_secs(), true),
        News::Ended(lasted) => (lasted.as_secs(), false),
    };
    match error {
        Some(error) if paused => tracing::error!(
            event = "member_rechecks",
            entry,
            seconds,
            call = error.call().name(),
            label = error.failure().response().label,
            class = error.class().name(),
            errcode = error.errcode(),
            errmsg = error.reason(),
            remedy = error.remedy(),
            "{PAUSED}"
        ),
        _ => tracing::info!(
            event = "member_rechecks",
            entry,
            seconds,
            "WeCom answers again: members are rechecked as usual"
        ),
    }
}

#[cfg(test)]
mod tests;
