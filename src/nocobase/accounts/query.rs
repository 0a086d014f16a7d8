//! Queries of NocoBase's tables, and which of the returned rows count.

use serde_json::{Value, json};

use super::person::Person;
use crate::error::{Cause, Failure, FailureWithCause};
use crate::nocobase::client::{Call, NocoBase, bad_response, user_id_of, with_all};
use crate::nocobase::{Class, Turn, UserId};

/// No query here expects more rows than this.
pub(super) const PAGE: usize = 100;

impl NocoBase {
    /// Rows with the named fields; too many rows are an error.
    pub(super) async fn rows(
        &self,
        action: &str,
        filter: Value,
        fields: &[&str],
    ) -> Result<Vec<Value>, FailureWithCause> {
        let rows = self.page(action, filter, fields).await?;
        if rows.len() >= PAGE {
            return Err(bad_response(&Call::get(action), 200, "far too many rows"));
        }
        Ok(rows)
    }

    /// The rows that match `filter` and whose `field` is `value`, ignoring case; there may be more.
    pub(super) async fn rows_like(
        &self,
        action: &str,
        filter: Value,
        (field, value): (&str, &str),
        fields: &[&str],
    ) -> Result<Vec<Value>, FailureWithCause> {
        let exact = exactly(field, value);
        let wide = json!({ "$and": [&filter, { "$or": [&exact, letters(field, value)] }] });
        let rows = self.page(action, wide, fields).await?;
        if rows.len() < PAGE {
            return Ok(rows);
        }
        // `a_` would match everything that begins with `a`: then only the likely spellings are asked for.
        self.rows(action, json!({ "$and": [filter, exact] }), fields).await
    }

    /// At most [`PAGE`] rows.
    async fn page(
        &self,
        action: &str,
        filter: Value,
        fields: &[&str],
    ) -> Result<Vec<Value>, FailureWithCause> {
        // A sign-in begins with the binding; sign-ins in progress have precedence over new ones.
        let class = if action == "usersAuthenticators:list" { Class::SignIn } else { Class::In };
        let call = Call::get(action)
            .in_turn(Turn::of_call(class))
            .query("filter", filter.to_string())
            .query("fields", fields.join(","))
            .query("pageSize", PAGE.to_string());
        let rows = self.service_list(&call).await?;
        // A missing field, taken for "no phone number", would hide every user.
        with_all(&call, rows, fields)
    }
}

/// A filter for `value` as it is, in lower case and in upper case.
fn exactly(field: &str, value: &str) -> Value {
    let spellings = [value.to_owned(), value.to_ascii_lowercase(), value.to_ascii_uppercase()];
    json!({ field: { "$in": spellings } })
}

/// A filter for everything that begins and ends like `value`: NocoBase has no case-insensitive comparison, but `$startsWith` and
/// `$endWith` ignore case. On SQLite they do not find texts that contain a special character of LIKE, so only what is before and
/// after such characters is asked for.
fn letters(field: &str, value: &str) -> Value {
    let special = |c: char| matches!(c, '_' | '%' | '\\' | '[');
    let begin = value.split(special).next().unwrap_or_default();
    let end = value.rsplit(special).next().unwrap_or_default();
    json!({ "$and": [{ field: { "$startsWith": begin } }, { field: { "$endWith": end } }] })
}

/// The one user among the rows whose `field` is the `same`; two of them are [`Failure::AmbiguousUser`].
pub(super) fn user_in(
    rows: &[Value],
    field: &str,
    same: impl Fn(&str) -> bool,
    person: &Person,
) -> Result<Option<UserId>, FailureWithCause> {
    let users = rows
        .iter()
        .filter(|row| row.get(field).and_then(Value::as_str).is_some_and(&same))
        .filter_map(|row| row.get("id").and_then(user_id_of))
        .collect();
    one_of(users, &person.entry, &person.userid, field)
}

pub(super) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// None or one; if there are more, an administrator has to resolve that.
pub(super) fn one_of(
    mut users: Vec<UserId>,
    entry: &str,
    userid: &str,
    by: &str,
) -> Result<Option<UserId>, FailureWithCause> {
    users.sort_unstable();
    users.dedup();
    match users.as_slice() {
        [] => Ok(None),
        [user] => Ok(Some(*user)),
        several => {
            let ids = several.iter().map(UserId::to_string).collect::<Vec<_>>().join(", ");
            let reason = format!("more than one NocoBase user is the member {userid} of {entry}");
            let cause = Cause { reason, users: Some(ids), by: Some(by.to_owned()), ..Cause::default() };
            Err(FailureWithCause::new(Failure::AmbiguousUser, cause))
        }
    }
}

#[cfg(test)]
mod tests;
