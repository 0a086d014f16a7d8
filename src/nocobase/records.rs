//! Rows of NocoBase's tables for administrative commands: sessions, bindings, users. Fields that the service account's role may
//! not see are left out.

use serde_json::{Value, json};

use super::client::{Call, NocoBase, ServiceOutcome, bad_response, user_id_of, with_all};
use super::{Class, Turn, UserId};
use crate::error::FailureWithCause;

/// A row of `issuedTokens`: a session, which may have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuedSession {
    /// The `jti` of its tokens.
    pub(crate) jti: String,
    /// The gate has registered it; otherwise it began at NocoBase's own form.
    pub(crate) by_gate: bool,
    /// The user whose session it is.
    pub(crate) user: UserId,
    /// When it began, in milliseconds since 1970.
    pub(crate) signed_in_ms: Option<u64>,
}

/// A row of `usersAuthenticators`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Name of the WeCom entry.
    pub(crate) entry: String,
    /// As written at the first sign-in.
    pub(crate) userid: String,
    /// The member's name at that time.
    pub(crate) name: String,
    /// The user.
    pub(crate) user: UserId,
}

impl NocoBase {
    /// The sessions of this user, or of all.
    pub(crate) async fn issued_sessions(
        &self,
        user: Option<UserId>,
    ) -> Result<Vec<IssuedSession>, FailureWithCause> {
        let filter = user.map_or(json!({}), |user| json!({ "userId": user }));
        let rows =
            self.all_rows("issuedTokens:list", &filter, &["id", "jti", "userId"], "signInTime").await?;
        let session = |row: &Value| {
            Some(IssuedSession {
                jti: row.get("jti")?.as_str()?.to_owned(),
                by_gate: row.get("id") == row.get("jti"),
                user: user_id_of(row.get("userId")?)?,
                signed_in_ms: row.get("signInTime").and_then(number),
            })
        };
        Ok(rows.iter().filter_map(session).collect())
    }

    /// The bindings of these entries.
    pub(crate) async fn bindings(&self, entries: &[&str]) -> Result<Vec<Binding>, FailureWithCause> {
        let filter = json!({ "authenticator": { "$in": entries } });
        let fields = ["uuid", "userId", "authenticator"];
        let rows = self.all_rows("usersAuthenticators:list", &filter, &fields, "nickname").await?;
        let binding = |row: &Value| {
            let text = |field: &str| row.get(field).and_then(Value::as_str).map(str::to_owned);
            Some(Binding {
                entry: text("authenticator")?,
                userid: text("uuid")?,
                name: text("nickname").unwrap_or_default(),
                user: user_id_of(row.get("userId")?)?,
            })
        };
        Ok(rows.iter().filter_map(binding).collect())
    }

    /// Removes a binding.
    pub(crate) async fn unbind(&self, binding: &Binding) -> Result<(), FailureWithCause> {
        let filter = json!({ "$and": [
            { "authenticator": binding.entry }, { "uuid": binding.userid }, { "userId": binding.user },
        ] });
        let call = Call::post("usersAuthenticators:destroy", None).query("filter", filter.to_string());
        match self.service(&call).await? {
            ServiceOutcome::Data(_) => Ok(()),
            ServiceOutcome::Rejected(why) => Err(bad_response(&call, 400, &why.summary())),
        }
    }

    /// NocoBase's name for a user: nickname, otherwise user name. `None`: there is no such user. Empty: not visible.
    pub(crate) async fn user_name(&self, user: UserId) -> Result<Option<String>, FailureWithCause> {
        let rows = self.all_rows("users:list", &json!({ "id": user }), &["id"], "nickname,username").await?;
        let Some(row) = rows.iter().find(|row| row.get("id").and_then(user_id_of) == Some(user)) else {
            return Ok(None);
        };
        let text = |field: &str| row.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(Some(text("nickname").or(text("username")).unwrap_or_default().to_owned()))
    }

    /// All rows, with these fields; `optional` (separated by commas) if the role may see them.
    async fn all_rows(
        &self,
        action: &str,
        filter: &Value,
        fields: &[&str],
        optional: &str,
    ) -> Result<Vec<Value>, FailureWithCause> {
        let call = Call::get(action)
            .in_turn(Turn::of_call(Class::In))
            .query("filter", filter.to_string())
            .query("fields", format!("{},{optional}", fields.join(",")))
            .query("paginate", "false");
        let rows = self.service_list(&call).await?;
        with_all(&call, rows, fields)
    }
}

/// Databases return large numbers as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
