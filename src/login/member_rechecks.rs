//! Asks WeCom again, in the background, whether signed-in members may still use the app: all of them through one queue per entry,
//! few at a time, spread over `session.recheck`. While WeCom is overloaded, limits the rate or is unreachable, only one probe at
//! a time is sent, with growing pauses; sessions continue meanwhile.

use std::sync::Arc;

use super::breaker::News;
use super::clock::now;
use super::recheck_queue::Queue;
use super::sessions::Sessions;
use crate::audit::{Actor, Source};
use crate::error::Failure;
use crate::session::{CachedSession, MemberRecheck, Session};
use crate::shared::{Ending, MemberKey, RecheckTurn, Shared};
use crate::wecom::{MemberStatus, WeComError};

impl Sessions {
    /// Asks WeCom about this session's member, if that is due.
    pub(super) fn recheck_member_if_due(self: &Arc<Self>, session: &Session, seen: &CachedSession) {
        let (now, every) = (now(), self.config.session.recheck);
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
        let people = u32::try_from(self.cache.members()).unwrap_or(u32::MAX).max(1);
        let wait = queue.wait(every / people);
        let (sessions, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            sessions.recheck_member(&session, &queue, order).await;
        });
    }

    async fn recheck_member(self: &Arc<Self>, session: &Session, queue: &Queue, order: MemberRecheck) {
        let Some(client) = self.wecom.get(&session.entry) else { return };
        let Ok(_permit) = queue.at_once.acquire().await else { return };
        let shared = self.shared_member(session);
        let every = self.config.session.recheck;
        if let Some((shared, member)) = &shared {
            let from = order.counts_from(every, self.events(&session.entry, now()));
            match shared.turn(member, from).await {
                RecheckTurn::Ours => {}
                RecheckTurn::GoodAt(at) => return order.answered_at(at.min(now())),
                // Its result will be available when this recheck is due again.
                RecheckTurn::Elsewhere => return,
            }
        }
        // If dropped, the recheck is soon due again: a failure on WeCom's side ends no session.
        let Some(ticket) = queue.begin() else { return };
        let result = client.member_status(&session.userid).await;
        if let Some(news) = queue.end(&ticket, &result) {
            log(&session.entry, &news, result.as_ref().err());
        }
        match result {
            Ok(MemberStatus::Gone(failure)) => {
                order.answered();
                self.member_gone(session, failure);
            }
            Ok(_) => {
                let good_at = order.began();
                order.answered();
                if let Some((shared, member)) = &shared {
                    let kept = self.config.session.recheck_with_events.unwrap_or(every);
                    shared.good(member, good_at, kept).await;
                }
            }
            Err(_) => {}
        }
    }

    /// Where the nodes share what they know about this session's member.
    fn shared_member(&self, session: &Session) -> Option<(&Arc<Shared>, MemberKey)> {
        let shared = self.shared.as_ref()?;
        let entry = self.config.wecom.iter().find(|entry| entry.name == session.entry)?;
        Some((shared, shared.member_key(entry, &session.userid)))
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

/// One line when WeCom begins to fail, one per minute, and one when it is back.
fn log(entry: &str, news: &News, error: Option<&WeComError>) {
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
