//! A user's roles: read, and changed according to `[[wecom.roles]]`.
//!
//! They are written with `users:update` as a whole. The calls that add or remove one role (`users/<id>/roles:add`) look
//! better, but NocoBase 2.2.15 keeps a user's roles in its memory and goes on with the old ones after them: a role
//! that was taken away still opens everything.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::UserId;
use super::client::{Call, NocoBase, ServiceOutcome, bad_response, user_id_of};
use crate::config::role::{is_plain, is_root};
use crate::error::{Failure, FailureWithCause};

/// Who gets what: all roles that rules name, those of them that match, and what a user gets who would be left with none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// All that the rules name.
    pub managed: &'a BTreeSet<&'a str>,
    /// Of these, the ones that the user is to have.
    pub matching: &'a BTreeSet<&'a str>,
    /// For a user whom the gate would leave without a role.
    pub instead: &'a BTreeSet<&'a str>,
}

impl Plan<'_> {
    /// The roles that a user is to have who has `now`.
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
            // Of these, roles that a rule names are given only if there are no others: at the next sign-in the rule would
            // take them away again.
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
        // All of them or none: what is not read here would be taken away.
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

    /// Gives a user these roles instead of those that it has. NocoBase leaves out, in silence, the ones that it does not
    /// know. Refuses what could be `root`, and what is neither plain nor there `before`.
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
