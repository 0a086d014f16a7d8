//! Who may see the console.

use super::sessions::Sessions;
use crate::error::{FailureWithCause, Level, OnceAMinute, log_cause};
use crate::nocobase::UserId;
use crate::session::Session;

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

static NOT_KNOWN: OnceAMinute = OnceAMinute::new();

impl Sessions {
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
