//! A user's roles: read, and changed according to `[[wecom.roles]]`.
//!
//! They are written as a whole with `users:update`. The calls that add or remove a single role (`users/<id>/roles:add`) look
//! simpler, but NocoBase 2.2.15 caches a user's roles and continues with the old ones afterwards: a removed role would still be
//! in force.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::UserId;
use super::client::{Call, NocoBase, ServiceOutcome, bad_response, user_id_of};
use crate::config::role::{is_plain, is_root};
use crate::error::{Failure, FailureWithCause};

/// The roles named by rules, those of matching rules, and the roles for a user who would be left without any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// All roles named by rules.
    pub managed: &'a BTreeSet<&'a str>,
    /// Of these, the roles that the user should have.
    pub matching: &'a BTreeSet<&'a str>,
    /// For a user whom the gate would leave without a role.
    pub instead: &'a BTreeSet<&'a str>,
}

impl Plan<'_> {
    /// The roles that a user with the roles `now` should have.
    pub(crate) fn of(&self, now: &BTreeSet<String>) -> BTreeSet<String> {
        // A user with the root role needs no other, and must not lose it.
        if now.iter().any(|name| is_root(name)) {
            return now.clone();
        }
        let may_be_given = |names: &BTreeSet<&str>| {
            let good = names.iter().filter(|name| is_plain(name) && !is_root(name));
            good.map(|name| (*name).to_owned()).collect::<BTreeSet<_>>()
        };
        let mut all = may_be_given(self.matching);
        all.extend(now.iter().filter(|name| !self.managed.contains(name.as_str())).cloned());
        // A user without roles, by an administrator's decision, gets none.
        if all.is_empty() && !now.is_empty() {
            let instead = may_be_given(self.instead);
            // Of these, roles named by a rule are assigned only if there are no others: the rule would remove them again at the
            // next sign-in.
            let named_by_no_rule: BTreeSet<String> =
                instead.iter().filter(|name| !self.managed.contains(name.as_str())).cloned().collect();
            all = if named_by_no_rule.is_empty() { instead } else { named_by_no_rule };
        }
        all
    }
}

impl NocoBase {
    /// Names of a user's roles. `None`: no such user, or not visible to the service account.
    pub(crate) async fn roles(&self, user: UserId) -> Result<Option<BTreeSet<String>>, FailureWithCause> {
        let call = Call::get("users:get")
            .query("filterByTk", user.to_string())
            .query("fields[]", "id")
            .query("appends[]", "roles");
        let row = match self.service(&call).await? {
            ServiceOutcome::Data(Value::Null) => return Ok(None),
            ServiceOutcome::Data(row) if row.get("id").and_then(user_id_of) == Some(user) => row,
            ServiceOutcome::Data(_) => {
                return Err(bad_response(&call, 200, "not the user that was asked for"));
            }
            ServiceOutcome::Rejected(why) => return Err(bad_response(&call, 400, &why.summary())),
        };
        // All of them or none: a role that is not read here would be removed.
        let names = row.get("roles").and_then(Value::as_array).and_then(|roles| {
            roles.iter().map(|role| role.get("name")?.as_str().map(str::to_owned)).collect()
        });
        match names {
            Some(names) => Ok(Some(names)),
            None => Err(bad_response(
                &call,
                200,
                "no roles in the response; the service account needs View with the field roles on users",
            )),
        }
    }

    /// Assigns these roles to a user instead of the current ones. NocoBase silently leaves out unknown roles. Refuses any name
    /// that could be `root`, and any that is neither plain nor among the roles `before`.
    pub(crate) async fn set_roles(
        &self,
        user: UserId,
        before: &BTreeSet<String>,
        roles: &BTreeSet<String>,
    ) -> Result<(), FailureWithCause> {
        let forbidden = |name: &&String| is_root(name) || !(is_plain(name) || before.contains(*name));
        if let Some(role) = roles.union(before).find(|name| is_root(name)).or(roles.iter().find(forbidden)) {
            tracing::error!(user = %user, role, "this role is never assigned or removed");
            return Err(Failure::Internal.into());
        }
        if self.service_user().is_none_or(|own| own == user) {
            tracing::error!(user = %user, "the roles of the service account are never changed");
            return Err(Failure::Internal.into());
        }
        let call =
            Call::post("users:update", Some(json!({ "roles": roles }))).query("filterByTk", user.to_string());
        match self.service(&call).await? {
            ServiceOutcome::Data(_) => Ok(()),
            ServiceOutcome::Rejected(why) => Err(bad_response(&call, 400, &why.summary())),
        }
    }
}

#[cfg(test)]
mod tests;
