//! Who may see the console.

use super::sessions::Sessions;
use crate::error::{Level, OnceAMinute, log_cause};
use crate::nocobase::UserId;
use crate::session::Session;

static NOT_KNOWN: OnceAMinute = OnceAMinute::new();

impl Sessions {
    /// Does `access.admins` name this member, or a role that their user has now? NocoBase is asked each time, so that a role
    /// that was taken away counts no longer; while it cannot say, the role does not count.
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
                    log_cause!(
                        Level::Warn,
                        *failed.cause,
                        [
                            event = "console",
                            label = failed.failure.response().label,
                            userid = session.userid,
                            left_out,
                        ],
                        "whether this user may see the console is not known"
                    );
                }
                false
            }
        }
    }
}
