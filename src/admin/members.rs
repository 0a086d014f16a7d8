//! `wecom-gate members show` and `unbind`.

use super::print::{self, MemberReport};
use super::sessions::rows;
use super::{Admin, AdminError};

impl Admin<'_> {
    pub(super) async fn show(&self, userid: &str) -> Result<String, AdminError> {
        let binding = self.binding(userid).await?;
        let nocobase = self.sessions.nocobase();
        let name = nocobase.user_name(binding.user).await?;
        // The service account may see roles only if there are rules for roles.
        let roles = match name {
            Some(_) => nocobase.roles(binding.user).await.ok().flatten(),
            None => None,
        };
        let live = self.live(Some(binding.user)).await?;
        let report = MemberReport {
            entry: binding.entry,
            userid: binding.userid,
            name: binding.name,
            nocobase_user: binding.user.get(),
            nocobase_name: name,
            roles: roles.map(|roles| roles.into_iter().collect()),
            sessions: rows(&live),
        };
        Ok(if self.options.json { print::json(&report) } else { print::member(&report) })
    }

    pub(super) async fn unbind(&self, userid: &str) -> Result<String, AdminError> {
        let binding = self.binding(userid).await?;
        let live = self.live(Some(binding.user)).await?;
        // Before the sessions are ended: otherwise the member's next tap could sign in with the old binding.
        self.sessions.unbind_by_administrator(&binding, (&self.by(), None)).await.map_err(|failed| {
            let refused = failed.failure == crate::error::Failure::NocoBaseServiceDenied;
            match AdminError::from(failed) {
                AdminError::Failed(why) if refused && self.options.as_user.is_none() => AdminError::Failed(format!(
                    "{why}; the service account may not delete bindings: give --as-user with the id of an administrator in \
                     NocoBase, or give its role Delete on usersAuthenticators"
                )),
                other => other,
            }
        })?;
        self.end_all(&live).await?;
        let text = if self.options.json {
            print::json(&serde_json::json!({
                "entry": binding.entry, "userid": binding.userid, "nocobase_user": binding.user.get(),
                "sessions_ended": live.len(),
            }))
        } else {
            format!(
                "{} ({}) is no longer bound to user {}; sessions ended: {}. The next tap matches again.\n",
                binding.userid,
                binding.entry,
                binding.user,
                live.len()
            )
        };
        Ok(self.ended(text).await)
    }
}
