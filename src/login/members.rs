//! A member and their sessions, as an administrator finds and ends them in the console.

use std::cmp::Reverse;
use std::time::Duration;

use super::clock::now;
use super::sessions::Sessions;
use crate::audit::shown_of_session;
use crate::decide::browser::Browser;
use crate::error::FailureWithCause;
use crate::nocobase::records::{Binding, IssuedSession};
use crate::session::{CachedSession, UnixMillis};
use crate::wecom::Department;

/// How long the page about a member waits for WeCom.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most members found by one search.
const MOST: usize = 50;

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
        all.truncate(MOST);
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

    /// Records a request of this session, for the console.
    pub(crate) fn used(&self, seen: &CachedSession, user_agent: Option<&str>) {
        seen.used(now(), || Browser::of(user_agent).number());
    }

    /// When this node last saw the session, to the minute, and in which browser.
    pub(crate) fn last_use(&self, session: &IssuedSession) -> Option<(UnixMillis, Browser)> {
        let sid = uuid::Uuid::parse_str(&session.jti).ok()?;
        let (at, browser) = self.cache.get(sid)?.last_use()?;
        Some((at, Browser::from_number(browser)))
    }

    /// The departments of a member, as far as the app can see them; none if WeCom does not respond soon.
    pub(crate) async fn departments_of(&self, member: &Binding) -> Vec<Department> {
        let Some(client) = self.wecom.get(&member.entry) else { return Vec::new() };
        let asked = tokio::time::timeout(PATIENCE, client.departments_of(&member.userid)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Ends the session whose id is shown like this, if it is one of the member's.
    ///
    /// # Errors
    /// The session continues.
    pub(crate) async fn end_session_of(
        &self,
        member: &Binding,
        id: &str,
        by: &str,
    ) -> Result<(), FailureWithCause> {
        let sessions = self.sessions_of(member).await?;
        for session in sessions.iter().filter(|session| shown_of_session(&session.jti) == id) {
            self.end_by_administrator(session, Some(member), by).await?;
        }
        Ok(())
    }

    /// Ends all sessions of the member, here and on the other nodes; `by`: where and by whom, for the audit log. Returns their
    /// number.
    ///
    /// # Errors
    /// Some may have ended already; another attempt ends the rest.
    pub(crate) async fn end_sessions_of(
        &self,
        member: &Binding,
        by: &str,
    ) -> Result<usize, FailureWithCause> {
        let sessions = self.sessions_of(member).await?;
        for session in &sessions {
            self.end_by_administrator(session, Some(member), by).await?;
        }
        Ok(sessions.len())
    }
}
