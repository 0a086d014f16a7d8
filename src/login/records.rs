//! Records about sign-ins and sessions for the audit log.

use super::sessions::Sessions;
use crate::audit::{Action, Actor, Audit, Record, Source};
use crate::error::Failure;
use crate::session::Session;

impl Sessions {
    /// The audit log.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// A sign-in has failed before the member was known.
    pub(crate) fn record_refusal(&self, entry: Option<&str>, failure: Failure, source: &Source) {
        let record = Record {
            entry: entry.map(str::to_owned),
            label: Some(failure.response().label),
            ..Record::new(Action::Refused, Actor::Member)
        };
        self.audit.write(source, &record);
    }

    /// A session has ended; nothing is recorded if this node knows that it had ended before.
    pub(super) fn record_end(
        &self,
        (action, actor): (Action, Actor),
        session: &Session,
        reason: &str,
        source: &Source,
    ) {
        if self.cache.get(session.sid).is_some_and(|seen| seen.is_ended()) {
            return;
        }
        let record = Record { reason: Some(reason.to_owned()), ..of_session(action, actor, session) };
        self.audit.write(source, &record);
    }
}

/// A record about this session.
pub(super) fn of_session(action: Action, actor: Actor, session: &Session) -> Record {
    Record {
        entry: Some(session.entry.clone()),
        // A session that began at NocoBase's own form belongs to no member.
        userid: (!session.entry.is_empty()).then(|| session.userid.clone()),
        name: Some(session.name.clone()),
        nocobase_user: Some(session.user_id),
        session: Some(session.sid.to_string()),
        ..Record::new(action, actor)
    }
}
