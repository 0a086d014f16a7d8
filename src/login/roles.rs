//! A member's departments and tags become roles of the NocoBase user, at each sign-in.
//!
//! No failure here keeps a member out: rules about roles only add to what a user may do, and "cannot be evaluated" changes
//! nothing.

use std::collections::BTreeSet;

use super::sign_ins::SignIns;
use crate::audit::{Action, Actor, Record, Source};
use crate::config::WeComEntry;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::nocobase::roles::Plan;
use crate::wecom::{self, Member};

impl SignIns {
    /// Assigns the user the roles of this entry's matching rules, and removes those of the other rules.
    pub(super) async fn roles(
        &self,
        entry: &WeComEntry,
        client: &wecom::Client,
        member: &Member,
        (user, source): (UserId, &Source),
    ) {
        if entry.roles.is_empty() {
            return;
        }
        if let Err(failed) = self.change_roles(entry, client, member, (user, source)).await {
            let (label, cause) = (failed.failure.response().label, &*failed.cause);
            let reason = Some(cause.reason.as_str()).filter(|reason| !reason.is_empty());
            tracing::warn!(event = "roles", entry = entry.name, userid = member.userid, nocobase_user = %user, label,
                reason, call = cause.call, errcode = cause.errcode, errmsg = cause.errmsg, remedy = cause.remedy,
                "the roles stay as they are");
        }
    }

    async fn change_roles(
        &self,
        entry: &WeComEntry,
        client: &wecom::Client,
        member: &Member,
        (user, source): (UserId, &Source),
    ) -> Result<(), FailureWithCause> {
        let mut matching = client.roles(member).await?;
        let managed: BTreeSet<&str> = entry.roles.iter().map(|rule| rule.role.as_str()).collect();
        let mut instead: BTreeSet<&str> =
            self.config.nocobase.default_roles.iter().map(String::as_str).collect();
        let read = async || {
            let roles = self.sessions.nocobase.roles(user).await?;
            roles.ok_or_else(|| FailureWithCause::from(Failure::NocoBaseBadAnswer))
        };
        let before = read().await?;
        let mut now = before.clone();
        // Repeated without the roles that NocoBase turned out not to know: other roles may have to replace them.
        for _ in 0..2 {
            let want = Plan { managed: &managed, matching: &matching, instead: &instead }.of(&before);
            if want == now {
                break;
            }
            self.sessions.nocobase.set_roles(user, &before, &want).await?;
            now = read().await?;
            if want == now {
                break;
            }
            let (unknown, remaining) = (minus(&want, &now), minus(&now, &want));
            tracing::warn!(event = "roles", entry = entry.name, userid = member.userid, nocobase_user = %user, ?unknown,
                ?remaining, "NocoBase did not take these roles: it does not know them, or the service account lacks Update \
                        with the field roles on users");
            matching.retain(|role| !unknown.iter().any(|u| u == role));
            instead.retain(|role| !unknown.iter().any(|u| u == role));
        }
        if now != before {
            let (added, removed) = (minus(&now, &before), minus(&before, &now));
            tracing::info!(event = "roles", entry = entry.name, userid = member.userid, nocobase_user = %user, ?added,
                ?removed, "roles changed");
            let given = added.into_iter().map(|role| (Action::RoleGiven, role));
            for (action, role) in given.chain(removed.into_iter().map(|role| (Action::RoleTaken, role))) {
                let record = Record {
                    entry: Some(entry.name.clone()),
                    userid: Some(member.userid.clone()),
                    name: Some(member.name.clone()),
                    nocobase_user: Some(user.get()),
                    role: Some(role),
                    ..Record::new(action, Actor::Gate)
                };
                self.sessions.audit().write(source, &record);
            }
        }
        Ok(())
    }
}

fn minus(some: &BTreeSet<String>, others: &BTreeSet<String>) -> Vec<String> {
    some.difference(others).cloned().collect()
}
