//! Name and e-mail address of the NocoBase user are updated from WeCom at each sign-in (`nocobase.update_profile`).
//!
//! No failure here keeps a member out. As for matching, only the company's own e-mail address counts: members enter the other one
//! themselves.

use std::time::Duration;

use super::account::person;
use super::sign_ins::SignIns;
use crate::config::WeComEntry;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::wecom::Member;

/// How long a sign-in waits for the update.
const TIMEOUT: Duration = Duration::from_secs(3);

impl SignIns {
    /// One call to NocoBase, and a second one if something differs.
    pub(super) async fn update_profile(&self, entry: &WeComEntry, member: &Member, user: UserId) {
        let fields = &self.config.nocobase.update_profile;
        if fields.is_empty() {
            return;
        }
        // WeCom returns no names to some apps; the userid is then used instead.
        let mut person = person(entry, member, &member.details);
        if person.name == person.userid {
            person.name.clear();
        }
        let update = self.sessions.accounts.update_profile(user, &person, fields);
        let failed = match tokio::time::timeout(TIMEOUT, update).await {
            Ok(Ok(changed)) if changed.is_empty() => return,
            Ok(Ok(changed)) => {
                tracing::info!(event = "profile", entry = entry.name, userid = member.userid, nocobase_user = %user,
                    fields = changed.join(", "), "profile updated");
                return;
            }
            Ok(Err(failed)) => failed,
            Err(_) => FailureWithCause::from(Failure::NocoBaseTimeout),
        };
        // Usually it fails for the same reason at every sign-in: a permission is missing.
        let Some(left_out) = self.profile_line.due() else { return };
        let (label, cause) = (failed.failure.response().label, &*failed.cause);
        let reason = Some(cause.reason.as_str()).filter(|reason| !reason.is_empty());
        tracing::warn!(event = "profile", entry = entry.name, userid = member.userid, nocobase_user = %user, label, reason,
            call = cause.call, remedy = cause.remedy, left_out, "the profile stays as it is");
    }
}
