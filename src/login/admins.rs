//! Who may see the console, and use the app while it is closed for maintenance.

use std::sync::Arc;
use std::time::Duration;

use super::clock::now;
use super::sessions::{FoundSession, Sessions};
use crate::error::{FailureWithCause, Level, OnceAMinute, log_cause};
use crate::nocobase::UserId;
use crate::session::{OwnCookies, Session};

/// Logs that NocoBase could not be asked for data that the console, or the check who may see it, needs.
pub(crate) fn log_console(failed: &FailureWithCause, session: &Session, left_out: Option<u64>) {
    log_cause!(
        Level::Warn,
        *failed.cause,
        [
            event = "console",
            label = failed.failure.response().label,
            userid = session.userid,
            reason = failed.cause.reason,
            left_out,
        ],
        "NocoBase did not do what the console asked for"
    );
}

/// How long a page for maintenance waits to know whether its reader is an administrator: NocoBase may be down.
const TIMEOUT: Duration = Duration::from_secs(2);

static NOT_KNOWN: OnceAMinute = OnceAMinute::new();

impl Sessions {
    /// May the browser with these cookies use the app while it is closed for maintenance? NocoBase is asked only if the answer
    /// depends on it, and not for long.
    pub(crate) async fn is_open_for(self: &Arc<Self>, cookies: &OwnCookies<'_>) -> bool {
        let admins = &self.config.access.admins;
        let is_named = |session: &Session| admins.names(&session.entry, &session.userid);
        if admins.roles.is_empty() && !self.cookies.read_all(cookies, now()).any(|s| is_named(&s)) {
            return false;
        }
        let is_admin = async {
            let FoundSession::Active { session, .. } = self.find(cookies).await else { return false };
            is_named(&session) || self.known_admins.get(session.user_id, self.is_admin(&session)).await
        };
        tokio::time::timeout(TIMEOUT, is_admin).await.unwrap_or(false)
    }

    /// Does `access.admins` name this member, or a role that their user has now? NocoBase is asked each time, so that a removed
    /// role no longer counts; while NocoBase cannot be reached, no role counts.
    pub(crate) async fn is_admin(&self, session: &Session) -> bool {
        let admins = &self.config.access.admins;
        if admins.names(&session.entry, &session.userid) {
            return true;
        }
        let Some(user) = UserId::new(session.user_id).filter(|_| !admins.roles.is_empty()) else {
            return false;
        };
        match self.nocobase.roles(user).await {
            Ok(roles) => roles.is_some_and(|roles| admins.roles.iter().any(|role| roles.contains(role))),
            Err(failed) => {
                if let Some(left_out) = NOT_KNOWN.due() {
                    log_console(&failed, session, Some(left_out));
                }
                false
            }
        }
    }
}
