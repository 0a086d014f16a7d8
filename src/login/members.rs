//! A member and their sessions, as an administrator finds and ends them in the console.

use std::cmp::Reverse;
use std::time::Duration;

use super::from_shell::By;
use super::sessions::Sessions;
use crate::audit::{Action, Actor, Record, Source, shown_of_session};
use crate::decide::browser::Browser;
use crate::error::FailureWithCause;
use crate::nocobase::records::{Binding, IssuedSession};
use crate::session::UnixMillis;
use crate::wecom::Department;

/// How long the page about a member waits for WeCom.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most members found by one search.
const MAX_FOUND: usize = 50;

/// When a session was last used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LastUse {
    /// To the minute, and the browser; `None`: not known.
    pub(crate) at: Option<(UnixMillis, Browser)>,
    /// On all nodes; else on this one.
    pub(crate) everywhere: bool,
}

impl Sessions {
    /// Members by `entry/userid`, which finds at most one, otherwise by part of their userid or of the name that they had when
    /// they were bound; case-insensitive.
    pub(crate) async fn find_members(&self, text: &str) -> Result<Vec<Binding>, FailureWithCause> {
        let entries: Vec<&str> = self.config.wecom.iter().map(|entry| entry.name.as_str()).collect();
        let mut all = self.nocobase.bindings(&entries).await?;
        let is_named = |b: &Binding| {
            text.split_once('/')
                .is_some_and(|(entry, userid)| b.entry == entry && b.userid.eq_ignore_ascii_case(userid))
        };
        if all.iter().any(is_named) {
            all.retain(is_named);
        } else {
            let word = text.to_lowercase();
            all.retain(|b| b.userid.to_lowercase().contains(&word) || b.name.to_lowercase().contains(&word));
        }
        all.sort_by(|a, b| (&a.entry, &a.userid).cmp(&(&b.entry, &b.userid)));
        all.truncate(MAX_FOUND);
        Ok(all)
    }

    /// The sessions of a member that NocoBase accepts, newest first.
    pub(crate) async fn sessions_of(&self, member: &Binding) -> Result<Vec<IssuedSession>, FailureWithCause> {
        let mut accepted = Vec::new();
        for session in self.nocobase.issued_sessions(Some(member.user)).await? {
            if self.accepts(&session).await? {
                accepted.push(session);
            }
        }
        accepted.sort_by_key(|session| Reverse(session.signed_in_ms));
        Ok(accepted)
    }

    /// When the session was last used, to the minute, and in which browser: on any node, as far as the nodes share it.
    pub(crate) async fn last_use(&self, session: &IssuedSession) -> LastUse {
        let Ok(sid) = uuid::Uuid::parse_str(&session.jti) else { return LastUse::default() };
        let here = self.cache.get(sid).and_then(|seen| seen.last_use());
        let (elsewhere, everywhere) = match &self.shared {
            Some(shared) => match shared.last_use(sid).await {
                Ok(used) => (used.map(|used| (used.at, used.browser)), true),
                Err(()) => (None, false),
            },
            None => (None, false),
        };
        let latest = here.into_iter().chain(elsewhere).max_by_key(|(at, _)| *at);
        LastUse { at: latest.map(|(at, number)| (at, Browser::from_number(number))), everywhere }
    }

    /// The departments of a member, as far as the app can see them; none if WeCom does not respond soon.
    pub(crate) async fn departments_of(&self, member: &Binding) -> Vec<Department> {
        let Some(client) = self.wecom.get(&member.entry) else { return Vec::new() };
        let asked = tokio::time::timeout(PATIENCE, client.departments_of(&member.userid)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The check was run; `member`: whose sign-in was tried, as `entry/userid`.
    pub(crate) fn record_check(&self, member: Option<&str>, (by, source): By<'_>) {
        let (entry, userid) = match member.map(|member| member.split_once('/').unwrap_or(("", member))) {
            Some((entry, userid)) => (Some(entry.to_owned()), Some(userid.to_owned())),
            None => (None, None),
        };
        let reason = Some(by.to_owned());
        let record = Record { entry, userid, reason, ..Record::new(Action::CheckRun, Actor::Administrator) };
        self.audit.write(source.unwrap_or(&Source::default()), &record);
    }

    /// Ends the session whose id is shown like this, if it is one of the member's.
    ///
    /// # Errors
    /// The session continues.
    pub(crate) async fn end_session_of(
        &self,
        member: &Binding,
        id: &str,
        by: By<'_>,
    ) -> Result<(), FailureWithCause> {
        let sessions = self.sessions_of(member).await?;
        for session in sessions.iter().filter(|session| shown_of_session(&session.jti) == id) {
            self.end_by_administrator(session, Some(member), by).await?;
        }
        Ok(())
    }

    /// Ends all sessions of the member, here and on the other nodes. Returns their number.
    ///
    /// # Errors
    /// Some may have ended already; another attempt ends the rest.
    pub(crate) async fn end_sessions_of(
        &self,
        member: &Binding,
        by: By<'_>,
    ) -> Result<usize, FailureWithCause> {
        let sessions = self.sessions_of(member).await?;
        for session in &sessions {
            self.end_by_administrator(session, Some(member), by).await?;
        }
        Ok(sessions.len())
    }
}
