//! Name and e-mail address of a user, updated from WeCom.

use serde_json::{Map, Value, json};

use super::Accounts;
use super::person::{MAX_TEXT, Person};
use super::query::text;
use crate::config::ProfileField;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::nocobase::client::{Call, ServiceOutcome, bad_response, user_id_of};

impl Accounts {
    /// Changes those of these fields that differ, in one call; fields that WeCom does not return stay. Returns the changed ones.
    pub(crate) async fn update_profile(
        &self,
        user: UserId,
        person: &Person,
        fields: &[ProfileField],
    ) -> Result<Vec<&'static str>, FailureWithCause> {
        let mut wanted: Vec<(&'static str, String)> = Vec::new();
        for field in fields {
            let value = match field {
                ProfileField::Nickname => Some(person.name.trim()).filter(|name| !name.is_empty()),
                ProfileField::Email => person.email(),
            };
            wanted.extend(value.map(|value| (field.name(), value.chars().take(MAX_TEXT).collect())));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = vec!["id"];
        names.extend(wanted.iter().map(|(name, _)| *name));
        let rows = self.nocobase.rows("users:list", json!({ "id": user }), &names).await?;
        let own = |row: &&Value| row.get("id").and_then(user_id_of) == Some(user);
        let row = rows.iter().find(own).ok_or(Failure::NocoBaseBadAnswer)?;
        wanted.retain(|(name, value)| text(row, name) != value.as_str());
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let changed = wanted.iter().map(|(name, _)| *name).collect();
        let body: Map<String, Value> =
            wanted.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let call = Call::post("users:update", Some(body.into())).query("filterByTk", user.to_string());
        match self.nocobase.service(&call).await? {
            ServiceOutcome::Data(_) => Ok(changed),
            ServiceOutcome::Rejected(why) => Err(bad_response(&call, 400, &why.summary())),
        }
    }
}
